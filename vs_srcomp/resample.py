"""The resize of the project, shared by training and playback."""

import vapoursynth as vs


def lanczos5(clip: vs.VideoNode, width: int, height: int) -> vs.VideoNode:
    """Resize every plane of ``clip`` with zimg's Lanczos (a = 5), with correct chroma siting.

    Args:
        clip: Any YUV or GRAY clip of constant format and size.
        width: Target width in luma pixels; the chroma subsampling must divide it.
        height: Target height in luma pixels; the chroma subsampling must divide it.

    Returns:
        A clip of the same format and the new size.
    """
    return clip.resize.Lanczos(width, height, filter_param_a=5)
