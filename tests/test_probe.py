"""Facts about a file without decoding it."""

import shutil
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image

from tests.av1.ivf import write_ivf
from tests.av1.layers import BOTH_LAYERS, DELIMITER, in_layers
from tests.av1.streams import RECIPES, make_stream
from tests.helpers.field_pictures import write_fields
from tests.source.reference import video_frame, write_scenes, write_video
from tests.tolerances import PRINTED_Q
from vs_srcomp.av1 import FrameType
from vs_srcomp.probe import probe
from vs_srcomp.source import source
from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.quantizer import quantizers_of
from vs_srcomp.source.scan import scan


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three key frames, with pyramids between them."""
    options = {"preset": "12", "crf": "40", "g": "24", "svtav1-params": "lp=1:scd=0"}
    return write_scenes(tmp_path_factory.mktemp("q") / "q.mkv", 60, (64, 64), codec="libsvtav1", options=options)


def test_every_frame_is_there_as_the_scan_and_the_clip_tell(film: Path) -> None:
    found = probe(film)
    clip = source(film)
    shown = list(scan(film))
    assert (found.frame_count, found.complete) == (60, True)
    assert len(found.frames) == len(shown) == len(clip)
    for number, (frame, record) in enumerate(zip(found.frames, shown, strict=True)):
        coded = record.frame
        assert coded is not None
        assert FrameType[str(frame.type).upper()] == coded.frame_type
        assert frame.shows_existing == (record.existing_slot is not None)
        assert (frame.base_q_idx, frame.min_q_idx, frame.max_q_idx) == (
            coded.base_q_idx, coded.min_q_idx, coded.max_q_idx,
        )  # fmt: skip
        assert (frame.width, frame.height, frame.superres_denom) == (64, 64, 8)
        assert frame.bytes == sum(part.size for part in record.coded)
        with clip.get_frame(number) as picture:
            assert frame.time == pytest.approx(picture.props["_AbsoluteTime"])
            assert frame.q == pytest.approx(picture.props["SrcompQ"], abs=PRINTED_Q)
    assert any(frame.shows_existing for frame in found.frames)


def _cut(film: Path, target: Path, *, first: int = 0, shift: int = 0) -> Path:
    """The packets of ``film`` from number ``first`` on, ``shift`` frames earlier."""
    with av.open(str(film)) as whole, av.open(str(target), "w", options={"movflags": "faststart"}) as part:
        track = whole.streams.video[0]
        copy = part.add_stream_from_template(track, opaque=True)
        assert track.time_base is not None
        earlier = round(shift / 25 / track.time_base)
        for packet in [packet for packet in whole.demux(track) if packet.size][first:]:
            assert packet.pts is not None
            packet.pts, packet.dts = packet.pts - earlier, None
            packet.stream = copy
            part.mux(packet)
    return target


def _check_same_frames(file: Path) -> None:
    """The probe and the clip have the same frames, at the same times and of the same level."""
    found, clip = probe(file), source(file)
    assert found.frame_count == len(found.frames) == len(clip)
    for number, frame in enumerate(found.frames):
        with clip.get_frame(number) as picture:
            assert frame.time == pytest.approx(picture.props["_AbsoluteTime"])
            assert frame.base_q_idx == picture.props["SrcompBaseQIdx"]
            assert frame.q == pytest.approx(picture.props["SrcompQ"], abs=PRINTED_Q)


def test_frames_that_an_edit_list_removes_are_not_there(film: Path, tmp_path: Path) -> None:
    file = _cut(film, tmp_path / "edited.mp4", shift=10)
    assert len(source(file)) <= 50
    _check_same_frames(file)


def test_the_incomplete_frame_at_the_end_of_a_truncated_file_is_not_there(film: Path, tmp_path: Path) -> None:
    file = _cut(film, tmp_path / "whole.mp4")
    with av.open(str(file)) as container:
        last = [packet for packet in container.demux(video=0) if packet.size][40]
        assert last.pos is not None
        file.write_bytes(file.read_bytes()[: last.pos + last.size // 2])
    assert len(source(file)) < 60
    _check_same_frames(file)


def test_where_a_stream_begins_between_key_frames_only_decoding_shows_the_first(
    film: Path, tmp_path: Path, messages: list[str]
) -> None:
    file = _cut(film, tmp_path / "cut.mkv", first=5)
    clip = source(file)
    assert f"the first 19 frames of '{file}' cannot be decoded without" in "\n".join(messages)
    for number in range(len(clip)):
        clip.get_frame(number).close()
    assert len(clip) == 60 - 24
    assert probe(file).frame_count is None


def test_the_size_is_that_of_the_clip_in_whole_chroma_samples(tmp_path: Path) -> None:
    planes = [np.full(size, 128, np.uint8) for size in ((67, 65), (34, 33), (34, 33))]
    file = write_video(tmp_path / "odd.mkv", [video_frame(planes, "yuv420p", 65, 67)] * 2, codec="libvpx-vp9")
    found, clip = probe(file), source(file)
    assert (found.width, found.height) == (clip.width, clip.height) == (64, 66)


def test_a_picture_has_the_size_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "odd.jpg"
    Image.new("RGB", (65, 67), "gray").save(file)
    found = probe(file)
    assert (found.width, found.height, found.frames[0].width) == (65, 67, 65)


def test_facts(film: Path) -> None:
    found = probe(film)
    assert (found.codec, found.width, found.height, found.bit_depth) == ("av1", 64, 64, 8)
    assert (found.frame_rate, found.variable_frame_rate) == (Fraction(25), False)
    assert (found.may_have_film_grain, found.spatial_layers, found.temporal_layers) == (False, 1, 1)
    assert "Matroska" in found.container
    assert sum(found.levels.values()) == 60


def test_scenes_follow_each_other_and_hold_every_frame(film: Path) -> None:
    found = probe(film)
    scenes = found.scenes
    assert [scene.frames for scene in scenes] == [24, 24, 12]
    assert [scene.start for scene in scenes] == pytest.approx([0, 0.96, 1.92])
    assert [scene.end for scene in scenes] == pytest.approx([0.96, 1.92, 2.4])
    assert (
        sorted(scene.q for scene in scenes if scene.q)[1] - 3
        < (found.q or 0)
        < sorted(scene.q for scene in scenes if scene.q)[1] + 3
    )


def test_variable_frame_rate(tmp_path: Path) -> None:
    times = [0, 40, 80, 200, 210, 500]
    options = {"preset": "12", "svtav1-params": "lp=1"}
    file = write_scenes(
        tmp_path / "v.mkv", 6, (64, 64), codec="libsvtav1", options=options, pts=times, time_base=Fraction(1, 1000)
    )
    found = probe(file)
    assert (found.frame_rate, found.variable_frame_rate) == (None, True)
    assert [frame.time for frame in found.frames] == [time / 1000 for time in times]


@pytest.mark.parametrize(
    ("name", "frames"),
    [("aom-film-grain", "film_grain"), ("svt-superres", "superres_denom"), ("aom-deltaq", "delta_q_present")],
)
def test_what_streams_have_is_seen(name: str, frames: str, tmp_path: Path) -> None:
    found = probe(make_stream(RECIPES[name], tmp_path, name))
    values = [getattr(frame, frames) for frame in found.frames]
    assert any(value > 8 if frames == "superres_denom" else value for value in values)
    assert found.may_have_film_grain == (name == "aom-film-grain")


def test_what_cannot_be_read_in_time_is_left_out(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file of its own: a complete scan of the shared one may have been kept, and takes no time.
    file = tmp_path / "long.mp4"
    shutil.copyfile(shared_data / "av1/long_180p_av1.mp4", file)
    # A clock by which each look at it takes a hundredth of a second, whatever the machine.
    looks = count()
    monkeypatch.setattr("vs_srcomp.probe.time", SimpleNamespace(monotonic=lambda: next(looks) / 100))
    found = probe(file, seconds=0.5)
    whole = [shown.frame.base_q_idx for shown in scan(file) if shown.frame]
    assert not found.complete
    assert found.frame_count is None
    assert 0 < len(found.frames) < len(whole)
    assert [frame.base_q_idx for frame in found.frames] == whole[: len(found.frames)]
    assert found.q is not None


def test_a_quick_look_does_not_find_the_rate(film: Path) -> None:
    found = probe(film, seconds=600)
    assert found.complete
    assert found.frame_count == len(found.frames) > 0
    assert found.variable_frame_rate is None


@pytest.mark.parametrize("codec", ["mpeg4", "ffv1"])
def test_of_other_codecs_only_the_container_is_read(codec: str, tmp_path: Path) -> None:
    found = probe(write_scenes(tmp_path / "o.mkv", 5, (64, 48), codec=codec))
    assert (found.codec, found.width, found.height, found.bit_depth) == (codec, 64, 48, 8)
    assert (found.frame_count, found.frame_rate) == (5, Fraction(25))
    assert (found.frames, found.q, found.scenes, found.may_have_film_grain) == ((), None, (), None)


def test_a_raw_stream_whose_frames_only_decoding_counts(shared_data: Path) -> None:
    found = probe(shared_data / "video/VID_1280x720_cabac_temporal_direct.264")
    assert (found.codec, found.width, found.height, found.frame_count) == ("h264", 1280, 720, None)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_packets_of_fields_are_not_counted_as_frames(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"fields{suffix}"
    write_fields(file, 10)
    found = probe(file)
    assert len(source(file)) == 10
    assert (found.codec, found.frame_count, found.frame_rate) == ("h264", None, None)


def test_packets_that_are_not_shown_are_not_counted_as_frames(tmp_path: Path) -> None:
    """Interlaced, with times of decoding, and two frames before the beginning of the edit list."""
    file = tmp_path / "cut.mp4"
    with av.open(str(file), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = {"x264-params": "tff=1:bframes=2:b-adapt=0:scenecut=0:threads=1", "flags": "+ildct+ilme"}
        rng = np.random.default_rng(1)
        frames = (
            av.VideoFrame.from_ndarray(rng.integers(256, size=(96, 64), dtype=np.uint8), "yuv420p") for _ in range(12)
        )
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = number - 2
            packet.time_base = Fraction(1, 25)
            container.mux(packet)
    assert probe(file).frame_count == len(source(file)) == 10


@pytest.mark.parametrize("packets_each", [1, 2])
def test_layers_are_reported_and_the_highest_counts(packets_each: int, tmp_path: Path) -> None:
    """Put together from a stream without layers; source() gives the same."""
    flat = make_stream(RECIPES["aom-realtime-cyclic"], tmp_path, "flat")
    with av.open(str(flat)) as container:
        units = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    layers = in_layers(units, BOTH_LAYERS)
    packets = [(i // 2, (b"" if i % 2 else DELIMITER) + unit) for i, unit in enumerate(layers)]
    if packets_each == 1:
        packets = [(i, packets[2 * i][1] + packets[2 * i + 1][1]) for i in range(8)]
    file = write_ivf(tmp_path / "layers.ivf", packets)
    found = probe(file)
    assert (found.spatial_layers, found.frame_count) == (2, 8)
    base_q_idx = [shown.frame.base_q_idx for shown in scan(flat) if shown.frame][1::2]
    assert [frame.base_q_idx for frame in found.frames] == base_q_idx
    decoder = Decoder(str(file), 0, film_grain=False, threads=1)
    quantizers = quantizers_of(str(file), 0, decoder.index)
    decoder.close()
    assert quantizers is not None
    for number in (5, 0, 7, 3):
        props = quantizers.props(number)
        assert props["SrcompBaseQIdx"] == base_q_idx[number]
        assert props["SrcompQ"] == pytest.approx(found.frames[number].q, abs=PRINTED_Q)


@pytest.mark.parametrize("codec", ["libsvtav1", "mpeg4"])
@pytest.mark.parametrize("seconds", [None, 1.0])
def test_a_file_that_ends_in_its_first_picture_has_none(codec: str, seconds: float | None, tmp_path: Path) -> None:
    options = {"preset": "12", "svtav1-params": "lp=1"} if codec == "libsvtav1" else {}
    file = write_scenes(tmp_path / "film.mkv", 5, (64, 64), codec=codec, options=options)
    with av.open(str(file)) as container:
        first = next(container.demux(video=0))
        assert first.pos is not None
    file.write_bytes(file.read_bytes()[: first.pos + first.size // 2])
    with pytest.raises(vs.Error, match=r"has no picture that can be decoded\ncheck"):
        probe(file, seconds=seconds)


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    text = tmp_path / "notes.mkv"
    text.write_text("no video")
    for path in (text, tmp_path / "absent.mkv", tmp_path):
        with pytest.raises(vs.Error, match=r"^srcomp: .*\n.+$"):
            probe(path)
