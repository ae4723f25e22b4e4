"""PSNR and SSIM of luma, and VMAF, of a file against a reference."""

import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.memory import give_back_free_memory
from vs_srcomp.progress import Progress, check_cancelled
from vs_srcomp.quality.libvmaf import Libvmaf
from vs_srcomp.quality.luma import comparable, psnr, squared_error
from vs_srcomp.quality.times import FrameTimes
from vs_srcomp.source import source
from vs_srcomp.source.media import fraction, local_file, open_container, video_stream


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Scores of a whole clip."""

    frames: int
    psnr_y: float
    """In dB, from the squared error of all frames together; infinite if all luma planes are equal."""
    ssim: float
    """Mean over the frames, of the luma plane, by libvmaf: Wang et al. 2004, after the picture has been brought down to
    about 256 pixels on its shorter side, as the authors advise."""
    vmaf: float
    """Mean over the frames, model vmaf_v0.6.1."""


def measure(
    result: Path,
    reference: Path,
    *,
    threads: int = 1,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Metrics:
    """Compare ``result`` with ``reference``.

    Both are read once, a few frames at a time. Frame n is compared with frame n, and both must have the same time,
    counted from the file's first frame, in the resolution of the files. Luma codes are converted to one depth, and to
    the range and matrix of ``reference`` (`vs_srcomp.quality.luma.comparable`). The film grain of AV1 streams is not
    applied.

    Args:
        result: A video file of YUV or GRAY in 8 to 16 bits.
        reference: Another one, of the same size.
        threads: Threads for VMAF, besides those of decoders.
        progress: Called with the number of finished frames and the number of all frames.
        cancel: When set, it stops the work.

    Raises:
        vs.Error: The files differ in size, or in number or times of frames, or there is no FFmpeg with libvmaf.
        CancelledError: ``cancel`` was set.
    """
    clips = [_luma_clip(result), _luma_clip(reference)]
    sizes = [(clip.width, clip.height) for clip in clips]
    if sizes[0] != sizes[1]:
        raise error(
            "{} is {}x{}, but the reference {} is {}x{}".format(result.name, *sizes[0], reference.name, *sizes[1]),
            "give a reference of the same size",
        )
    if clips[0].num_frames != clips[1].num_frames:
        raise error(
            f"{result.name} has {clips[0].num_frames} frames, but the reference {reference.name} has "
            f"{clips[1].num_frames}",
            "give a reference with the same frames",
        )
    times = FrameTimes([result.name, reference.name], [_tick(result), _tick(reference)])
    both = comparable(clips)
    squares = 0
    with Libvmaf(sizes[0], both.bits, f"n_threads={threads}:feature=name=float_ssim") as vmaf:
        frames = zip(*(clip.frames(close=True, collect_garbage=False) for clip in both.clips), strict=True)
        for number, pair in enumerate(frames):
            check_cancelled(cancel)
            times.add(number, pair)
            ours, theirs = (np.asarray(frame[0]) for frame in pair)
            squares += squared_error(ours, theirs)
            vmaf.add(ours, theirs)
            give_back_free_memory()
            if progress:
                progress(number + 1, clips[0].num_frames)
        scores = {name: pooled["mean"] for name, pooled in vmaf.log()["pooled_metrics"].items()}
    samples = clips[0].num_frames * clips[0].width * clips[0].height
    return Metrics(
        frames=clips[0].num_frames,
        psnr_y=psnr(squares, samples, both.peak),
        ssim=scores["float_ssim"],
        vmaf=scores["vmaf"],
    )


def _luma_clip(path: Path) -> vs.VideoNode:
    clip = source(path)
    if clip.format.color_family not in (vs.YUV, vs.GRAY) or clip.format.sample_type != vs.INTEGER:
        raise error(f"{path.name} is {clip.format.name}, which has no luma codes", "convert it to YUV first")
    return clip


def _tick(path: Path) -> Fraction:
    """The unit of a file's timestamps, in seconds."""
    with open_container(local_file(path)) as container:
        return fraction(video_stream(container, 0).time_base)
