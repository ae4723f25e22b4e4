"""How close a file's picture is to a reference: PSNR and SSIM of the luma plane, and VMAF."""

import json
import math
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import Luma
from vs_srcomp.errors import error
from vs_srcomp.memory import give_back_free_memory
from vs_srcomp.source import source
from vs_srcomp.source.media import local_file, open_container, video_stream
from vs_srcomp.transcode.feed import CancelledError, Progress
from vs_srcomp.transcode.times import fraction

_INSTALL = "install it with: pip install 'vs-srcomp[metrics]'"

# What libvmaf takes, by number of bits.
_PIXEL_FORMATS = {8: "yuv420p", 10: "yuv420p10le", 12: "yuv420p12le", 16: "yuv420p16le"}


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Of a whole clip."""

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
    """Compare the pictures of ``result`` with those of ``reference``.

    Both are read once, a few frames at a time. Frame n is compared with frame n; the time of each, counted from its
    file's first frame, must be the same, as exactly as both files tell it. Where one file has more bits than the other,
    the other's codes are multiplied up, and the peak of b bits is ``255 * 2**(b - 8)``: the same picture gives the
    same figures in any depth. Film grain that AV1 streams describe is left out.

    Args:
        result: A video file of YUV or GRAY in 8 to 16 bits.
        reference: What it should look like, likewise, in the same size.
        threads: For VMAF; decoding has its own.
        progress: Called with the number of frames that are done and of all frames.
        cancel: Stops the work when set.

    Raises:
        vs.Error: The files differ in size, in number or times of their frames, or there is no FFmpeg with libvmaf.
        CancelledError: ``cancel`` was set.
    """
    clips = [_luma_clip(path) for path in (result, reference)]
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
    tolerance = _tick(result) + _tick(reference)
    bits = min(depth for depth in _PIXEL_FORMATS if depth >= max(clip.format.bits_per_sample for clip in clips))
    squares = 0
    with Vmaf(sizes[0], bits, threads) as vmaf:
        for number, (ours, theirs) in enumerate(_pairs(clips[0], clips[1], tolerance, (result, reference)), 1):
            if cancel and cancel.is_set():
                raise CancelledError
            codes = [_codes(frame, bits) for frame in (ours, theirs)]
            squares += _squared_error(codes[0], codes[1])
            vmaf.add(codes[0], codes[1])
            give_back_free_memory()
            if progress:
                progress(number, clips[0].num_frames)
        scores = vmaf.scores()
    samples = clips[0].num_frames * clips[0].width * clips[0].height
    peak = 255 << (bits - 8)
    return Metrics(
        frames=clips[0].num_frames,
        psnr_y=10 * math.log10(peak**2 * samples / squares) if squares else math.inf,
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


def _pairs(
    result: vs.VideoNode, reference: vs.VideoNode, tolerance: Fraction, paths: tuple[Path, Path]
) -> Iterator[tuple[vs.VideoFrame, vs.VideoFrame]]:
    zeros: list[float] = []
    clips = (clip.frames(close=True, collect_garbage=False) for clip in (result, reference))
    for number, frames in enumerate(zip_longest(*clips)):
        times = [float(frame.props["_AbsoluteTime"]) for frame in frames]
        zeros = zeros or times
        ours, theirs = (time - zero for time, zero in zip(times, zeros, strict=True))
        # The properties are floats, good for a nanosecond over a month.
        if abs(ours - theirs) > tolerance + Fraction(1, 10**9):
            raise error(
                f"frame {number} of {paths[0].name} is shown {ours:.4f} s after the first, that of the reference "
                f"{paths[1].name} {theirs:.4f} s",
                "give a reference with the same timestamps",
            )
        yield frames


def _codes(frame: vs.VideoFrame, bits: int) -> Luma:
    """The luma plane of ``frame`` in ``bits`` bits."""
    plane: Luma = np.asarray(frame[0])
    shift = bits - frame.format.bits_per_sample
    return plane.astype(np.uint16) << shift if shift else plane


def _squared_error(ours: Luma, theirs: Luma) -> int:
    difference = np.subtract(ours, theirs, dtype=np.int64)
    return int(np.vdot(difference, difference))


class Vmaf:
    """FFmpeg with libvmaf, fed with frames; a context manager that leaves no process behind.

    Each frame that FFmpeg reads holds both pictures, one above the other, so that it cannot pair them wrongly.
    """

    def __init__(self, size: tuple[int, int], bits: int, threads: int, *, neg: bool = False) -> None:
        """Measure VMAF and SSIM of luma planes; with ``neg``, VMAF-NEG (vmaf_v0.6.1neg), too."""
        self._width, self._height = size
        self._frames = 0
        # Only luma counts, but libvmaf takes no gray. The second picture must begin where a row of chroma does.
        self._pitch = self._height + self._height % 2
        dtype = np.uint8 if bits == 8 else np.dtype("<u2")
        self._both = np.zeros((2 * self._pitch, self._width), dtype)
        self._chroma = np.full((2, self._pitch, (self._width + 1) // 2), 1 << (bits - 1), dtype)
        crops = (f"crop={self._width}:{self._height}:0:{top}:exact=1" for top in (0, self._pitch))
        graph = "[0:v]split[a][b];[a]{}[c];[b]{}[d];[c][d]libvmaf=log_fmt=json:log_path=log.json".format(*crops)
        graph += f":n_threads={threads}:feature=name=float_ssim"
        if neg:
            graph += r":model='version=vmaf_v0.6.1\:name=vmaf|version=vmaf_v0.6.1neg\:name=vmaf_neg'"
        size_name = f"{self._width}x{2 * self._pitch}"
        read = ("-f", "rawvideo", "-pixel_format", _PIXEL_FORMATS[bits], "-video_size", size_name, "-i", "pipe:0")
        self._command = [_ffmpeg(), "-v", "error", *read, "-lavfi", graph, "-f", "null", "-"]

    def __enter__(self) -> Self:
        """Start FFmpeg."""
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="srcomp-vmaf-")))
            self._errors = stack.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
            )
            stack.callback(self._end)
            self._opened = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it has not ended."""
        self._opened.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._input.close()

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin
        return self._process.stdin

    def add(self, ours: Luma, theirs: Luma) -> None:
        """Give the next pair, codes in the number of bits."""
        self._both[: self._height] = ours
        self._both[self._pitch : self._pitch + self._height] = theirs
        self._frames += 1
        with self._reported():
            self._input.write(self._both.data)
            self._input.write(self._chroma.data)

    def scores(self) -> dict[str, float]:
        """The means over all frames by name of the measure."""
        return {name: pooled["mean"] for name, pooled in self._finished()["pooled_metrics"].items()}

    def each(self) -> list[dict[str, float]]:
        """The scores of each frame by name of the measure: ``vmaf``, ``vmaf_neg``, ``float_ssim``, and features."""
        return [frame["metrics"] for frame in self._finished()["frames"]]

    def _finished(self) -> dict[str, Any]:
        with self._reported():
            self._input.close()
            if self._process.wait():
                raise BrokenPipeError
        log: dict[str, Any] = json.loads((self._folder / "log.json").read_text("utf-8"))
        assert len(log["frames"]) == self._frames
        return log

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """What FFmpeg says when it ends too early."""
        try:
            yield
        except BrokenPipeError:
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise error(
                f"VMAF failed: {said[-1] if said else 'FFmpeg ended'}", "VMAF needs an FFmpeg with libvmaf: " + _INSTALL
            ) from None


def _ffmpeg() -> str:
    """The program that imageio-ffmpeg brings; unlike those of many systems, it has libvmaf."""
    try:
        import imageio_ffmpeg
    except ImportError as reason:
        raise error("VMAF and SSIM need the package imageio-ffmpeg", _INSTALL) from reason
    return str(imageio_ffmpeg.get_ffmpeg_exe())
