"""Whole files: one record for each frame that a decoder shows, in its order."""

import json
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import av
import pytest
import vapoursynth as vs

from tests.av1.conftest import REAL_STREAMS
from tests.av1.ivf import write_ivf
from vs_srcomp.av1 import FrameType
from vs_srcomp.av1.obu import low_overhead_obus
from vs_srcomp.source.scan import ScanCancelledError, scan


def _units(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as container:
        return [(i, bytes(packet)) for i, packet in enumerate(container.demux(video=0)) if packet.size]


@pytest.mark.parametrize(
    "name",
    ["aom-crf", "aom-still-reduced", "aom-small", "svt-resize", "svt-superres", "svt-open-gop", "rav1e-segments"],
)
def test_records_are_the_decoded_frames(name: str, made: Callable[[str], Path]) -> None:
    path = made(name)
    with av.open(str(path)) as container:
        decoded = [(frame.pts, frame.width, frame.height, frame.key_frame) for frame in container.decode(video=0)]
    records = list(scan(path))
    assert [
        (record.pts, record.frame.width, record.frame.height, record.starts_scene) for record in records if record.frame
    ] == decoded
    assert len(records) == len(decoded)


@pytest.mark.parametrize("path", REAL_STREAMS, ids=lambda path: path.name)
def test_real_streams_have_as_many_records_as_frames(path: Path) -> None:
    known = json.loads((path.parent / "frame_md5.json").read_text())[path.name]
    if "frames" not in known:
        pytest.skip(f"no decoder put out frames of it: {known['error']}")
    records = list(scan(path))
    assert min(len(records), 60) == known["frames"]  # no more were decoded
    assert all(record.frame is not None for record in records)


def test_an_unknown_codec_tag_may_hold_av1(shared_data: Path) -> None:
    records = list(scan(shared_data / "av1" / "video_dovi_3840x2160_30fps_dav1_10.mp4"))
    assert len(records) == 119  # an edit list removes the last one
    assert {record.frame and (record.frame.width, record.frame.height) for record in records} == {(3840, 2160)}


def test_what_hides_behind_an_unknown_codec_tag(made: Callable[[str], Path], tmp_path: Path) -> None:
    path = made("svt-crf")
    tagged = tmp_path / "dav1.mp4"
    tagged.write_bytes(path.read_bytes().replace(b"av01", b"dav1"))
    assert list(scan(tagged)) == list(scan(path))

    other = _picture(tmp_path / "mjpeg.mov", "mjpeg", "yuvj420p")
    other.write_bytes(other.read_bytes().replace(b"jpeg", b"none"))
    with pytest.raises(vs.Error, match="unknown codec"):
        next(scan(other))


def _picture(path: Path, codec: str, pixels: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 25, width=64, height=64, pix_fmt=pixels)
        assert isinstance(stream, av.VideoStream)
        container.mux(stream.encode(av.VideoFrame(64, 64, pixels)))
        container.mux(stream.encode(None))
    return path


def test_hidden_frames_are_shown_later(made: Callable[[str], Path]) -> None:
    records = list(scan(made("aom-crf")))
    coded = [frame for record in records for frame in record.coded]
    existing = [record for record in records if record.existing_slot is not None]
    hidden = [frame for frame in coded if not frame.show_frame]
    assert len(existing) >= 3
    assert all(any(record.frame is frame for frame in hidden) for record in existing)
    assert sum(record.frame is frame for record in records for frame in record.coded) == len(records) - len(existing)


def test_coded_bytes_are_those_of_the_packets(made: Callable[[str], Path]) -> None:
    path = made("aom-realtime-cyclic")  # no hidden frames, and Matroska keeps no temporal delimiters
    sizes = [len(data) for _, data in _units(path)]
    records = list(scan(path))
    assert records[0].frame is not None
    assert records[0].frame.size < sizes[0]  # a sequence header comes before it
    assert [record.frame.size for record in records[1:] if record.frame] == sizes[1:]


def test_a_scan_is_kept_until_the_file_changes(made: Callable[[str], Path], tmp_path: Path) -> None:
    path = write_ivf(tmp_path / "kept.ivf", _units(made("svt-low-delay")))
    first = list(scan(path))
    again = list(scan(str(path)))
    assert len(again) == 16
    assert all(one is other for one, other in zip(first, again, strict=True))
    write_ivf(path, _units(made("svt-low-delay"))[:4])
    assert len(list(scan(path))) == 4


def test_old_scans_make_room(made: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("vs_srcomp.source.scan"), "_CACHED_FRAMES", 20)
    old = write_ivf(tmp_path / "old.ivf", _units(made("svt-low-delay")))
    new = write_ivf(tmp_path / "new.ivf", _units(made("svt-low-delay")))
    first_of_old, first_of_new = next(iter(list(scan(old)))), next(iter(list(scan(new))))
    assert next(scan(new)) is first_of_new
    assert next(scan(old)) is not first_of_old


def test_first_records_come_at_once_and_an_event_cancels(made: Callable[[str], Path], tmp_path: Path) -> None:
    units = _units(made("svt-low-delay"))
    path = write_ivf(tmp_path / "long.ivf", [(i, data) for i in range(50) for _, data in units])
    cancelled = threading.Event()
    asked = 0

    def cancel() -> bool:
        nonlocal asked
        asked += 1
        return cancelled.is_set()

    records = scan(path, cancel=cancel)
    assert next(records).frame is not None
    assert asked == 1
    cancelled.set()
    with pytest.raises(ScanCancelledError):
        next(records)
    assert len(list(scan(path))) == 50 * 16  # what was cancelled is not taken for the whole


def test_a_start_in_the_middle_is_unknown_until_a_key_frame(made: Callable[[str], Path], tmp_path: Path) -> None:
    path = made("aom-crf")
    whole = list(scan(path))
    keys = [i for i, record in enumerate(whole) if record.starts_scene]
    assert keys[:2] == [0, 9]
    part = list(scan(write_ivf(tmp_path / "part.ivf", _units(path)[5:])))
    assert [record.frame for record in part] == [None] * 4 + [record.frame for record in whole[9:]]
    assert [record.coded for record in part] == [()] * 4 + [record.coded for record in whole[9:]]


def test_a_damaged_unit_is_unknown_and_so_is_what_needs_it(made: Callable[[str], Path], tmp_path: Path) -> None:
    path = made("aom-crf")
    whole = list(scan(path))
    units = _units(path)
    units[3] = (3, b"\x32\x7f\x00")  # a frame OBU that claims more bytes than there are
    damaged = list(scan(write_ivf(tmp_path / "damaged.ivf", units)))
    known = [record.frame for record in whole]
    assert [record.frame for record in damaged] == known[:3] + [None] * 6 + known[9:]


def test_hidden_frames_in_packets_of_their_own(made: Callable[[str], Path], tmp_path: Path) -> None:
    units = _units(made("svt-crf"))
    whole = list(scan(made("svt-crf")))
    split: list[tuple[int, bytes]] = []
    for pts, unit in units:
        *before, last = [unit[one.start : one.end] for one in low_overhead_obus(unit)]
        if len(whole[pts].coded) > 1:
            split.append((pts, b"".join(before)))
            split.append((pts, last))
        else:
            split.append((pts, unit))
    assert len(split) > len(units)
    records = list(scan(write_ivf(tmp_path / "split.ivf", split)))
    assert [record[1:] for record in records] == [record[1:] for record in whole]


def test_other_files_are_distinguished(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video " * 100)
    with pytest.raises(vs.Error, match="cannot be opened"):
        next(scan(text))
    with pytest.raises(vs.Error, match="mpeg4 video, not AV1"):
        next(scan(_picture(tmp_path / "mpeg4.mkv", "mpeg4", "yuv420p")))
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        audio = container.add_stream("pcm_s16le", 48000, layout="mono")
        silence = av.AudioFrame("s16", "mono", 480)
        silence.sample_rate = 48000
        container.mux(audio.encode(silence))
        container.mux(audio.encode(None))
    with pytest.raises(vs.Error, match="no video track"):
        next(scan(sound))
    with pytest.raises(vs.Error, match="does not exist"):
        next(scan(tmp_path / "absent.mkv"))


def test_switch_frames_and_intra_only_frames_are_named(made: Callable[[str], Path]) -> None:
    def types(name: str) -> set[FrameType]:
        return {frame.frame_type for record in scan(made(name)) for frame in record.coded}

    assert types("svt-s-frames") == {FrameType.KEY, FrameType.INTER, FrameType.SWITCH}
    assert types("svt-open-gop") == {FrameType.KEY, FrameType.INTER, FrameType.INTRA_ONLY}
