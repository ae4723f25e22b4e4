"""What is special about AV1: film grain, and temporal units in pieces."""

from pathlib import Path

import av
import pytest
import vapoursynth as vs

from vs_srcomp.source import source

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


def test_left_out_film_grain_is_told_once(grainy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    messages: list[str] = []
    handler = vs.core.add_log_handler(lambda _, message: messages.append(message))
    try:
        for film_grain in (False, True):
            for frame in source(grainy, film_grain=film_grain).frames():
                frame.close()
    finally:
        vs.core.remove_log_handler(handler)
    told = [message for message in messages if "film grain" in message]
    assert len(told) == 1
    assert told[0].startswith("srcomp: ")
    assert "film_grain=True" in told[0]
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
