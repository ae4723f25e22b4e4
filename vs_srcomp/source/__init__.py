"""Files to frames: a frame-exact source filter on PyAV."""

import os

import vapoursynth as vs

__all__ = ["source"]


def source(path: str | os.PathLike[str], *, film_grain: bool = False, track: int = 0, threads: int = 0) -> vs.VideoNode:
    """Open a video file as a clip whose frame n is the n-th shown picture, in whatever order it is asked for.

    Args:
        path: A local file in any container and codec that PyAV decodes.
        film_grain: Apply the film grain that the stream describes. By default it is left out, because the
            networks must see the picture as it was before grain (AV1 specification, 7.18.3), with a message.
            `vs_srcomp.grain.restore_grain` puts it back after upscaling.
        track: Which of the file's video tracks, counted from 0. Cover art does not count, and single pictures beside
            moving ones come last. A picture in tiles (AVIF, HEIF) is one track.
        threads: Threads of the decoder, 0 to 256; 0 means two more than there are processors.

    Returns:
        A clip in the stream's own planar format (YUV, GRAY or RGB). Packed and semi-planar pixel formats are
        rearranged without loss; an alpha plane is dropped. Pictures are cropped as the container asks. ``fps``
        is the frame rate if the timestamps keep to one, and 0/1 if not; each frame's own
        ``_DurationNum``/``_DurationDen`` and ``_AbsoluteTime`` follow the timestamps exactly. The other
        properties are named as BestSource names them; what the file does not state is not set. Frames of AV1
        carry ``SrcompQ``, an estimate of how strongly they were compressed on libaom's quantizer scale, 0 to
        63, which is constant in each scene, and ``SrcompBaseQIdx``, the base_q_idx that the frame was coded
        with, 0 to 255; frames whose headers cannot be parsed carry neither.

    Raises:
        vapoursynth.Error: The file cannot be opened or its first picture cannot be decoded. Later damage is an
            error of the frames concerned only, and so is a picture of another size or format. Where frames can be
            counted by decoding only (AVI, MPEG, raw streams), those that cannot be decoded are left out, and the log
            says so.
    """
    # PyAV and numpy take a while to load; importing the package does not have to wait for them.
    from vs_srcomp.source.clip import open_clip

    return open_clip(path, film_grain=film_grain, track=track, threads=threads)
