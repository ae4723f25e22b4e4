"""OBUs in both formats."""

from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vs_srcomp.av1 import Av1Error, Parser
from vs_srcomp.av1.bits import leb128 as read_leb128
from vs_srcomp.av1.obu import ObuType, annex_b_obus, low_overhead_obus

from .bitwriter import leb128, obu

_OBUS = st.lists(
    st.tuples(
        st.integers(0, 15),
        st.binary(max_size=300),
        st.none() | st.tuples(st.integers(0, 7), st.integers(0, 3)),
    ),
    max_size=6,
)
_Obus = list[tuple[int, bytes, tuple[int, int] | None]]


def _annex_b(obus: list[bytes]) -> bytes:
    """One temporal unit of one frame unit."""
    frame = b"".join(leb128(len(one)) + one for one in obus)
    unit = leb128(len(frame)) + frame
    return leb128(len(unit)) + unit


@given(_OBUS)
def test_low_overhead(written: _Obus) -> None:
    data = b"".join(obu(kind, payload, layer=layer) for kind, payload, layer in written)
    found = list(low_overhead_obus(data))
    assert [(one.type, data[one.payload : one.end]) for one in found] == [
        (kind, payload) for kind, payload, _ in written
    ]
    assert [(one.temporal_id, one.spatial_id) if one.has_extension else None for one in found] == [
        layer for *_, layer in written
    ]
    assert sum(one.size for one in found) == len(data)


@given(_OBUS, st.booleans())
def test_annex_b_gives_the_same(written: _Obus, sized: bool) -> None:
    data = _annex_b([obu(kind, payload, layer=layer, sized=sized) for kind, payload, layer in written])
    found = list(annex_b_obus(data))
    assert [(one.type, data[one.payload : one.end]) for one in found] == [
        (kind, payload) for kind, payload, _ in written
    ]


def test_the_last_obu_may_lack_its_size() -> None:
    data = obu(ObuType.TEMPORAL_DELIMITER, b"") + obu(ObuType.PADDING, b"abc", sized=False)
    last = list(low_overhead_obus(data))[-1]
    assert (last.type, data[last.payload : last.end]) == (ObuType.PADDING, b"abc")


@pytest.mark.parametrize(
    ("data", "section"),
    [
        (b"\x80", "5.3.2"),
        (b"\x04", "5.3.3"),
        (b"\x12", "5.3.1"),
        (b"\x12\x05abc", "5.3.1"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\x01", "5.3.1"),
    ],
)
def test_malformed(data: bytes, section: str) -> None:
    with pytest.raises(Av1Error) as caught:
        list(low_overhead_obus(data))
    assert caught.value.section.startswith(section)


def test_annex_b_lengths_must_fit() -> None:
    with pytest.raises(Av1Error) as caught:
        list(annex_b_obus(b"\x03\x05\x01\x10"))
    assert caught.value.section == "B.2 frame_unit_size"


def temporal_units(data: bytes) -> Iterator[bytes]:
    """Those of an Annex B bitstream, each with its size before it."""
    at = 0
    while at < len(data):
        size, begin = read_leb128(data, at, len(data), "B.2 temporal_unit_size")
        yield data[at : begin + size]
        at = begin + size


def test_an_annex_b_file_parses_as_its_demuxed_packets(shared_data: Path) -> None:
    path = shared_data / "av1" / "av1.annexb.obu"
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    units = list(temporal_units(path.read_bytes()))
    assert len(units) == len(packets) == 5
    by_file, by_packet = Parser(annex_b=True), Parser()
    for unit, packet in zip(units, packets, strict=True):
        ours, theirs = by_file.parse(unit), by_packet.parse(packet)
        # FFmpeg writes sizes into the OBUs; but for those bytes they are the same frames.
        assert [shown.frame and shown.frame._replace(size=0) for shown in ours.shown] == [
            shown.frame and shown.frame._replace(size=0) for shown in theirs.shown
        ]
