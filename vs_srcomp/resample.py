"""The one resize of the project: training data and playback go through this same call."""

import vapoursynth as vs


def lanczos5(clip: vs.VideoNode, width: int, height: int) -> vs.VideoNode:
    """Resize every plane of ``clip`` with Lanczos (a = 5), in zimg, with right chroma siting.

    Args:
        clip: Any YUV or GRAY clip of constant format and size.
        width: Target width in luma pixels; the chroma subsampling must divide it.
        height: Target height in luma pixels; likewise.

    Returns:
        A clip of the same format and the new size.
    """
    return clip.resize.Lanczos(width, height, filter_param_a=5)
