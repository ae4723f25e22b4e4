"""Make examples/demo.mkv: slow pans over photographs, lowered 2:1 with Lanczos and coded with SVT-AV1.

    python examples/make_demo.py PICTURE... OUT.mkv   (not run: needs pictures)

The clip in this folder is made from the Kodak test pictures 23, 19 and 8, which Eastman Kodak released for unrestricted
use and which no model here was trained on.
"""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import vapoursynth as vs

from train.material.pictures import read_yuv420

FPS = 25
FRAMES_PER_PICTURE = 40
ORIGINAL = 640, 352
CODED = ORIGINAL[0] // 2, ORIGINAL[1] // 2


def pan(picture: vs.VideoNode, position: float) -> vs.VideoNode:
    """The coded view at ``position`` (0..1) of a diagonal move over ``picture``: one resize crops, moves and lowers."""
    left, top = position * (picture.width - ORIGINAL[0]), position * (picture.height - ORIGINAL[1])
    window = {"src_left": left, "src_top": top, "src_width": ORIGINAL[0], "src_height": ORIGINAL[1]}
    return picture.resize.Lanczos(*CODED, filter_param_a=5, **window)


def main() -> None:
    """Code the clip."""
    *pictures, target = map(Path, sys.argv[1:])
    with av.open(target, "w") as container:
        stream = container.add_stream("libsvtav1", rate=FPS, options={"crf": "32", "preset": "4"})
        stream.width, stream.height = CODED
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # limited
        number = 0
        for path in pictures:
            picture = read_yuv420(path)
            for index in range(FRAMES_PER_PICTURE):
                with pan(picture, index / (FRAMES_PER_PICTURE - 1)).get_frame(0) as small:
                    frame = av.VideoFrame(*CODED, "yuv420p")
                    for plane, view in zip(frame.planes, small, strict=True):
                        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
                        rows[:, : plane.width] = np.asarray(view)
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                frame.colorspace = frame.color_range = 1
                container.mux(stream.encode(frame))
                number += 1
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
