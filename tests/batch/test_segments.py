"""A job in segments gives the same result for any process and any order."""

import gc
import threading
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs

import vs_srcomp
from tests.helpers.films import Studio, durations_of, frames_of, packets_of, times_of
from vs_srcomp.batch.cut import cut
from vs_srcomp.batch.join import join
from vs_srcomp.batch.records import SegmentRecord, Share
from vs_srcomp.batch.segments import close_source, encode_segment
from vs_srcomp.progress import CancelledError
from vs_srcomp.transcode import Job, Result, transcode

ENCODERS = {"svt-av1": "12", "x264": "ultrafast", "x265": "ultrafast", "ffv1": None}


@pytest.fixture
def job(film: Path, model: Path, tmp_path: Path) -> Job:
    return Job(source=film, target=tmp_path / "out.mkv", model=model, preset=12, crf=50, segment_seconds=0.4)


def work_through(job: Job, folder: Path, *, backwards: bool = False, share: Share | None = None) -> Result:
    """Do ``job`` in segments."""
    folder.mkdir()
    segments = cut(job)
    order = segments[::-1] if backwards else segments
    records = {s.index: encode_segment(job, s, folder / s.name, share=share) for s in order}
    return join(job, segments, [records[segment.index] for segment in segments], folder)


def streams_of(path: Path) -> list[tuple[str, str, dict[str, str]]]:
    with av.open(str(path)) as container:
        return [(s.type, str(s.codec_context and s.codec_context.name), dict(s.metadata)) for s in container.streams]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_neither_order_nor_threads_nor_neighbours_change_a_packet(job: Job, encoder: str, tmp_path: Path) -> None:
    job = replace(job, encoder=encoder, preset=ENCODERS[encoder], crf=None)
    forwards = work_through(job, tmp_path / "forwards", share=Share(threads=1))
    other = replace(job, target=tmp_path / "other.mkv")
    backwards = work_through(other, tmp_path / "backwards", backwards=True, share=Share(threads=3))
    assert packets_of(forwards.target, 0) == packets_of(backwards.target, 0)
    # In a process that has done nothing else, as far as the source can tell.
    close_source()
    segment = cut(job)[2]
    alone = encode_segment(job, segment, tmp_path / segment.name)
    shared = encode_segment(job, segment, tmp_path / "shared", share=Share(threads=2))
    assert (alone.header, alone.sha256) == (shared.header, shared.sha256)
    assert (tmp_path / "forwards" / segment.name).read_bytes() == (tmp_path / segment.name).read_bytes()
    assert len(alone.packets) == alone.frames == 10


@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [("svt-av1", ".mkv"), ("svt-av1", ".mp4"), ("x264", ".mp4"), ("x265", ".mp4"), ("x265", ".mkv"), ("ffv1", ".mkv")],
)
def test_all_but_the_picture_is_as_in_one_piece(job: Job, encoder: str, suffix: str, tmp_path: Path) -> None:
    job = replace(
        job,
        encoder=encoder,
        preset=ENCODERS[encoder],
        crf=None,
        drop_incompatible=True,
        target=tmp_path / f"pieces{suffix}",
    )
    pieces = work_through(job, tmp_path / "parts")
    whole = transcode(replace(job, target=tmp_path / f"whole{suffix}"))
    assert (pieces.frames, pieces.models, pieces.target_size) == (40, {"brighter.onnx": 40}, (192, 128))
    assert times_of(pieces.target) == times_of(job.source) == times_of(whole.target)
    assert durations_of(pieces.target) == durations_of(whole.target)
    assert streams_of(pieces.target) == streams_of(whole.target)
    for stream in range(1, len(streams_of(whole.target))):
        assert packets_of(pieces.target, stream) == packets_of(whole.target, stream)
    with av.open(str(pieces.target)) as one, av.open(str(whole.target)) as two:
        assert one.chapters() == two.chapters()
        assert one.metadata.get("title") == two.metadata.get("title") == "A film"
    assert {frame.format.name for frame in frames_of(pieces.target)} == {"yuv420p10le"}


def test_a_source_is_freed_as_soon_as_it_is_closed(job: Job, studio: Studio, tmp_path: Path) -> None:
    def readers() -> int:
        return sum(thread.name == "srcomp source" for thread in threading.enumerate())

    other = replace(job, source=studio.picture("other.mkv"), target=tmp_path / "other.mkv")
    close_source()
    gc.disable()  # which would free it some time or other
    try:
        before = readers()
        for each in (job, other):
            segment = cut(each)[0]
            encode_segment(each, segment, tmp_path / segment.name)
            assert readers() == before + 1
        close_source()
        assert readers() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("sharpness", [0.0, 0.5])
def test_ffv1_keeps_every_sample(job: Job, sharpness: float, tmp_path: Path) -> None:
    job = replace(job, encoder="ffv1", preset=None, crf=None, sharpness=sharpness)
    result = work_through(job, tmp_path / "parts")
    wanted = vs_srcomp.upscale(vs_srcomp.source(job.source), model=job.model, sharpness=sharpness)
    for number, frame in enumerate(frames_of(result.target)):
        for plane in range(3):
            samples = np.frombuffer(frame.planes[plane], np.uint16).reshape(frame.planes[plane].height, -1)
            assert np.array_equal(samples[:, : frame.planes[plane].width], np.asarray(wanted.get_frame(number)[plane]))


def test_every_segment_begins_with_a_key_frame(job: Job, tmp_path: Path) -> None:
    result = work_through(job, tmp_path / "parts")
    with av.open(str(result.target)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert [number for number, key in enumerate(keys) if key] == [0, 10, 20, 30]


def test_varying_frame_rates_keep_their_times(studio: Studio, job: Job, tmp_path: Path) -> None:
    shift = r"settb=1/1000,setpts=PTS+(0.008*mod(N\,4)+0.5*gt(N\,13))/TB"
    film = studio.picture(
        "varying.mkv", "-vf", shift, "-fps_mode", "passthrough", "-enc_time_base", "1:1000", seconds=1.2
    )
    assert len({after - before for before, after in pairwise(times_of(film))}) > 2
    for encoder, suffix in (("x264", ".mp4"), ("svt-av1", ".mp4"), ("x265", ".mkv")):
        one = replace(job, source=film, encoder=encoder, preset=ENCODERS[encoder], crf=None)
        one = replace(one, target=tmp_path / f"{encoder}{suffix}", segment_seconds=0.25)
        assert len(cut(one)) > 2
        result = work_through(one, tmp_path / encoder)
        assert times_of(result.target) == times_of(film)


def test_two_frames_at_one_moment_are_distinguished_at_a_seam_too(studio: Studio, job: Job, tmp_path: Path) -> None:
    twice = ("-vf", r"setpts=PTS-0.04*eq(N\,5)/TB", "-fps_mode", "passthrough", "-enc_time_base", "1:1000")
    job = replace(job, source=studio.picture("seam.mkv", *twice), segment_seconds=0.18)
    _, second = cut(job)
    assert second.after is not None
    assert (second.first, second.after * second.info.time_base) == (5, Fraction(160, 1000))
    pieces = work_through(job, tmp_path / "parts")
    whole = transcode(replace(job, target=tmp_path / "whole.mkv"))
    assert times_of(pieces.target) == times_of(whole.target)
    assert len(set(times_of(pieces.target))) == 10


def test_a_clock_that_restarts_is_continuous_in_all_segments(studio: Studio, job: Job, tmp_path: Path) -> None:
    one = studio.sound(studio.picture("restart-picture.mkv", "-g", "5", seconds=1), "restart-1.ts", "mp2").read_bytes()
    film = tmp_path / "restart.ts"
    film.write_bytes(one + one)
    job = replace(job, source=film, segment_seconds=0.3)
    pieces = work_through(job, tmp_path / "parts")
    whole = transcode(replace(job, target=tmp_path / "whole.mkv"))
    assert len(times_of(pieces.target)) == 50
    assert times_of(pieces.target) == times_of(whole.target)
    assert packets_of(pieces.target, 1) == packets_of(whole.target, 1)


def test_sections_are_cut_as_whole_films_are(job: Job, tmp_path: Path) -> None:
    job = replace(job, start=Fraction("0.2"), end=Fraction("1.4"))
    assert [(s.first, s.stop) for s in cut(job)] == [(5, 15), (15, 25), (25, 35)]
    pieces = work_through(job, tmp_path / "parts")
    whole = transcode(replace(job, target=tmp_path / "whole.mkv"))
    assert times_of(pieces.target) == times_of(whole.target)
    assert packets_of(pieces.target, 1) == packets_of(whole.target, 1)


def test_estimates_do_not_depend_on_the_segment(shared_data: Path, model: Path, tmp_path: Path) -> None:
    film = shared_data / "av1" / "beach.webm"
    job = Job(source=film, target=tmp_path / "out.mkv", model=model, preset=12, segment_seconds=2)
    segments = cut(job)
    assert len(segments) > 3
    whole = vs_srcomp.source(film)
    for segment in segments[::-1]:
        alone = vs_srcomp.source(film)[segment.first : segment.stop].get_frame(0).props["SrcompQ"]
        assert alone == whole.get_frame(segment.first).props["SrcompQ"]


def test_a_source_that_has_changed_is_refused(studio: Studio, job: Job, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(studio.picture("first.mkv").read_bytes())
    job = replace(job, source=film)
    segments = cut(job)
    records = [encode_segment(job, segment, tmp_path / segment.name) for segment in segments]
    data = bytearray(film.read_bytes())
    data[-1] ^= 1
    film.write_bytes(data)
    with pytest.raises(vs.Error, match="has changed since"):
        encode_segment(job, segments[0], tmp_path / segments[0].name)
    with pytest.raises(vs.Error, match="has changed since"):
        join(job, segments, records, tmp_path)


def test_missing_and_damaged_segments_are_never_joined(job: Job, tmp_path: Path) -> None:
    segments = cut(job)
    records = [encode_segment(job, segment, tmp_path / segment.name) for segment in segments]
    file = tmp_path / segments[1].name
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(vs.Error, match=r"000001\.av1' is damaged\nrun the same command again"):
        join(job, segments, records, tmp_path)
    file.unlink()
    with pytest.raises(vs.Error, match=r"000001\.av1' is missing"):
        join(job, segments, records, tmp_path)
    with pytest.raises(vs.Error, match="are not those of this job"):
        join(job, segments, records[:-1], tmp_path)
    assert not job.target.exists()


def test_an_output_stays_whole_while_it_is_joined_again(job: Job, tmp_path: Path) -> None:
    segments = cut(job)
    records = [encode_segment(job, segment, tmp_path / segment.name) for segment in segments]
    join(job, segments, records, tmp_path)
    before = job.target.read_bytes()
    (tmp_path / segments[-1].name).unlink()
    with pytest.raises(vs.Error, match="is missing"):
        join(replace(job, overwrite=True), segments, records, tmp_path)
    assert job.target.read_bytes() == before


def test_segments_of_other_settings_are_never_joined(job: Job, tmp_path: Path) -> None:
    segments = cut(job)
    records = [encode_segment(job, segment, tmp_path / segment.name) for segment in segments]
    records[2] = replace(records[2], header="00")
    with pytest.raises(vs.Error, match="different settings"):
        join(job, segments, records, tmp_path)


def test_records_survive_json(job: Job, tmp_path: Path) -> None:
    segment = cut(job)[0]
    record = encode_segment(job, segment, tmp_path / segment.name)
    assert SegmentRecord.from_json(record.to_json()) == record
    with pytest.raises(ValueError, match="not the record"):
        SegmentRecord.from_json({"packets": [], "nonsense": 1})


def test_a_cancelled_segment_leaves_nothing(job: Job, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    segment = cut(job)[0]
    folder = tmp_path / "parts"
    folder.mkdir()
    with pytest.raises(CancelledError):
        encode_segment(job, segment, folder / segment.name, cancel=cancel)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"encoder": "xvid"}, "there is no encoder 'xvid'\nuse one of svt-av1, x264, x265, ffv1"),
        ({"crf": 64}, "SVT-AV1 has no CRF 64\ngive a whole number from 1 to 63"),
        ({"crf": 26.5}, "SVT-AV1 has no CRF 26.5"),
        ({"preset": "slow"}, "SVT-AV1 has no preset 'slow'\nuse one from 0 to 13"),
        ({"encoder": "x264", "crf": 52}, "x264 has no CRF 52"),
        ({"encoder": "x265", "preset": None, "crf": None, "svt_params": "tune=0"}, "takes no settings of SVT-AV1"),
        ({"encoder": "ffv1", "preset": None}, "FFV1 is lossless and has no CRF"),
    ],
)
def test_settings_that_an_encoder_does_not_have(job: Job, options: dict[str, object], problem: str) -> None:
    with pytest.raises(vs.Error) as caught:
        cut(replace(job, **options))  # type: ignore[arg-type]
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("encoder", "options", "problem"),
    [
        ("x264", (("nonsense", "1"),), "x264: there is no option 'nonsense'\nuse those of the list"),
        ("x264", (("x264-params", "nonsense=1"),), "x264: error parsing option 'nonsense = 1'"),
        ("x265", (("x265-params", "nonsense=1"),), "x265: unknown option: nonsense"),
        ("ffv1", (("nonsense", "1"),), "FFV1: there is no option 'nonsense'"),
    ],
)
def test_options_that_an_encoder_does_not_know_are_errors(
    job: Job, encoder: str, options: tuple[tuple[str, str], ...], problem: str, tmp_path: Path
) -> None:
    job = replace(job, encoder=encoder, preset=None, crf=None, encoder_options=options)
    with pytest.raises(vs.Error) as caught:
        transcode(job)
    assert problem in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_containers_refuse_what_they_cannot_hold(job: Job, tmp_path: Path) -> None:
    job = replace(job, encoder="x264", preset=None, crf=None, target=tmp_path / "out.webm", drop_incompatible=True)
    with pytest.raises(vs.Error, match=r"\.webm files cannot hold what x264 makes\nwrite a \.mkv file"):
        cut(job)


def test_options_reach_the_encoder(job: Job, tmp_path: Path) -> None:
    job = replace(job, encoder="x264", preset="ultrafast", crf=None, encoder_options=(("g", "5"),))
    result = transcode(job)
    with av.open(str(result.target)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert [number for number, key in enumerate(keys) if key] == list(range(0, 40, 5))
