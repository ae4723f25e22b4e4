"""Damage affects only the frames concerned: others are decoded, and lost ones raise the package's error."""

from collections.abc import Sequence
from pathlib import Path

import av
import pytest
import vapoursynth as vs

from vs_srcomp.source import source

from .mutations import material, run
from .reference import SHARED, clip_digest, linear_digests, write_scenes

SEEDS = 300


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"real test material is not there: {SHARED}")
def test_mutated_files_end_in_frames_or_in_errors_of_ours() -> None:
    """Ten thousand seeds: ``python -m tests.source.mutations 10000``."""
    assert {file.suffix for file in material()} >= {".mp4", ".mkv", ".webm", ".ivf", ".obu", ".avi", ".ts", ".264"}
    assert list(run(0, SEEDS)) == []


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("codec", ["ffv1", "mpeg4"])
def test_an_index_by_decoding_survives_a_refused_packet(
    codec: str, threads: int, shared_data: Path, messages: list[str]
) -> None:
    """Packet 20 is damaged, and packet 24 is the next key packet."""
    clip = source(shared_data / f"faults/E-damaged-{codec}.avi", threads=threads)
    times = [round(frame.props["_AbsoluteTime"] * 25) for frame in clip.frames(close=True)]
    assert times == [*range(20), *range(24, 50)]
    assert [message for message in messages if "4 packets of" in message and "left out" in message]
    assert clip.fps == 0


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    ("name", "frames", "good"),
    [("one-byte-damaged-av1.mkv", 125, 35), ("one-byte-damaged.obu", 173, 37), ("damaged-av1.webm", 10, 1)],
)
def test_frames_before_the_damage_come_out(name: str, frames: int, good: int, threads: int, shared_data: Path) -> None:
    file = shared_data / "faults" / f"E-{name}"
    clip = source(file, threads=threads)
    assert len(clip) == frames
    expected = linear_digests(file, most=good)
    for numbers in (range(good), range(good)[::-1]):
        assert [clip_digest(clip, n) for n in numbers] == [expected[n] for n in numbers]
    for n in (frames - 1, good, frames // 2 + 1):
        with pytest.raises(vs.Error, match=rf"srcomp: frame {n} of .* its data is damaged\nget an undamaged copy"):
            clip.get_frame(n)
    assert clip_digest(clip, 0) == expected[0]


@pytest.mark.parametrize("false", [(25, 28), range(40)], ids=["two", "all"])
def test_key_packets_that_are_none_lose_no_frame(false: Sequence[int], tmp_path: Path) -> None:
    """Decoding from them brings nothing; MP4 can mark any sample as one where it can begin."""
    whole = write_scenes(tmp_path / "whole.mkv", 40, codec="libsvtav1", options={"preset": "12", "g": "20"})
    file = tmp_path / "false.mp4"
    with av.open(str(whole)) as container, av.open(str(file), "w") as copy:
        stream = copy.add_stream_from_template(container.streams.video[0], opaque=True)
        for number, packet in enumerate(packet for packet in container.demux(video=0) if packet.size):
            packet.is_keyframe = packet.is_keyframe or number in false
            packet.stream = stream
            copy.mux(packet)
    expected = linear_digests(whole)
    for n in (29, 39, 26, 3):
        assert clip_digest(source(file), n) == expected[n]
    clip = source(file)
    for n in (39, 21, 0, 30):
        assert clip_digest(clip, n) == expected[n]


def test_what_a_decoder_fills_in_is_reported_once(tmp_path: Path, messages: list[str]) -> None:
    file = write_scenes(tmp_path / "v.mkv", 40, codec="mpeg4", options={"g": "12"})
    data = bytearray(file.read_bytes())
    with av.open(str(file)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for payload in (packets[15], packets[30]):
        end = data.index(payload) + len(payload)
        data[end - len(payload) // 2 : end] = b"\x55" * (len(payload) // 2)
    file.write_bytes(data)
    for frame in source(file).frames(close=True):
        frame.close()
    found = [message for message in messages if "filled in what it lacks" in message]
    assert len(found) == 1
    assert found[0].startswith("frame 15 ")


def test_a_file_without_a_picture_is_refused_at_once(shared_data: Path) -> None:
    with pytest.raises(vs.Error, match=r"srcomp: .* has no picture that can be decoded\n"):
        source(shared_data / "faults/E-five-bytes-damaged-av1.mkv")
