"""Unreadable input is one clear error, and damage affects only the frames concerned."""

import os
import random
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import vapoursynth as vs

from tests.helpers.films import Studio
from vs_srcomp.av1.tile_list import is_tile_list
from vs_srcomp.source import source

from .reference import clip_digest, linear_digests, write_scenes

only_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no /proc/self/mem")
AV1: dict[str, Any] = {"codec": "libsvtav1", "options": {"g": "10", "preset": "12"}}


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=r"srcomp: .*nothing.mkv' does not exist\ncheck the path"):
        source(tmp_path / "nothing.mkv")


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=r"srcomp: .* is not a regular file"):
        source(tmp_path)


@pytest.mark.parametrize("url", ["http://localhost/a.mkv", "rtsp://localhost/a", "https://localhost"])
def test_addresses(url: str) -> None:
    with pytest.raises(vs.Error, match=r"srcomp: .* is an address, not a file"):
        source(url)


def test_an_address_of_a_file_is_that_file(tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=r"srcomp: '.*/nothing.mkv' does not exist\ncheck the path"):
        source((tmp_path / "nothing.mkv").as_uri())


def test_a_colon_in_a_file_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scenes(tmp_path / "v.mkv", 3).rename(tmp_path / "http:v.mkv")
    monkeypatch.chdir(tmp_path)
    assert len(source("http:v.mkv")) == 3


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "e.mp4").touch()
    with pytest.raises(vs.Error, match=r"srcomp: .* is empty"):
        source(tmp_path / "e.mp4")


def test_text(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("this is not a video\n" * 100)
    with pytest.raises(vs.Error, match=r"srcomp: .* is a text file"):
        source(tmp_path / "t.txt")


def test_noise(tmp_path: Path) -> None:
    (tmp_path / "n.mp4").write_bytes(random.Random(0).randbytes(100_000))
    with pytest.raises(vs.Error, match=r"srcomp: .* cannot be opened"):
        source(tmp_path / "n.mp4")


def test_playlist_with_addresses(tmp_path: Path) -> None:
    (tmp_path / "p.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(vs.Error, match=r"srcomp: .* is a playlist"):
        source(tmp_path / "p.m3u8")


def test_audio_only(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(vs.Error, match=r"srcomp: .* has no video track"):
        source(file)


def test_wrong_arguments(shared_data: Path) -> None:
    file = shared_data / "av1/av1.webm"
    with pytest.raises(vs.Error, match=r"srcomp: track 1 does not exist .*\nchoose a track from 0 to 0"):
        source(file, track=1)
    with pytest.raises(vs.Error, match=r"srcomp: threads is -1"):
        source(file, threads=-1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 5}, "a path is needed, not int"),
        ({"path": None}, "a path is needed, not NoneType"),
        ({"path": ""}, "the name of a file is empty"),
        ({"film_grain": "off"}, "film_grain='off' is neither True nor False"),
        ({"track": "0"}, "track is '0'"),
        ({"track": 0.5}, "track is 0.5"),
        ({"track": -1}, "track -1 does not exist"),
        ({"threads": "4"}, "threads is '4'"),
        ({"threads": 257}, "threads is 257"),
    ],
)
def test_arguments_of_another_type_are_reported(arguments: dict[str, object], message: str, tmp_path: Path) -> None:
    path = arguments.pop("path", write_scenes(tmp_path / "in.mkv", 2))
    with pytest.raises(vs.Error) as refused:
        source(path, **arguments)  # type: ignore[arg-type]
    assert str(refused.value).startswith(f"srcomp: {message}")
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("kept", [0, 32])
def test_av1_without_frames(kept: int, tmp_path: Path) -> None:
    """What an encoder leaves that was stopped before the first one."""
    whole = write_scenes(tmp_path / "whole.ivf", 2, **AV1)
    cut = tmp_path / "cut.ivf"
    cut.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(vs.Error) as refused:
        source(cut)
    assert str(refused.value).startswith("srcomp: ")
    assert "cut.ivf" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2


def test_encrypted(shared_data: Path) -> None:
    with pytest.raises(vs.Error, match=r"srcomp: .* cannot be opened .*\n.*neither damaged nor encrypted"):
        source(shared_data / "av1/sample_av1c_fragmented_clearkey.mp4")


def test_tile_list(shared_data: Path) -> None:
    """Decoders in general show the frames that the tiles are taken from: not one of the pictures."""
    with pytest.raises(
        vs.Error, match=r"srcomp: .*vase_tile_list\.ivf' is AV1 for large scale tile decoding.*\n.*libaom"
    ):
        source(shared_data / "av1/vase_tile_list.ivf")


def test_damage_does_not_make_a_tile_list() -> None:
    tile = bytes([0, 1, 2, 0, 3]) + b"data"
    whole = bytes([0, 1, 0, 1]) + 2 * tile
    assert is_tile_list(whole)
    assert not any(is_tile_list(damaged) for damaged in (b"", whole[:-1], whole + b"\0", whole[:3], bytes(100)))


def test_file_names_that_are_not_text(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe v.mkv"
    os.rename(write_scenes(tmp_path / "v.mkv", 3), name)  # noqa: PTH104 (a Path cannot be made from bytes)
    clip = source(os.fsdecode(name))
    assert len(clip) == 3
    clip.get_frame(2)


@pytest.mark.parametrize("name", ["c.mp4", "c.mkv", "c.ivf", "c.obu"])
def test_a_cut_file_keeps_its_whole_frames(name: str, tmp_path: Path) -> None:
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    whole = write_scenes(tmp_path / f"whole-{name}", 40, **AV1, muxing=options)
    expected = linear_digests(whole)
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    middle = packets[25]
    cut = tmp_path / name
    cut.write_bytes(whole.read_bytes()[: (middle.pos or 0) + middle.size // 2])
    clip = source(cut)
    assert len(clip) == 25
    assert [clip_digest(clip, n) for n in range(25)] == expected[:25]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("damaged", [0, 13, 39])
def test_damage_costs_the_frames_up_to_the_next_key_frame(damaged: int, threads: int, tmp_path: Path) -> None:
    file = write_scenes(tmp_path / "d.mkv", 40, **AV1)
    expected = linear_digests(file)
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [n for n, packet in enumerate(packets) if packet.is_keyframe] == [0, 10, 20, 30]
    payload = bytes(packets[damaged])
    whole = file.read_bytes()
    assert whole.count(payload) == 1
    file.write_bytes(whole.replace(payload, b"\xff" * len(payload)))
    lost = range(damaged, damaged // 10 * 10 + 10)
    for order in (range(40), reversed(range(40))):
        clip = source(file, threads=threads)
        for n in order:
            if n in lost:
                with pytest.raises(vs.Error, match=rf"srcomp: frame {n} of .* its data is damaged"):
                    clip.get_frame(n)
            else:
                assert clip_digest(clip, n) == expected[n]


def test_another_size_in_mid_stream_is_an_error_of_those_frames(tmp_path: Path) -> None:
    small = write_scenes(tmp_path / "s.obu", 6, (64, 48), **AV1)
    large = write_scenes(tmp_path / "l.obu", 6, (96, 64), **AV1)
    both = tmp_path / "b.obu"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    clip = source(both)
    assert (len(clip), clip.width, clip.height) == (12, 64, 48)
    assert [clip_digest(clip, n) for n in range(6)] == linear_digests(small)
    with pytest.raises(vs.Error, match=r"srcomp: frame 6 of .* is yuv420p 96x64, but the clip began as yuv420p 64x48"):
        clip.get_frame(6)
    assert clip_digest(clip, 2) == linear_digests(small)[2]


@pytest.mark.parametrize("path", ["x" * 300 + ".mkv", pytest.param("/proc/self/mem", marks=only_linux)])
def test_files_that_cannot_be_read_are_errors_of_the_package(path: str) -> None:
    with pytest.raises(vs.Error, match=r"srcomp: .* cannot be read: .*\ncheck the path and its permissions"):
        source(path)


def test_a_file_that_is_cut_off_is_reported_when_it_is_opened(
    tmp_path: Path, shared_data: Path, messages: list[str]
) -> None:
    whole = shared_data / "av1" / "beach.webm"
    source(whole)
    assert messages == []
    part = tmp_path / "part.webm"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source(part)
    (message,) = messages
    assert "part.webm' ends after " in message
    assert message.endswith("it seems to be cut off")


def _picture(rate: str, seconds: int) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=size=64x48:rate={rate}:duration={seconds}")


_SOUND = ("-f", "lavfi", "-i", "sine=duration=6")
_CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
# Whole files whose picture ends before the file, begins after it, or is shown for long: FFmpeg's arguments.
_WHOLE = {
    "two.mp4": (*_picture("1", 2), *_CODED),
    "slide.mkv": (*_picture("0.2", 15), *_CODED),
    "slide.gif": _picture("0.2", 10),
    "late.mkv": ("-itsoffset", "2", *_picture("25", 4), *_SOUND, *_CODED),
    "longer-sound.mp4": (*_picture("25", 1), *_SOUND, *_CODED),
    "longer-sound.mkv": (*_picture("25", 1), *_SOUND, *_CODED),
    "from-60-s.mkv": (*_picture("25", 2), *_CODED, "-output_ts_offset", "60"),
    "from-60-s.webm": (*_picture("25", 1), "-c:v", "libvpx-vp9", "-output_ts_offset", "60"),
}


@pytest.mark.parametrize("name", _WHOLE)
def test_whole_files_are_not_called_cut_off(name: str, tmp_path: Path, messages: list[str]) -> None:
    source(Studio(tmp_path).make(*_WHOLE[name], name))
    assert [message for message in messages if "cut off" in message] == []


def test_a_file_that_is_cut_off_is_reported_once_per_process(
    tmp_path: Path, shared_data: Path, messages: list[str]
) -> None:
    part = tmp_path / "again.webm"
    part.write_bytes((shared_data / "av1" / "beach.webm").read_bytes()[:200_000])
    for _ in range(2):
        source(part)
    assert len(messages) == 1


def test_whole_numbers_of_other_libraries_are_numbers(tmp_path: Path) -> None:
    clip = source(write_scenes(tmp_path / "in.mkv", 2), track=np.int64(0), threads=np.int32(1))  # type: ignore[arg-type]
    assert len(list(clip.frames())) == 2
