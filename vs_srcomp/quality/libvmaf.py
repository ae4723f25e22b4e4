"""SSIM and VMAF of luma planes, by FFmpeg's libvmaf."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from vs_srcomp.backends.base import Luma
from vs_srcomp.errors import error, last_line

_INSTALL = "install it with: pip install 'vs-srcomp[metrics]'"

LEAST_SIDE = 17
"""Pixels: libvmaf refuses pictures that are narrower or lower."""

# Pixel formats for libvmaf, by bits.
PIXEL_FORMATS = {8: "yuv420p", 10: "yuv420p10le", 12: "yuv420p12le", 16: "yuv420p16le"}


class Libvmaf:
    """FFmpeg with libvmaf. A context manager that ends the process.

    FFmpeg reads frames with both pictures, one above the other, so that it cannot pair them wrongly.
    """

    def __init__(self, size: tuple[int, int], bits: int, options: str) -> None:
        """Prepare the command.

        Args:
            size: Width and height in pixels.
            bits: Bits per sample, a key of `PIXEL_FORMATS`.
            options: Options of FFmpeg's filter libvmaf.

        Raises:
            vs.Error: There is no FFmpeg, or the pictures are too small for libvmaf.
        """
        if min(size) < LEAST_SIDE:
            raise error(
                f"VMAF and SSIM take pictures of {LEAST_SIDE}x{LEAST_SIDE} pixels or more, not {size[0]}x{size[1]}",
                "measure without them: vs-srcomp compare --metrics psnr",
            )
        self._width, self._height = size
        self._frames = 0
        # Only luma counts, but libvmaf takes no gray. The second picture must begin at a row of chroma.
        self._pitch = self._height + self._height % 2
        dtype = np.uint8 if bits == 8 else np.dtype("<u2")
        self._both = np.zeros((2 * self._pitch, self._width), dtype)
        self._chroma = np.full((2, self._pitch, (self._width + 1) // 2), 1 << (bits - 1), dtype)
        crops = (f"crop={self._width}:{self._height}:0:{top}:exact=1" for top in (0, self._pitch))
        graph = "[0:v]split[a][b];[a]{}[c];[b]{}[d];[c][d]libvmaf=log_fmt=json:log_path=log.json:{}".format(
            *crops, options
        )
        size_name = f"{self._width}x{2 * self._pitch}"
        read = ("-f", "rawvideo", "-pixel_format", PIXEL_FORMATS[bits], "-video_size", size_name, "-i", "pipe:0")
        self._command = [vmaf_program(), "-v", "error", *read, "-lavfi", graph, "-f", "null", "-"]

    def __enter__(self) -> Self:
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

    def add(self, picture: Luma, reference: Luma) -> None:
        """Send the next frame of both clips.

        Raises:
            vs.Error: FFmpeg has ended; the message is its own.
        """
        self._both[: self._height] = picture
        self._both[self._pitch : self._pitch + self._height] = reference
        self._frames += 1
        with self._reported():
            self._input.write(self._both.data)
            self._input.write(self._chroma.data)

    def log(self) -> dict[str, Any]:
        """Finish. Returns libvmaf's log with ``frames`` and ``pooled_metrics``.

        Raises:
            vs.Error: libvmaf has failed; the message is its own.
        """
        with self._reported():
            self._input.close()
            if self._process.wait():
                raise BrokenPipeError
        log: dict[str, Any] = json.loads((self._folder / "log.json").read_text("utf-8"))
        assert len(log["frames"]) == self._frames
        return log

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Raise an error with FFmpeg's last message if it ends too early."""
        try:
            yield
        except BrokenPipeError:
            self._process.wait()
            self._errors.seek(0)
            output = self._errors.read().decode(errors="replace")
            raise error(
                f"VMAF failed: {last_line(output) or 'FFmpeg ended'}",
                f"VMAF needs an FFmpeg with libvmaf: {_INSTALL}",
            ) from None


def vmaf_program() -> str:
    """The program in imageio-ffmpeg, which has libvmaf. Those of many systems have not."""
    try:
        import imageio_ffmpeg
    except ImportError as reason:
        raise error("VMAF and SSIM need the package imageio-ffmpeg", _INSTALL) from reason
    return str(imageio_ffmpeg.get_ffmpeg_exe())
