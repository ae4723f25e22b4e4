"""One frame as a picture: Lanczos on the left, vs-srcomp on the right; above at 100 %, below its middle at 200 %.

python examples/side_by_side.py in.mkv compared.png
python examples/side_by_side.py examples/demo.mkv compared.png 60   (a frame by its number; the middle one without)
"""

import sys
from pathlib import Path

import av
import numpy as np
import vapoursynth as vs

import vs_srcomp
from vs_srcomp.colour_guess import assumed_colours

WIDTH, HEIGHT = 432, 288
"""Largest size of each of the four parts. Two beside one another fit on a page without being scaled."""


def part(clip: vs.VideoNode, matrix: int, enlarged: int) -> vs.VideoNode:
    """The middle of every frame, in RGB, each pixel ``enlarged`` times in both directions."""
    width, height = (min(most, side) // 4 * 4 for most, side in ((WIDTH, clip.width), (HEIGHT, clip.height)))
    wide, high = width // enlarged, height // enlarged
    left, top = (clip.width - wide) // 4 * 2, (clip.height - high) // 4 * 2
    middle = clip.std.CropAbs(wide, high, left, top).std.SetFrameProps(_Matrix=matrix)
    return middle.resize.Bicubic(format=vs.RGB24).resize.Point(width, height)


def main() -> None:
    """Write the picture."""
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    source, target, *chosen = sys.argv[1:]
    try:
        clip = vs_srcomp.source(source)
    except vs.Error as reason:
        sys.exit(str(reason))
    number = clip.num_frames // 2
    if chosen:
        number = int(chosen[0]) if chosen[0].isdecimal() else -1
    if not 0 <= number < clip.num_frames:
        sys.exit(f"{source} has the frames 0 to {clip.num_frames - 1}, but no {chosen[0]}")
    clip = clip[number]
    # Without tags, the colours that players assume.
    matrix = assumed_colours(clip.get_frame(0).props, clip.width, clip.height).matrix
    restored = vs_srcomp.upscale(clip, ratio="2:1")
    plain = clip.resize.Lanczos(restored.width, restored.height, filter_param_a=5)
    rows = [vs.core.std.StackHorizontal([part(each, matrix, n) for each in (plain, restored)]) for n in (1, 2)]
    with vs.core.std.StackVertical(rows).get_frame(0) as frame:
        picture = np.stack([np.asarray(plane) for plane in frame], axis=-1)
    try:
        with av.open(target, "w", format="image2") as container:
            stream = container.add_stream("png", rate=1)
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = "rgb24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
    except OSError as reason:
        sys.exit(f"cannot write {target}: {reason.strerror}")
    sys.stdout.write(f"{Path(target)}: frame {number}, Lanczos on the left, vs-srcomp on the right\n")


if __name__ == "__main__":
    main()
