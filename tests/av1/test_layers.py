"""Spatial layers, made from a stream without layers."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from vs_srcomp.av1 import Parser, ShownFrame
from vs_srcomp.av1.layers import Layers, Part
from vs_srcomp.av1.obu import ObuType, low_overhead_obus
from vs_srcomp.source.scan import scan

from .ivf import write_ivf
from .layers import BASE_LAYER, BOTH_LAYERS, DELIMITER, in_layers


@pytest.fixture
def flat(made: Callable[[str], Path]) -> list[ShownFrame]:
    return list(scan(made("aom-realtime-cyclic")))


@pytest.fixture
def units(made: Callable[[str], Path]) -> list[bytes]:
    return _packets(made("aom-realtime-cyclic"))


def _packets(file: Path) -> list[bytes]:
    with av.open(str(file)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_layers_in_one_packet(flat: list[ShownFrame], units: list[bytes], tmp_path: Path) -> None:
    layers = in_layers(units, BOTH_LAYERS)
    packets = [(i, DELIMITER + layers[2 * i] + layers[2 * i + 1]) for i in range(len(units) // 2)]
    records = list(scan(write_ivf(tmp_path / "layers.ivf", packets)))
    _check(records, flat)


def test_a_packet_for_each_layer(flat: list[ShownFrame], units: list[bytes], tmp_path: Path) -> None:
    packets = [(i // 2, (b"" if i % 2 else DELIMITER) + unit) for i, unit in enumerate(in_layers(units, BOTH_LAYERS))]
    records = list(scan(write_ivf(tmp_path / "packets.ivf", packets)))
    _check(records, flat)


def test_times_do_not_tell_which_packets_are_layers(flat: list[ShownFrame], units: list[bytes], tmp_path: Path) -> None:
    layers = [(i, (b"" if i % 2 else DELIMITER) + unit) for i, unit in enumerate(in_layers(units, BOTH_LAYERS))]
    assert len(list(scan(write_ivf(tmp_path / "layers.ivf", layers)))) == 8
    pictures = [(i // 2, unit) for i, unit in enumerate(units)]
    records = list(scan(write_ivf(tmp_path / "pictures.ivf", pictures)))
    assert [record.frame for record in records] == [record.frame for record in flat]


def test_what_each_packet_brings(units: list[bytes]) -> None:
    layered = Layers()
    assert [layered.part(unit) for unit in in_layers(units, BOTH_LAYERS)] == [Part.PICTURE, Part.FURTHER_LAYER] * 8
    assert layered.part(DELIMITER) == Part.NOTHING
    assert layered.part(in_layers(units, BOTH_LAYERS)[1]) == Part.PICTURE  # of the next unit, which lacks its base
    base = Layers()
    assert [base.part(unit) for unit in in_layers(units, BASE_LAYER)] == [Part.PICTURE, Part.NOTHING] * 8
    flat = Layers()
    assert [flat.part(memoryview(unit)) for unit in units] == [Part.PICTURE] * 16
    assert flat.part(DELIMITER) == Part.NOTHING


@pytest.mark.parametrize("name", ["svt-crf", "svt-open-gop", "aom-crf", "aom-realtime-cyclic"])
def test_hidden_frames_are_no_pictures(name: str, made: Callable[[str], Path]) -> None:
    """Every frame in a packet of its own: as many bring pictures as a full parse of the headers finds."""
    layers, parser = Layers(), Parser()
    for unit in _packets(made(name)):
        pieces, piece = [], b""
        for one in low_overhead_obus(unit):
            piece += unit[one.start : one.end]
            if one.type in (ObuType.FRAME, ObuType.FRAME_HEADER):
                pieces.append(piece)
                piece = b""
        pieces[-1] += piece
        for one_frame in pieces:
            assert (layers.part(one_frame) == Part.PICTURE) == bool(parser.parse(one_frame).shown)


@pytest.mark.parametrize("damaged", [b"", b"\x32", b"\x32\x7f\x10", b"\x36\x00", b"\xff" * 9, b"\x0a\x01\xff"])
def test_what_cannot_be_parsed_counts_as_a_picture(damaged: bytes, units: list[bytes]) -> None:
    for layers in (Layers(), Layers(damaged)):
        assert layers.part(damaged) == (Part.PICTURE if damaged else Part.NOTHING)
        layers.part(units[0])
        assert layers.part(damaged) == (Part.PICTURE if damaged else Part.NOTHING)


def _check(records: list[ShownFrame], flat: list[ShownFrame]) -> None:
    assert len(flat) == 16
    assert [record.pts for record in records] == list(range(8))
    for i, record in enumerate(records):
        base, top = flat[2 * i].frame, flat[2 * i + 1].frame
        assert record.frame is not None
        assert top is not None
        assert base is not None
        assert [frame._replace(size=0) for frame in record.coded] == [base._replace(size=0), top._replace(size=0)]
        assert record.frame is record.coded[1]


def test_frames_outside_the_operating_point_are_dropped(
    flat: list[ShownFrame], units: list[bytes], tmp_path: Path
) -> None:
    packets = [(i, DELIMITER + unit) for i, unit in enumerate(in_layers(units, BASE_LAYER))]
    records = list(scan(write_ivf(tmp_path / "base.ivf", packets)))
    assert [record.pts for record in records] == list(range(0, 16, 2))
    assert [record.frame and record.frame.base_q_idx for record in records] == [
        record.frame and record.frame.base_q_idx for record in flat[::2]
    ]
