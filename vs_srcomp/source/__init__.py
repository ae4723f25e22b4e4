"""Files to frames: a frame-exact source filter on PyAV."""

import os

import vapoursynth as vs

__all__ = ["source"]


def source(path: str | os.PathLike[str], *, film_grain: bool = False, track: int = 0, threads: int = 0) -> vs.VideoNode:
    """Open a video file as a clip whose frame n is the n-th shown picture, for any order of requests.

    Args:
        path: A local file in any container and codec that PyAV decodes.
        film_grain: Apply the film grain that the stream describes. By default it is left out, with a message, because
            networks need the picture without grain (AV1 specification, 7.18.3).
            `vs_srcomp.grain.restore_grain` puts it back after upscaling.
        track: Number of the video track, from 0. Cover art does not count, and single pictures come after videos. A
            picture in tiles (AVIF, HEIF) is one track.
        threads: Threads of the decoder, 0 to 256; 0 for the number of processors plus two.

    Returns:
        A clip in the stream's own planar format (YUV, GRAY or RGB). Packed and semi-planar pixel formats are
        rearranged without loss; an alpha plane is dropped. The container's cropping is applied. ``fps`` is the frame
        rate if it is constant, and 0/1 if not; each frame's ``_DurationNum``/``_DurationDen`` and ``_AbsoluteTime``
        follow the timestamps exactly. Other properties have BestSource's names; unknown ones are not set. Frames of
        AV1 have ``SrcompQ``, the estimated compression level on libaom's quantizer scale, 0 to 63, which is constant
        in each scene, and ``SrcompBaseQIdx``, the frame's base_q_idx, 0 to 255; frames whose headers cannot be parsed
        have neither.

    Raises:
        vapoursynth.Error: The file cannot be opened or its first picture cannot be decoded. Later damage, or a picture
            of another size or format, is an error of the affected frames only. If frames can be counted only by
            decoding (AVI, MPEG, raw streams), those that cannot be decoded are left out, and the log reports it.
    """
    # PyAV and numpy are slow to import, so import them on first use.
    from vs_srcomp.source.clip import open_clip

    return open_clip(path, film_grain=film_grain, track=track, threads=threads)
