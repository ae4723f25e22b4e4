"""Checks of the target size before any work."""

import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.log import log_once
from vs_srcomp.memory import check_memory

# Limit of FFmpeg, and so of encoders and players that use it (libavutil, av_image_check_size2).
_MARGIN, _LARGEST = 128, (1 << 31) // 8

# Least number of frames in a graph: several in progress, and some in caches.
_FRAMES = 8


def check_size(clip: vs.VideoNode, wanted: tuple[int | None, int | None], target: tuple[int, int]) -> None:
    """Refuse a size that is too large; log one that differs from the requested size.

    Args:
        clip: The input.
        wanted: Requested width and height in pixels; None if it follows from the other one.
        target: The actual size.

    Raises:
        vs.Error: No program can handle such pictures, or they do not fit into this computer's memory.
    """
    width, height = target
    if (width + _MARGIN) * (height + _MARGIN) >= _LARGEST:
        raise error(f"{width}x{height} is too large for a picture", "give a smaller size, such as width=3840")
    chroma = 2 / (1 << clip.format.subsampling_w + clip.format.subsampling_h) if clip.format.num_planes > 1 else 0
    needed = _FRAMES * width * height * clip.format.bytes_per_sample * (1 + chroma)
    check_memory(f"{width}x{height}", needed, "give a smaller size, or split the picture with std.Crop")
    changed = [
        f"{name} {asked} becomes {got}"
        for name, asked, got in zip(("width", "height"), wanted, target, strict=True)
        if asked is not None and asked != got
    ]
    if changed:
        log_once(f"{' and '.join(changed)}: {clip.format.name} cannot hold that")
