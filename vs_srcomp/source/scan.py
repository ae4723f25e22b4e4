"""The AV1 records of a whole file, from its headers, without decoding."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vs_srcomp.av1 import Av1Error, Parser, ShownFrame, Unit
from vs_srcomp.av1.layers import Layers, Part, PictureMerger
from vs_srcomp.errors import error
from vs_srcomp.source.index import complete_packets
from vs_srcomp.source.media import VideoPacket, codec_of, extradata_of, local_file, open_container, video_stream

_CACHED_FRAMES: Final = 1_000_000
"""Limit of the cache, in shown frames of all files: some 400 MB, or six films."""


class ScanCancelledError(Exception):
    """The caller stopped a scan before the end of the file."""


class _File(NamedTuple):
    """A version of a file, and one of its video tracks."""

    path: str
    size: int
    mtime_ns: int
    track: int


class _Cache:
    """The latest complete scans of this process. Thread-safe."""

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
    path: str | os.PathLike[str], *, track: int = 0, cancel: Callable[[], bool] | None = None
) -> Iterator[ShownFrame]:
    """The shown frames of a video track, in display order, while the file is read.

    Record k is the k-th shown frame; ``frame`` is None if its headers cannot be parsed. Of spatial layers only the
    highest one counts. Frames that an edit list removes count as hidden. A complete scan is cached until the file
    changes.

    Args:
        path: A local file in any container that FFmpeg demuxes.
        track: Which of its video tracks, as for `vs_srcomp.source`.
        cancel: Called before each packet; the scan ends with an error once it returns True.

    Raises:
        vs.Error: The file cannot be read, or the track is not AV1. Of a damaged file the frames before the damage come
            first.
        ScanCancelledError: ``cancel`` returned True.
    """
    name = local_file(path)
    stat = Path(name).stat()
    file = _File(name, stat.st_size, stat.st_mtime_ns, track)
    cached = _cache.get(file)
    if cached is not None:
        yield from cached
        return
    frames = []
    for frame in _scan_file(name, track, cancel):
        frames.append(frame)
        yield frame
    _cache.put(file, tuple(frames))


def _scan_file(file: str, track: int, cancel: Callable[[], bool] | None) -> Iterator[ShownFrame]:
    with open_container(file) as container:
        stream = video_stream(container, track)
        if (codec := codec_of(stream)) != "av1":
            raise error(f"{file!r} has {codec} video, not AV1", "give a file with AV1 video")
        parser = Parser(extradata_of(stream))
        packets = _packets(container, stream, parser, cancel)
        if stream.codec_context is None:
            # FFmpeg knows no codec for Dolby Vision's tag 'dav1': only the packets show whether it is AV1.
            packets = _only_av1(packets, parser, file)
        try:
            yield from _shown_frames(packets, parser)
        except av.FFmpegError as reason:
            raise error(
                f"{file!r} cannot be read to its end ({reason.strerror})",
                "check that it is neither damaged nor encrypted",
            ) from reason


class _Packet(NamedTuple):
    """Facts about a packet."""

    pts: int | None
    """Its presentation time."""
    part: Part
    """Its role: a picture, a further layer, or hidden frames, as all are that an edit list removes."""
    unit: Unit | None
    """Its content; None if that cannot be parsed."""


def _packets(
    container: InputContainer, stream: VideoStream, parser: Parser, cancel: Callable[[], bool] | None
) -> Iterator[_Packet]:
    """Every packet of which `vs_srcomp.source` has the frame, and all that frames depend on."""
    parse, layers = parser.parse, Layers(extradata_of(stream))
    for packet in complete_packets(_until_cancelled(container.demux(stream), cancel)):
        data, pts = bytes(packet), packet.pts
        part = layers.part(data)
        try:
            unit = parse(data, pts)
        except Av1Error:
            unit = None
        yield _Packet(pts, Part.NOTHING if packet.is_discard else part, unit)


def _until_cancelled(packets: Iterator[VideoPacket], cancel: Callable[[], bool] | None) -> Iterator[VideoPacket]:
    for packet in packets:
        if cancel is not None and cancel():
            raise ScanCancelledError
        yield packet


def _only_av1(packets: Iterator[_Packet], parser: Parser, file: str) -> Iterator[_Packet]:
    """The packets; an error if the first one is not the start of an AV1 stream."""
    for packet in packets:
        if packet.unit is None or parser.sequence is None:
            raise error(f"{file!r} has video of an unknown codec, not AV1", "give a file with AV1 video")
        yield packet
        break
    yield from packets


def _shown_frames(packets: Iterator[_Packet], parser: Parser) -> Iterator[ShownFrame]:
    """One record for each shown frame, and for each packet that cannot be parsed, which counts as a frame."""
    picture = PictureMerger()
    for pts, part, unit in packets:
        if part == Part.PICTURE:
            yield from _taken(picture)
        if part == Part.NOTHING:
            if unit is not None:
                picture.add_hidden(unit.coded)
            continue
        layered = parser.sequence is not None and parser.sequence.spatial_layers > 1
        for shown in (unit or Unit.unreadable(pts)).shown:
            picture.add_shown(shown)
            if not layered:  # otherwise, further frames and packets may continue it
                yield from _taken(picture)
        if unit is not None:
            picture.add_hidden(unit.hidden)
    yield from _taken(picture)


def _taken(picture: PictureMerger) -> Iterator[ShownFrame]:
    if record := picture.take():
        yield record
