"""The quantizer and the estimated Q of each frame of an AV1 clip, parsed ahead of the requested frames."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from vs_srcomp.av1 import Av1Error, Parser, ShownFrame, Unit
from vs_srcomp.av1.estimate import LONGEST_STRETCH, SceneEstimator
from vs_srcomp.av1.layers import PictureMerger
from vs_srcomp.geometry import quantizer_of_index
from vs_srcomp.source.demuxer import NEAR, Demuxer
from vs_srcomp.source.index import Index
from vs_srcomp.source.media import codec_of, extradata_of, open_container, video_stream

# Parsing is a whole stretch and one packet ahead, so that no frame waits for it. It reads several packets at a time:
# while a decoder is busy, the parser's data would have to be loaded into the processor's cache again for each packet.
_LEAD = LONGEST_STRETCH + 1
_PACKETS_AT_A_TIME = 32

_UNKNOWN = -1

_END = object()


class _Record(NamedTuple):
    """What the headers state for one frame of the clip."""

    packet: int
    """Number of the frame's last packet."""
    number: int
    shown: ShownFrame | None
    """None if the packet shows nothing although the clip has a frame for it."""


def quantizers_of(file: str, track: int, index: Index) -> "Quantizers | None":
    """The quantizers of a clip's frames, or None where the codec is not AV1.

    Args:
        file: Absolute path.
        track: Number of the video track, as for `vs_srcomp.source.source`.
        index: The clip's frames and packets.
    """
    with open_container(file) as container:
        stream = video_stream(container, track)
        if codec_of(stream) != "av1":
            return None
        return Quantizers(Demuxer(file, track, index.packets), index, extradata_of(stream))


class Quantizers:
    """The quantizers of the frames of an AV1 stream. The values do not depend on the order of requests."""

    def __init__(self, demuxer: Demuxer, index: Index, extradata: bytes) -> None:
        """Read nothing yet.

        Args:
            demuxer: The stream's demuxer; nothing else may use it.
            index: The stream's frames and packets.
            extradata: The codec's header from the container.
        """
        self._demuxer = demuxer
        self._index = index
        self._extradata = extradata
        self._keys = np.flatnonzero(index.packets.key)
        self._read = np.zeros(len(index), bool)
        self._base_q_idx = np.full(len(index), _UNKNOWN, np.int16)
        self._estimate = np.zeros(len(index), np.float32)
        self._run: Iterator[None] = iter(())
        self._stretch = len(index.packets)  # the packet where the stretch begins that the run is reading

    def props(self, number: int) -> dict[str, int | float]:
        """``SrcompQ``, 0 to 63 on libaom's quantizer scale, and ``SrcompBaseQIdx`` of a frame; empty if unknown.

        Calls may come in any order, but not at the same time.
        """
        self._ensure(number)
        base_q_idx = int(self._base_q_idx[number])
        if base_q_idx == _UNKNOWN:
            return {}
        return {"SrcompQ": quantizer_of_index(float(self._estimate[number])), "SrcompBaseQIdx": base_q_idx}

    def close(self) -> None:
        """Close the file now. The generator refers to this object, so it would stay open until garbage collection."""
        self._run = iter(())
        self._demuxer.close()

    def _ensure(self, number: int) -> None:
        """Read on until the estimate of the frame is known, and some packets more if the lead is short."""
        packet = int(self._index.packet_of[number])
        if not self._read[number]:
            self._head_for(packet)
        more = _PACKETS_AT_A_TIME if self._demuxer.next < packet + _LEAD else 0
        while not self._read[number] or more > 0:
            if next(self._run, _END) is _END:
                self._read[number] = True
                break
            more -= 1

    def _head_for(self, packet: int) -> None:
        """Start another run of parsing if the current one does not reach ``packet``, or not on the shortest way.

        It starts at a packet with a real key frame: nothing after it refers to anything before, so every run gives the
        same values.
        """
        while True:
            key = int(np.searchsorted(self._keys, packet, "right")) - 1
            start = int(self._keys[key]) if key >= 0 else 0
            if self._stretch <= packet and start <= self._demuxer.next + NEAR:
                return
            # The run in progress ends: it reads from the same demuxer, which is somewhere else from here on.
            self._run, self._stretch = iter(()), len(self._index.packets)
            records = self._records(start)
            first = next(records, None)
            if start == 0 or (first and first.shown and first.shown.starts_scene):
                self._stretch = start
                self._run = self._estimates(chain([first] if first else [], records))
                return
            self._keys = np.delete(self._keys, key)

    def _records(self, start: int) -> Iterator[_Record]:
        """Parse the packets from ``start`` on. Spatial layers may be packets of their own: the last one is shown."""
        parser = Parser(self._extradata)
        self._demuxer.seek(start)
        picture = PictureMerger()
        while (data := self._demuxer.read()) is not None:
            packet = self._demuxer.next - 1
            number = int(self._index.frame_of[packet])
            try:
                unit = parser.parse(bytes(data))
            except Av1Error:
                unit = Unit.unreadable()
            if number < 0:  # the clip leaves it out, but its pictures may be copied from
                picture.add_hidden(unit.coded)
                continue
            for shown in unit.shown:
                picture.add_shown(shown)
            picture.add_hidden(unit.hidden)
            if packet == self._index.packet_of[number]:
                yield _Record(packet, number, picture.take())

    def _estimates(self, records: Iterable[_Record]) -> Iterator[None]:
        """Store base_q_idx and the estimate of each frame; yields after each packet."""
        estimator = SceneEstimator()
        numbers: list[int] = []
        for packet, number, shown in records:
            if estimator.is_complete(shown):
                self._note(numbers, estimator.finish())
                numbers = []
                self._stretch = packet
            estimator.add(shown)
            numbers.append(number)
            if shown and shown.frame:
                self._base_q_idx[number] = shown.frame.base_q_idx
            yield
        self._note(numbers, estimator.finish())

    def _note(self, numbers: list[int], estimate: float | None) -> None:
        if estimate is not None:
            self._estimate[numbers] = estimate
        self._read[numbers] = True
