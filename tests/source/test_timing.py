"""Durations and times follow the timestamps exactly; a frame rate is claimed only where they keep to it."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
import vapoursynth as vs

from tests.helpers.films import Studio
from vs_srcomp.probe import probe
from vs_srcomp.source import source

from .reference import clip_digest, linear_digests, write_scenes


def durations(clip: vs.VideoNode) -> list[Fraction]:
    return [Fraction(frame.props["_DurationNum"], frame.props["_DurationDen"]) for frame in clip.frames()]


def times(clip: vs.VideoNode) -> list[float]:
    return [frame.props["_AbsoluteTime"] for frame in clip.frames()]


def packet_times(file: Path) -> list[Fraction]:
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return sorted(
        Fraction(packet.pts or 0) * Fraction(packet.time_base.num, packet.time_base.den) for packet in packets
    )


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("v.mkv", "ffv1", {}), ("v.mp4", "libx264", {"bf": "2"}), ("av1.mp4", "libsvtav1", {"preset": "12"})],
)
def test_variable_rate(name: str, codec: str, options: dict[str, str], tmp_path: Path) -> None:
    pts = [0, 33, 100, 134, 300, 1000, 1001, 1400, 1450, 2000]
    file = write_scenes(
        tmp_path / name, len(pts), codec=codec, pts=pts, time_base=Fraction(1, 1000), options=options, rate=30
    )
    clip = source(file)
    assert clip.fps == 0
    assert durations(clip)[:-1] == [Fraction(b - a, 1000) for a, b in pairwise(pts)]
    assert times(clip) == [float(time) for time in packet_times(file)]


@pytest.mark.parametrize(
    "rate", [Fraction(30), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60), Fraction(25)]
)
def test_milliseconds_of_webm_do_not_hide_a_constant_rate(rate: Fraction, tmp_path: Path) -> None:
    file = write_scenes(tmp_path / "c.mkv", 90, codec="ffv1", rate=rate)
    clip = source(file)
    assert clip.fps == rate
    assert durations(clip)[:-1] == [b - a for a, b in pairwise(packet_times(file))]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(50), Fraction(17), Fraction(100, 7)])
def test_constant_rate_is_exact_in_mp4(rate: Fraction, tmp_path: Path) -> None:
    clip = source(write_scenes(tmp_path / "c.mp4", 40, codec="libx264", rate=rate))
    assert clip.fps == rate
    assert set(durations(clip)) == {1 / rate}


def test_a_dropped_frame_makes_the_rate_variable(tmp_path: Path) -> None:
    pts = [n for n in range(40) if n != 20]
    clip = source(write_scenes(tmp_path / "d.mkv", len(pts), pts=pts, rate=25))
    assert clip.fps == 0
    assert durations(clip)[19] == Fraction(2, 25)


def test_a_pulldown_pattern_is_not_a_constant_rate(tmp_path: Path) -> None:
    pts = [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]
    clip = source(
        write_scenes(tmp_path / "p.mp4", len(pts), codec="libx264", pts=pts, rate=60, time_base=Fraction(1, 60))
    )
    assert clip.fps == 0


def test_last_frame_lasts_as_long_as_its_packet(tmp_path: Path) -> None:
    file = write_scenes(tmp_path / "l.mp4", 5, codec="libx264", rate=25)
    with av.open(str(file)) as container:
        last = [packet for packet in container.demux(video=0) if packet.size][-1]
        expected = Fraction(last.duration or 0) * Fraction(last.time_base.num, last.time_base.den)
    assert expected > 0
    assert durations(source(file))[-1] == expected


def test_a_stream_without_timestamps_keeps_to_its_stated_rate(tmp_path: Path) -> None:
    clip = source(write_scenes(tmp_path / "r.264", 20, codec="libx264", rate=30, options={"bf": "2"}))
    assert clip.fps == 30
    assert set(durations(clip)) == {Fraction(1, 30)}


def test_a_single_picture(tmp_path: Path) -> None:
    clip = source(write_scenes(tmp_path / "s.mp4", 1, codec="libx264", rate=25))
    assert len(clip) == 1
    assert durations(clip) == [Fraction(1, 25)]


def test_first_timestamp_is_kept(shared_data: Path) -> None:
    clip = source(shared_data / "av1/beach.webm")
    assert clip.get_frame(0).props["_AbsoluteTime"] == 7 / 1000


@pytest.mark.parametrize(("name", "frames"), [("F-no-ctts.mp4", 48), ("F-b-frames.avi", 50), ("F-b-frames.asf", 50)])
def test_times_of_decoding_are_no_times_of_presentation(name: str, frames: int, shared_data: Path) -> None:
    """The decoder knows the order of frames; the file knows when they follow each other."""
    file = shared_data / "faults" / name
    for threads in (1, 4):
        clip = source(file, threads=threads)
        expected = linear_digests(file)
        assert len(clip) == len(expected) == frames
        assert [clip_digest(clip, n) for n in range(frames)] == expected
        assert clip_digest(clip, 7) == expected[7]
        assert times(clip) == [n / 25 for n in range(frames)]
        assert clip.fps == 25
    counted = probe(file)
    assert counted.frame_count == (None if name == "F-b-frames.avi" else frames)


def test_times_that_a_cut_leaves_out_are_those_before_the_known_ones(studio: Studio) -> None:
    """Matroska leaves out the times of pictures before 0; sound beside them has its own."""
    film = studio.picture("long.mkv", "-bf", "2", seconds=1)
    early = studio.make("-ss", "0.5", "-i", str(film), "-c", "copy", "-avoid_negative_ts", "disabled", "early.mkv")
    with av.open(str(early)) as container:
        assert None in [packet.pts for packet in container.demux(video=0) if packet.size]
    clip = source(early)
    assert times(clip) == [(40 * n - 500) / 1000 for n in range(25)]
    assert clip.fps == 25


def test_packed_frames_of_avi_are_shown_one_after_the_other(studio: Studio) -> None:
    file = studio.make(
        "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1.2", "-c:v", "libxvid", "-bf", "2", "-g", "10", "packed.avi"
    )
    clip = source(file)
    expected = linear_digests(file)
    assert [clip_digest(clip, n) for n in range(len(clip))] == expected
    assert {Fraction(b - a).limit_denominator(1000) for a, b in pairwise(times(clip))} == {Fraction(1, 25)}


def retimed(file: Path, target: Path, time_of: Callable[[int], int]) -> Path:
    """A Matroska file of one cluster with other presentation times, in milliseconds, which no muxer would write."""
    data = bytearray(file.read_bytes())
    with av.open(str(file)) as container:
        packets = [(packet.pts or 0, bytes(packet)) for packet in container.demux(video=0) if packet.size]
    at = 0
    for time, payload in packets:
        at = data.index(payload, at)
        assert data[at - 4 : at - 1] == bytes([0x81]) + time.to_bytes(2)  # of SimpleBlock: track and time
        data[at - 3 : at - 1] = time_of(time).to_bytes(2)
        at += len(payload)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize(
    "time_of",
    [
        lambda time: time % 1000,  # the clock restarts after a second
        lambda time: time // 80 * 80,  # two frames at a time each
    ],
)
def test_times_that_cannot_be_true_do_not_mix_up_frames(time_of: Callable[[int], int], tmp_path: Path) -> None:
    whole = write_scenes(tmp_path / "whole.mkv", 75, codec="libx264", rate=25, options={"bf": "3", "g": "25"})
    file = retimed(whole, tmp_path / "v.mkv", time_of)
    expected = linear_digests(whole)
    clip = source(file)
    assert [clip_digest(clip, n) for n in (40, *range(75))] == [expected[n] for n in (40, *range(75))]


def test_a_stream_that_may_reorder_frames_but_does_not_keeps_its_times(tmp_path: Path) -> None:
    pts = [0, 40, 81, 120, 160, 200, 333, 400]
    options = {"bf": "2", "x264-params": "b-adapt=0:keyint=1:bframes=2"}
    file = write_scenes(
        tmp_path / "i.mkv", len(pts), codec="libx264", pts=pts, time_base=Fraction(1, 1000), options=options
    )
    assert times(source(file)) == [time / 1000 for time in pts]


@pytest.mark.parametrize("options", [{}, {"use_editlist": "0"}, {"movflags": "negative_cts_offsets"}])
def test_times_of_mp4_are_those_of_display(options: dict[str, str], tmp_path: Path) -> None:
    made = write_scenes(tmp_path / "made.mp4", 8, codec="libsvtav1", options={"preset": "12"}, rate=25)
    late = tmp_path / "late.mp4"
    with av.open(str(made)) as before, av.open(str(late), "w", options=options) as after:
        stream = after.add_stream_from_template(before.streams.video[0], opaque=True)
        for packet in before.demux(video=0):
            if packet.size:
                packet.pts = (packet.pts or 0) + 3 * (packet.duration or 0)
                packet.stream = stream
                after.mux(packet)
    with av.open(str(late)) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    assert times(source(late)) == shown
