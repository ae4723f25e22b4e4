"""Every header of real and of made streams, field by field and bit for bit against FFmpeg's trace_headers."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av
import pytest

from vs_srcomp.av1 import Parser
from vs_srcomp.av1.state import FrameHeader

from .conftest import REAL_STREAMS
from .oracle import Reference, Tracer
from .streams import RECIPES

_MOST_UNITS = 1500  # FFmpeg's trace takes about a millisecond a unit

_REFUSED_FROM = {"vase_tile_list.ivf": 4}  # FFmpeg refuses the frame without tiles before its tile lists


def _packets(path: Path) -> tuple[list[bytes], bytes]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        extradata = (context.extradata if context else None) or b""
        packets = (data for packet in container.demux(stream) if (data := bytes(packet)))
        return list(islice(packets, _MOST_UNITS)), extradata


def _compare(path: Path, headers: list[FrameHeader]) -> tuple[int, int]:
    """How many units FFmpeg can read and how many frames they show, all of them as it says."""
    packets, extradata = _packets(path)
    under_test = Parser(extradata)
    tracer = Tracer()
    reference = Reference()
    shown_frames = 0
    for i, packet in enumerate(packets):
        obus = tracer.feed(packet)
        if obus is None:
            return i, shown_frames
        headers.clear()
        unit = under_test.parse(packet)
        coded, shown, bits = reference.unit(obus, headers)
        assert [header.header_bits for header in headers] == bits, f"unit {i}"
        got = [frame for record in unit.shown for frame in record.coded] + list(unit.hidden)
        assert got == coded, f"unit {i}"
        assert [record.frame for record in unit.shown] == shown, f"unit {i}"
        shown_frames += len(shown)
    return len(packets), shown_frames


@pytest.mark.parametrize("path", REAL_STREAMS, ids=lambda path: path.name)
def test_real_stream(path: Path, headers: list[FrameHeader]) -> None:
    units, shown = _compare(path, headers)
    assert units == _REFUSED_FROM.get(path.name, len(_packets(path)[0]))
    assert shown == units


@pytest.mark.parametrize("name", RECIPES)
def test_made_stream(name: str, made: Callable[[str], Path], headers: list[FrameHeader]) -> None:
    units, shown = _compare(made(name), headers)
    assert units == shown == RECIPES[name].frames
