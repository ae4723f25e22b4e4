"""What every function of this package needs of a clip."""

import vapoursynth as vs

from vs_srcomp.errors import error


def check_clip(clip: vs.VideoNode, name: str = "the clip") -> None:
    """Refuse what is not a clip of one format and size with samples of float or at most 16 bits.

    Args:
        clip: The argument.
        name: What errors call it.

    Raises:
        vs.Error: It is something else.
    """
    if not isinstance(clip, vs.VideoNode):
        raise error(
            f"{name} must be a vs.VideoNode, not {type(clip).__name__}", "pass one, such as vs_srcomp.source(path)"
        )
    if clip.format.id == vs.NONE or not (clip.width and clip.height):
        raise error(
            f"{name} changes its format or size", "resize it to one, or upscale each part by itself: clip[first:last]"
        )
    if clip.format.sample_type == vs.INTEGER and clip.format.bits_per_sample > 16:
        raise error(
            f"{clip.format.name} has more than 16 bits",
            "convert to 16 bits or 32-bit float first, with resize.Point(format=...)",
        )
