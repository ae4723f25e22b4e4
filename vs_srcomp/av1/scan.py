"""A whole file's records: demuxed with PyAV, parsed here, nothing decoded."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from vs_srcomp.av1.errors import Av1Error, NotAv1Error, ScanCancelledError
from vs_srcomp.av1.layers import Layers, Part
from vs_srcomp.av1.parser import Parser, Unit
from vs_srcomp.av1.records import CodedFrame, ShownFrame

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_CACHED_FRAMES: Final = 1_000_000
"""How many shown frames the cache keeps, over all files: some 400 MB, or six films."""


class _File(NamedTuple):
    """A file as it was at one time, and which of its streams is meant."""

    path: Path
    size: int
    mtime_ns: int
    stream: int | None


class _Cache:
    """The latest complete scans of this process, for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scans: OrderedDict[_File, tuple[ShownFrame, ...]] = OrderedDict()

    def get(self, file: _File) -> tuple[ShownFrame, ...] | None:
        with self._lock:
            frames = self._scans.get(file)
            if frames is not None:
                self._scans.move_to_end(file)
            return frames

    def put(self, file: _File, frames: tuple[ShownFrame, ...]) -> None:
        with self._lock:
            self._scans[file] = frames
            while len(self._scans) > 1 and sum(map(len, self._scans.values())) > _CACHED_FRAMES:
                self._scans.popitem(last=False)


_cache = _Cache()


def scan(
    path: str | os.PathLike[str], *, stream: int | None = None, cancel: Callable[[], bool] | None = None
) -> Iterator[ShownFrame]:
    """The frames that a decoder shows of a video stream of a file, in order of display.

    They come as the file is read. Record k is the k-th shown frame: one whose headers could not be parsed is there,
    with ``frame`` None. Of a stream with spatial layers only the highest layer counts, as decoders put out by default.
    A complete scan is kept until the file changes.

    Args:
        path: Any container that FFmpeg demuxes: MP4, Matroska, WebM, IVF, OBU (Section 5 or Annex B).
        stream: Its index among all streams of the file, as FFmpeg counts; by default, the first video stream is meant.
        cancel: Asked before each packet; the scan ends with an error once it says True. ``Event.is_set`` will do.

    Raises:
        OSError: The file cannot be read.
        NotAv1Error: The file cannot be demuxed, or the stream is not AV1.
        ScanCancelledError: ``cancel`` said so.
    """
    resolved = Path(path).resolve()
    stat = resolved.stat()
    file = _File(resolved, stat.st_size, stat.st_mtime_ns, stream)
    cached = _cache.get(file)
    if cached is not None:
        yield from cached
        return
    frames = []
    for frame in _scan_file(resolved, stream, cancel):
        frames.append(frame)
        yield frame
    _cache.put(file, tuple(frames))


def _scan_file(path: Path, number: int | None, cancel: Callable[[], bool] | None) -> Iterator[ShownFrame]:
    import av  # demuxing is all that needs it

    try:
        container = av.open(str(path))
    except OSError:
        raise
    except av.FFmpegError as error:
        raise NotAv1Error(f"{path} is in no format that FFmpeg can demux") from error
    with container:
        stream = next((s for s in container.streams.video if number in (None, s.index)), None)
        if stream is None:
            raise NotAv1Error(f"{path} has no video stream")
        context = stream.codec_context
        # FFmpeg knows no codec behind Dolby Vision's 'dav1' tag: the packets must speak for themselves.
        codec = context.codec.canonical_name if context else None
        if codec not in (None, "av1"):
            raise NotAv1Error(f"{path} has {codec} video, not AV1")
        parser = Parser((context.extradata if context else None) or b"")
        packets = _packets(container, stream, parser, cancel)
        if codec is None:
            packets = _only_av1(packets, parser, path)
        try:
            yield from _shown_frames(packets, parser)
        except av.FFmpegError as error:
            raise NotAv1Error(f"{path} is damaged: FFmpeg cannot demux the rest of it") from error


class _Packet(NamedTuple):
    """What is known of a packet."""

    pts: int | None
    """Its presentation time."""
    part: Part
    """What it brings to show."""
    unit: Unit | None
    """What is in it, None where that cannot be parsed."""


def _packets(
    container: "InputContainer", stream: "VideoStream", parser: Parser, cancel: Callable[[], bool] | None
) -> Iterator[_Packet]:
    """Every packet of the stream."""
    parse, layers = parser.parse, Layers((stream.codec_context and stream.codec_context.extradata) or b"")
    for packet in container.demux(stream):
        if cancel is not None and cancel():
            raise ScanCancelledError
        data = bytes(packet)
        if not data:  # PyAV's mark of the end
            continue
        pts, part = packet.pts, layers.part(data)
        try:
            yield _Packet(pts, part, parse(data, pts))
        except Av1Error:
            yield _Packet(pts, part, None)


def _only_av1(packets: Iterator[_Packet], parser: Parser, path: Path) -> Iterator[_Packet]:
    """The packets, unless the first of them is not the start of an AV1 stream."""
    for packet in packets:
        if packet.unit is None or parser.sequence is None:
            raise NotAv1Error(f"{path} has video of an unknown codec, not AV1")
        yield packet
        break
    yield from packets


def _shown_frames(packets: Iterator[_Packet], parser: Parser) -> Iterator[ShownFrame]:
    """One record for each frame that is put out; for each packet that cannot be parsed, as it would be one frame."""
    hidden: list[CodedFrame] = []  # coded in packets that show nothing
    highest: ShownFrame | None = None  # spatial layer, so far, of a picture that further packets may continue
    for pts, part, unit in packets:
        layered = parser.sequence is not None and parser.sequence.spatial_layers > 1
        if highest is not None and part == Part.PICTURE:
            yield highest
            highest = None
        shown = (ShownFrame(pts, None, None, ()),) if unit is None else unit.shown
        for frame in shown:
            if hidden:
                frame = frame._replace(coded=(*hidden, *frame.coded))
                hidden.clear()
            if not layered:
                yield frame
            elif highest is None:
                highest = frame
            else:
                highest = frame._replace(coded=highest.coded + frame.coded)
        if unit is not None:
            hidden.extend(unit.hidden)
    if highest is not None:
        yield highest
