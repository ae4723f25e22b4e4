"""The middle of one frame as a picture, three times as large: Lanczos on the left, vs-srcomp on the right.

python examples/side_by_side.py in.mkv compared.png
"""

import sys
from pathlib import Path

import av
import numpy as np
import vapoursynth as vs

import vs_srcomp

SIDE = 240
"""Largest width and height of a half, in pixels of the upscaled frame."""

ENLARGED = 3
"""Each pixel becomes so many in both directions, so that one can see them."""


def middle(clip: vs.VideoNode) -> vs.VideoNode:
    """The middle of every frame, in RGB. SD and HD have other matrices; a tag of the clip goes before this guess."""
    width, height = min(SIDE, clip.width) // 2 * 2, min(SIDE, clip.height) // 2 * 2
    left, top = (clip.width - width) // 4 * 2, (clip.height - height) // 4 * 2
    part = clip.std.CropAbs(width, height, left, top)
    return part.resize.Point(width * ENLARGED, height * ENLARGED).resize.Bicubic(
        format=vs.RGB24, matrix_in=None if "_Matrix" in clip.get_frame(0).props else vs.MATRIX_ST170_M
    )


def main() -> None:
    """Write the picture."""
    source, target = map(Path, sys.argv[1:])
    clip = vs_srcomp.source(source)
    number = clip.num_frames // 2
    clip = clip[number]
    restored = vs_srcomp.upscale(clip, ratio="2:1")
    plain = clip.resize.Lanczos(restored.width, restored.height, filter_param_a=5)
    with vs.core.std.StackHorizontal([middle(plain), middle(restored)]).get_frame(0) as frame:
        picture = np.stack([np.asarray(plane) for plane in frame], axis=-1)
    with av.open(target, "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
    sys.stdout.write(f"{target}: frame {number}, Lanczos on the left, vs-srcomp on the right\n")


if __name__ == "__main__":
    main()
