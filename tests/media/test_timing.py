"""Every frame keeps its time, in sync with the audio."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs

from tests.helpers.films import Studio, Upscaled, durations_of, frames_of, packets_of, times_of
from tests.tolerances import MATROSKA_SECONDS
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.transcode import Job

SHIFTS = [r"0.015*mod(N\,3)", r"0.5*gt(N\,4)"]


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_variable_frame_rate(studio: Studio, upscaled: Upscaled, tmp_path: Path, suffix: str, shift: str) -> None:
    name = f"vfr{SHIFTS.index(shift)}.mkv"
    film = studio.picture(
        name, "-vf", f"settb=1/1000,setpts=PTS+({shift})/TB", "-fps_mode", "passthrough", "-enc_time_base", "1:1000"
    )
    before = times_of(film)
    assert len({b - a for a, b in pairwise(before)}) > 1
    output = upscaled(film, tmp_path / f"out{suffix}").target
    assert times_of(output) == before
    assert [frame.time for frame in frames_of(output)] == pytest.approx([float(time) for time in before])


def test_two_pictures_at_one_moment(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    twice = ("-vf", r"setpts=PTS-0.04*eq(N\,5)/TB", "-fps_mode", "passthrough", "-enc_time_base", "1:1000")
    film = studio.picture("twice.mkv", "-c:v", "ffv1", *twice)
    before = times_of(film)
    assert before[4] == before[5]
    after = times_of(upscaled(film, tmp_path / "out.mp4").target)
    assert after == [*before[:5], before[5] + Fraction(1, 1000), *before[6:]]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_more_pictures_than_the_clock_has_moments(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, suffix: str
) -> None:
    """Matroska's milliseconds bring 1200 pictures a second into one another, but the film stays as long as it is."""
    film = studio.picture("1200.mp4", rate="1200", seconds=0.2)
    for source in (film, studio.make("-i", str(film), "-c", "copy", "1200.mkv")):
        output = upscaled(source, tmp_path / f"{source.suffix[1:]}{suffix}").target
        before, after = times_of(source), times_of(output)
        assert len(after) == len(before) == 240
        assert max(abs(b - a) for a, b in zip(before, after, strict=True)) <= Fraction(1, 1000)
        assert len(frames_of(output)) == 240
        findings = verify(Job(source=source, target=output))
        assert [str(finding) for finding in findings if finding.fault] == []


def test_ntsc_rates_are_exact_in_mp4_and_rounded_to_milliseconds_in_matroska(
    studio: Studio, upscaled: Upscaled, tmp_path: Path
) -> None:
    film = studio.picture("ntsc.mp4", rate="30000/1001")
    before = times_of(film)
    assert before[1] == Fraction(1001, 30000)
    assert times_of(upscaled(film, tmp_path / "out.mp4").target) == before
    assert times_of(upscaled(film, tmp_path / "out.mkv").target) == [Fraction(round(t * 1000), 1000) for t in before]


def test_how_long_the_last_picture_is_shown(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    film = studio.picture("slow.mp4", rate="5", seconds=1)
    assert durations_of(upscaled(film, tmp_path / "out.mp4").target) == durations_of(film) == [Fraction(1, 5)] * 5


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_real_clip_whose_sound_begins_first(upscaled: Upscaled, tmp_path: Path, shared_data: Path, suffix: str) -> None:
    film = shared_data / "av1" / "beach.webm"
    output = upscaled(film, tmp_path / f"out{suffix}", ratio="4:3", end=Fraction(1, 5)).target
    assert times_of(output) == times_of(film)[:5] == [Fraction(t, 1000) for t in (7, 47, 87, 127, 167)]
    sound = [packet for packet in packets_of(film, 1) if packet[0] < Fraction(1, 5)]
    # Opus in MP4 counts samples, so that the time before 0 is no longer rounded to milliseconds.
    assert [float(time) for time, _ in packets_of(output, 1)] == pytest.approx([float(t) for t, _ in sound], abs=1e-3)
    assert [content for _, content in packets_of(output, 1)] == [content for _, content in sound]


def test_broadcast_clocks_begin_at_zero(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    film = studio.sound(studio.picture("broadcast-picture.mkv", seconds=0.4), "broadcast.ts", "mp2")
    with av.open(str(film)) as container:
        began = Fraction(container.start_time, av.time_base)
    assert began > 1
    output = upscaled(film, tmp_path / "out.mp4").target
    for index in range(2):
        before = [time - began for time, _ in packets_of(film, index)]
        assert [float(time) for time, _ in packets_of(output, index)] == pytest.approx(
            [float(t) for t in before], abs=1e-4
        )


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_cut_keeps_picture_and_sound_together(studio: Studio, upscaled: Upscaled, tmp_path: Path, suffix: str) -> None:
    film = studio.sound(studio.picture("beep-picture.mkv", "-g", "10", seconds=2), "beep.mkv", "flac")
    output = upscaled(film, tmp_path / f"out{suffix}", start=Fraction(61, 100), end=Fraction(33, 20)).target
    # The first picture at or after 0.61 s is that of 0.64 s, and the last one before 1.65 s that of 1.64 s.
    assert times_of(output) == [Fraction(number, 25) for number in range(26)]
    assert tone_changes_at(output) == pytest.approx(1 - 0.64, abs=0.005)
    assert tone_changes_at(film) == pytest.approx(1, abs=0.005)
    times = [time for time, _ in packets_of(output, 1)]
    assert 0 <= times[0] < Fraction(11, 100)
    assert Fraction(9, 10) < times[-1] < Fraction(101, 100)


def tone_changes_at(film: Path) -> float:
    """When the tone becomes high, in seconds."""
    with av.open(str(film)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()[0].astype(float)
            crossings = np.flatnonzero(np.diff(np.signbit(samples)))
            steps = np.diff(crossings)
            short = np.flatnonzero(steps < 20)
            if len(short) and frame.time is not None:
                return frame.time + float(crossings[short[0]]) / frame.sample_rate
    raise AssertionError("the tone does not change")


def test_cut_of_subtitles_and_chapters(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    output = upscaled(film, tmp_path / "out.mkv", start=Fraction(2, 5), end=Fraction(6, 5)).target
    assert len(times_of(output)) == 20
    for index in (3, 4):
        assert [float(time) for time, _ in packets_of(output, index)] == [0, 0.5]
    assert durations_of(output, 4) == [Fraction(3, 10), Fraction(3, 10)]  # cut at the start, and at the end
    with av.open(str(output)) as container:
        chapters = [(c["start"] / 1e9, c["end"] / 1e9, c["metadata"]["title"]) for c in container.chapters()]
    assert chapters == [(0, 0.4, "Beginning"), (0.4, 0.8, "Ende")]


def test_end_alone_keeps_the_clock(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    output = upscaled(film, tmp_path / "out.mkv", end=Fraction(1, 2)).target
    assert times_of(output) == times_of(film)[:13]
    assert packets_of(output, 1) == [packet for packet in packets_of(film, 1) if packet[0] < Fraction(1, 2)]


def test_a_time_beyond_the_end_is_refused(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=r"the last frame is shown at 1\.560 s"):
        upscaled(film, tmp_path / "out.mkv", start=Fraction(5))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("offset", ["0", "5000", "95441.8"])
def test_recordings_that_were_joined(studio: Studio, upscaled: Upscaled, tmp_path: Path, offset: str) -> None:
    """The clock of the second one is another, earlier or later; the last one runs over (33 bits at 90 kHz)."""
    one = studio.sound(studio.picture("joined-picture.mkv", "-bf", "2", seconds=1), "joined-0.ts", "mp2")
    two = studio.make("-i", str(one), "-c", "copy", "-output_ts_offset", offset, "joined-1.ts")
    film = tmp_path / "joined.ts"
    film.write_bytes(one.read_bytes() + two.read_bytes())
    for suffix in (".mkv", ".mp4"):
        output = upscaled(film, tmp_path / f"out{suffix}").target
        shown = times_of(output)
        assert len(shown) == 50
        assert [float(b - a) for a, b in pairwise(shown)] == pytest.approx([0.04] * 49, abs=MATROSKA_SECONDS)
        sound = [float(time) for time, _ in packets_of(output, 1)]
        assert len(sound) == len(packets_of(film, 1))
        # The tone is 2 s long; where the second recording begins, it begins again.
        before = [float(time) for time, _ in packets_of(one, 1)]
        assert before[5] - before[0] == pytest.approx(sound[5] - sound[0], abs=0.002)
        assert sound == sorted(sound)
        findings = verify(Job(source=film, target=output))
        assert [str(finding) for finding in findings if finding.fault] == []


JOINED = {
    "webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-c:a", "libopus"),
    "flv": ("-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "mpg": ("-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"),
}


@pytest.mark.parametrize("kind", JOINED)
def test_other_files_that_were_joined(studio: Studio, upscaled: Upscaled, tmp_path: Path, kind: str) -> None:
    """Byte after byte, as live recordings are, with another clock from the middle on."""
    inputs = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=1", "-f", "lavfi", "-i", "sine=duration=1")
    one = studio.make(*inputs, *JOINED[kind], f"joined-one.{kind}").read_bytes()
    film = tmp_path / f"joined.{kind}"
    film.write_bytes(one + (one[13:] if kind == "flv" else one))  # FLV begins with a header that only files have
    output = upscaled(film, tmp_path / "out.mkv").target
    shown = times_of(output)
    assert [float(b - a) for a, b in pairwise(shown)] == pytest.approx([0.04] * 49, abs=MATROSKA_SECONDS)
    sound = [float(time) for time, _ in packets_of(output, 1)]
    assert len(sound) == len(packets_of(film, 1))
    assert 1.9 < sound[-1] < 2.1
    assert [str(finding) for finding in verify(Job(source=film, target=output)) if finding.fault] == []


def test_a_broadcast_whose_clock_is_high(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    one = studio.sound(studio.picture("high-picture.mkv", "-bf", "2", seconds=1), "low.ts", "mp2")
    film = studio.make("-i", str(one), "-c", "copy", "-output_ts_offset", "95000", "high.ts")
    output = upscaled(film, tmp_path / "out.mkv").target
    assert len(times_of(output)) == 25
    assert times_of(output)[0] < Fraction(1, 10)
    assert [str(finding) for finding in verify(Job(source=film, target=output)) if finding.fault] == []


def test_a_gap_on_one_clock_stays(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    """While a picture stands still, the sound goes on."""
    still = ("-vf", r"setpts=PTS+12*gte(N\,5)/TB", "-fps_mode", "passthrough")
    picture = studio.picture("gap-picture.mkv", *still, seconds=0.4)
    tone = ("-f", "lavfi", "-i", "sine=duration=12.4", "-c:v", "copy", "-c:a", "mp2")
    film = studio.make("-i", str(picture), *tone, "gap.ts")
    before, after = times_of(film), times_of(upscaled(film, tmp_path / "out.mkv").target)
    assert [float(b - a) for a, b in pairwise(after)] == pytest.approx([float(b - a) for a, b in pairwise(before)])
    assert max(b - a for a, b in pairwise(after)) > 12
