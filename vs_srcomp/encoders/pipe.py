"""Encoding with a program that reads frames from a pipe and writes a file."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import vapoursynth as vs
from av.container import InputContainer
from av.packet import Packet

from vs_srcomp.encoders.library import FASTEST, SLOWEST
from vs_srcomp.encoders.pipe_command import PipeCommand
from vs_srcomp.encoders.settings import PIPE_CODECS
from vs_srcomp.encoders.y4m import FRAME, samples, stream_header
from vs_srcomp.errors import error
from vs_srcomp.files import temporary_folder
from vs_srcomp.media.colour_tags import Tagger, missing_tags
from vs_srcomp.media.picture import Colour, EncodedStream, Picture
from vs_srcomp.media.timestamps import decoding_times
from vs_srcomp.processor import core_count
from vs_srcomp.progress import CancelledError, check_cancelled
from vs_srcomp.source.media import VideoPacket

# A larger pipe than the default of 64 KiB means fewer context switches; larger ones need privileges.
_PIPE_BYTES = 1 << 20

# Some programs only take small numbers; this is enough for 30000/1001.
_LARGEST_DENOMINATOR = 1001

# Seconds between checks for cancellation.
_BETWEEN_LOOKS = 0.1

# Lines of the program's output in error messages, and bytes that they are taken from.
_LINES, _BYTES = 8, 4096

SUFFIX = ".piped"
"""Suffix of the folders that programs write to."""


@dataclass(frozen=True, kw_only=True)
class _Written:
    """The content of a program's file."""

    stream: EncodedStream
    tags: str
    """The filter for missing colour tags; see `vs_srcomp.media.colour_tags`."""
    ranks: list[int]
    """For each packet, in decoding order, the number of its frame in display order."""


class PipedEncoder:
    """A program as an encoder. All packets come at the end, when its file is complete.

    A context manager: at the end of the block the program is ended and its file removed.
    """

    def __init__(
        self,
        command: PipeCommand,
        picture: Picture,
        rate: Fraction | None,
        time_base: Fraction,
        *,
        form: Literal["y4m", "raw"],
        frames: int,
        output: Path,
        threads: int = 0,
        cancel: threading.Event | None = None,
    ) -> None:
        """Start the program.

        Args:
            command: What to run.
            picture: Format of the frames.
            rate: Frames per second, or the average if it varies; the program gets no timestamps.
            time_base: Unit of timestamps, in seconds.
            form: Frames with headers, or samples alone.
            frames: Number of frames.
            output: The output file; the program writes to a temporary folder next to it.
            threads: The value of ``{threads}``; 0 for the number of processors.
            cancel: When set, it ends the program.

        Raises:
            vs.Error: There is no such program, or it cannot be run.
        """
        self._program = Path(command.program).name
        self._picture = picture
        self._time_base = time_base
        self._frames = frames
        self._threads = threads
        self._cancel = cancel
        rate = min(max(rate or Fraction(25), SLOWEST), FASTEST).limit_denominator(_LARGEST_DENOMINATOR)
        self._mark = FRAME if form == "y4m" else b""
        self._head = stream_header(picture, rate) if form == "y4m" else b""
        self._times: list[tuple[int, int]] = []
        self._written: _Written | None = None
        with ExitStack() as stack:
            self._folder = stack.enter_context(temporary_folder(output, SUFFIX))
            self._file = self._folder / f"video{command.suffix}"
            self._process = self._start(command, _values(picture, rate, frames, threads))
            self._remains = stack.pop_all()
        _running.add(self)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="srcomp pipe", daemon=True).start()

    def __enter__(self) -> "PipedEncoder":
        return self

    def __exit__(self, *_: object) -> None:
        """End the program if it is running, and remove its file."""
        self.abandon()
        self._ended.set()
        with suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        self._process.wait()
        _running.discard(self)
        self._remains.close()

    @property
    def stream(self) -> EncodedStream:
        """The stream in the program's file; available with the first packet."""
        assert self._written is not None
        return self._written.stream

    def encode(self, frame: vs.VideoFrame, timestamp: int, duration: int) -> Iterator[VideoPacket]:
        """Write ``frame`` to the program; no packet is ready. For the arguments see `Encoder.encode`."""
        assert self._process.stdin
        try:
            self._process.stdin.write(self._head + self._mark)
            for plane in samples(frame):
                self._process.stdin.write(plane)
        except BrokenPipeError:
            raise self._failure() from None
        self._head = b""
        self._times.append((timestamp, duration))
        return iter(())

    def finish(self) -> Iterator[VideoPacket]:
        """Wait for the end of the program, and yield all packets of its file."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait():
            raise self._failure()
        self._written = self._examine()
        shown = [self._times[rank] for rank in self._written.ranks]
        decoded = decoding_times([timestamp for timestamp, _ in shown])
        with _opened(self._file) as container:
            packets = Tagger(container.streams.video[0], self._written.tags).tagged(_packets(container))
            for data, (timestamp, duration), dts in zip(packets, shown, decoded, strict=True):
                # A new packet: those of files may have side data about the stream.
                packet: VideoPacket = Packet(bytes(data))  # type: ignore[assignment]  # of no stream yet
                packet.pts, packet.dts, packet.duration = timestamp, dts, duration
                packet.time_base = self._time_base
                packet.is_keyframe = data.is_keyframe
                yield packet

    def abandon(self) -> None:
        """End the program, unless it has ended, with all its child processes."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _start(self, command: PipeCommand, values: dict[str, object]) -> "subprocess.Popen[bytes]":
        try:
            with self._log.open("wb") as log:
                return subprocess.Popen(
                    command.arguments(str(self._file), values),
                    stdin=subprocess.PIPE,
                    # Standard output is for video only.
                    stdout=log,
                    stderr=log,
                    pipesize=_PIPE_BYTES,
                    # The terminal's interrupts are for the caller, which ends the program.
                    start_new_session=True,
                )
        except OSError as reason:
            raise error(
                f"cannot run {command.program!r}: {(reason.strerror or str(reason)).lower()}",
                "check the command in --pipe",
            ) from reason

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _watch(self) -> None:
        """End the program on cancellation, even while another thread writes to it."""
        while self._cancel and not self._ended.wait(_BETWEEN_LOOKS):
            if self._cancel.is_set():
                self.abandon()
                return

    def _failure(self) -> Exception:
        """The error of a program that has ended too early."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if self._cancel and self._cancel.is_set():
            return CancelledError()
        code = self._process.poll()
        if code is None:
            how = "reads no more"
        elif code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = f"ended with code {code}" if code else "ended without an error"
        # The last of them may still have been in the pipe.
        failure: Exception = error(
            f"{self._program!r} {how} after at most {len(self._times)} of {self._frames} frames{self._last_words()}",
            "check the command in --pipe",
        )
        return failure

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - _BYTES))
            text = log.read().decode(errors="replace")
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        return "".join(f"\n  {line}" for line in lines[-_LINES:])

    def _examine(self) -> _Written:
        """Inspect the program's file by decoding all of it.

        Byte streams have no timestamps, so only a decoder knows the display order. This also proves that the file is
        complete.
        """
        if not self._file.exists() or not self._file.stat().st_size:
            raise error(
                f"{self._program!r} has ended without an error, and has written nothing to {{out}}{self._last_words()}",
                "check the command in --pipe",
            )
        try:
            with _opened(self._file) as container:
                packets, shown = _decode(container, self._threads, self._cancel)
                context = container.streams.video[0].codec_context
                codec, size = context.codec.canonical_name, (context.width, context.height)
                tags = missing_tags(codec, Colour.of(context), self._picture.colour)
                header = Tagger(container.streams.video[0], tags).header
                stream = EncodedStream(codec=codec, header=header, pixel_format=context.pix_fmt or "")
        except (av.FFmpegError, IndexError) as reason:
            raise error(
                f"what {self._program!r} has written cannot be read: {str(reason).lower()}{self._last_words()}",
                "let it write IVF, OBU, an H.264 or H.265 byte stream, Matroska or MP4",
            ) from None
        if stream.codec not in PIPE_CODECS:
            raise error(
                f"{self._program!r} has written {stream.codec} video, which is not taken over",
                f"let it write one of {', '.join(PIPE_CODECS)}",
            )
        count = len(self._times)
        if packets != count or {*shown} != {*range(count)} or len(shown) != count:
            raise error(
                f"{self._program!r} has made {len(shown)} frames of {count}, in {packets} packets",
                "remove settings that drop, repeat or join frames",
            )
        if size != (self._picture.width, self._picture.height):
            raise error(
                "{!r} has made pictures of {}x{} from {}x{}".format(
                    self._program, *size, self._picture.width, self._picture.height
                ),
                "remove settings that scale or crop",
            )
        rank_of = {number: rank for rank, number in enumerate(shown)}
        return _Written(stream=stream, tags=tags, ranks=[rank_of[number] for number in range(packets)])


_running: set[PipedEncoder] = set()


def end_programs() -> None:
    """End all running programs, for a process that is about to exit without cleanup."""
    for encoder in list(_running):
        encoder.abandon()


def _values(picture: Picture, rate: Fraction, frames: int, threads: int) -> dict[str, object]:
    """Values of all placeholders except ``out``."""
    colour = picture.colour
    return {
        "width": picture.width,
        "height": picture.height,
        "fps": f"{rate.numerator}/{rate.denominator}",
        "fps_num": rate.numerator,
        "fps_den": rate.denominator,
        "frames": frames,
        "depth": picture.bits,
        "pixel_format": picture.pixel_format,
        "threads": threads or core_count(),
        "primaries": colour.primaries,
        "transfer": colour.transfer,
        "matrix": colour.matrix,
        "full_range": int(colour.range == 2),
    }


def _opened(file: Path) -> InputContainer:
    # Edit lists of MP4 hide frames.
    return av.open(str(file), options={"ignore_editlist": "1"})


def _packets(container: InputContainer) -> Iterator[VideoPacket]:
    return (packet for packet in container.demux(container.streams.video[0]) if packet.size)


def _decode(container: InputContainer, threads: int, cancel: threading.Event | None) -> tuple[int, list[int | None]]:
    """Number of packets, and their numbers in display order."""
    context = container.streams.video[0].codec_context
    context.thread_count = threads
    context.thread_type = "AUTO"
    shown: list[int | None] = []
    count = 0
    for packet in _packets(container):
        check_cancelled(cancel)
        packet.pts = packet.dts = count  # which decoders give to the frame
        count += 1
        shown += [frame.pts for frame in packet.decode()]
    shown += [frame.pts for frame in context.decode(None)]
    return count, shown
