"""What is special about AV1: film grain, and temporal units in pieces."""

from pathlib import Path

import av
import pytest

from vs_srcomp.av1.obu import ObuType, low_overhead_obus
from vs_srcomp.probe import probe
from vs_srcomp.source import source

from ..av1.ivf import write_ivf
from .reference import clip_digest, linear_digests, write_scenes


@pytest.fixture
def grainy(tmp_path: Path) -> Path:
    options = {"preset": "12", "svtav1-params": "film-grain=30"}
    return write_scenes(tmp_path / "g.mkv", 8, (128, 128), codec="libsvtav1", options=options)


def test_film_grain_is_left_out_unless_asked_for(grainy: Path) -> None:
    clean, applied = source(grainy), source(grainy, film_grain=True)
    assert [clip_digest(clean, n) for n in range(8)] == linear_digests(grainy)
    assert [clip_digest(applied, n) for n in range(8)] == linear_digests(grainy, film_grain=True)
    assert linear_digests(grainy) != linear_digests(grainy, film_grain=True)


def test_left_out_film_grain_is_reported_once(
    grainy: Path, messages: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for film_grain in (False, True):
        for frame in source(grainy, film_grain=film_grain).frames():
            frame.close()
    (message,) = [message for message in messages if "film grain" in message]
    assert "restore_grain" in message
    assert capfd.readouterr().out == ""


def test_packets_of_one_temporal_unit_are_one_frame(shared_data: Path, tmp_path: Path) -> None:
    """As encoders of spatial layers write them: one packet for each layer, with one timestamp."""
    whole = shared_data / "av1/av1.ivf"
    data = whole.read_bytes()
    pieces = bytearray(data[:32])
    with av.open(str(whole)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                unit = bytes(packet)
                assert unit[:2] == b"\x12\x00"  # a temporal delimiter
                for piece in (unit[:2], unit[2:]):
                    pieces += len(piece).to_bytes(4, "little") + (packet.pts or 0).to_bytes(8, "little") + piece
    file = tmp_path / "pieces.ivf"
    file.write_bytes(pieces)
    clip = source(file)
    expected = linear_digests(whole)
    assert len(clip) == len(expected)
    assert [clip_digest(clip, n) for n in (4, 0, 3, 1, 2)] == [expected[n] for n in (4, 0, 3, 1, 2)]


def test_two_frames_at_one_time_are_two(shared_data: Path) -> None:
    file = shared_data / "faults/D-two-frames-at-one-time.mkv"
    clip = source(file)
    expected = linear_digests(file)
    assert len(expected) == 50
    assert [clip_digest(clip, n) for n in range(50)] == expected
    backward = source(file)
    assert [clip_digest(backward, n) for n in range(50)[::-1]] == expected[::-1]
    times = [frame.props["_AbsoluteTime"] for frame in clip.frames()]
    assert times[24] == times[25]
    assert "_DurationNum" not in clip.get_frame(24).props
    assert {"SrcompBaseQIdx", "SrcompQ"} <= set(clip.get_frame(25).props)
    assert probe(file).frame_count == 50


def test_hidden_frames_in_packets_of_their_own_are_no_frames(shared_data: Path, tmp_path: Path) -> None:
    whole = write_scenes(tmp_path / "whole.ivf", 24, codec="libsvtav1", options={"preset": "8", "g": "12"})
    with av.open(str(whole)) as container:
        units = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    pieces: list[tuple[int, bytes]] = []
    for number, unit in enumerate(units):
        hidden: list[bytes] = []
        for one in low_overhead_obus(unit):
            obu = unit[one.start : one.end]
            if one.type == ObuType.FRAME and not unit[one.payload] & 0x90:
                pieces.append((2 * number, b"".join([*hidden, obu])))
                hidden.clear()
            else:
                hidden.append(obu)
        pieces.append((2 * number + 1, b"".join(hidden)))
    assert len(pieces) > len(units) == 24
    file = write_ivf(tmp_path / "pieces.ivf", pieces, (64, 48))
    clip = source(file)
    expected = linear_digests(whole)
    assert len(clip) == len(expected)
    assert [clip_digest(clip, n) for n in (23, 3, *range(24))] == [expected[n] for n in (23, 3, *range(24))]
    levels = [frame.props["SrcompQ"] for frame in clip.frames()]
    assert levels == pytest.approx([frame.q for frame in probe(whole).frames], abs=0.001)
    assert levels == [frame.props["SrcompQ"] for frame in source(whole).frames()]
