"""A section has the frames that are shown in its time, and no others."""

from fractions import Fraction
from pathlib import Path

import pytest
import vapoursynth as vs
from hypothesis import given
from hypothesis import strategies as st

import vs_srcomp
from tests.helpers.films import Studio, times_of
from vs_srcomp.media.section import find_section, section_of
from vs_srcomp.media.timeline import Timeline, timeline_of
from vs_srcomp.source.media import open_container

_THOUSANDTHS = st.integers(0, 30).map(lambda number: Fraction(number, 1000))


@given(
    st.lists(_THOUSANDTHS, min_size=1, max_size=20).map(sorted),
    st.none() | _THOUSANDTHS,
    st.none() | _THOUSANDTHS,
    _THOUSANDTHS,
)
def test_frames_of_a_section(
    times: list[Fraction], start: Fraction | None, end: Fraction | None, origin: Fraction
) -> None:
    times = [time + origin for time in times]
    wanted = [
        number
        for number, time in enumerate(times)
        if (start is None or time >= start + origin) and (end is None or time < end + origin)
    ]

    def find() -> range:
        section = find_section(len(times), start, end, times.__getitem__, origin=origin, keeps_clock=True)
        assert section.start == (None if start is None else times[section.first])
        assert section.zero == (section.start or 0)
        return range(section.first, section.stop)

    if wanted:
        assert list(find()) == wanted
    else:
        with pytest.raises(vs.Error, match="no frame is shown"):
            find()


def test_no_time_is_asked_for_where_the_whole_is_wanted() -> None:
    section = find_section(7, None, None, [].__getitem__, origin=Fraction(0), keeps_clock=True)
    assert (section.first, section.stop) == (0, 7)


def test_the_timeline_is_read_once(studio: Studio) -> None:
    film = studio.picture("a_second.mkv", seconds=1)
    readings = 0

    def timeline() -> Timeline:
        nonlocal readings
        readings += 1
        return timeline_of(str(film), Fraction(1, 1000))

    with open_container(str(film)) as container:
        section = section_of(Fraction(1, 5), Fraction(4, 5), vs_srcomp.source(film), container, timeline)
    assert (section.first, section.stop, readings) == (5, 20, 1)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_times_and_key_frames_of_a_film(studio: Studio, suffix: str) -> None:
    shift = r"settb=1/1000,setpts=PTS+(0.008*mod(N\,4)+0.5*gt(N\,13))/TB"
    film = studio.picture(
        f"timeline{suffix}",
        *("-vf", shift, "-fps_mode", "passthrough", "-enc_time_base", "1:1000", "-g", "6", "-bf", "2"),
        seconds=1.2,
    )
    times = times_of(film)
    unit = Fraction(1, 90_000) if suffix == ".ts" else Fraction(1, 1000)
    found = timeline_of(str(film), unit)
    assert [found.time(number) for number in range(len(times))] == times
    assert found.keys == [0, 6, 12, 18, 24]
    clip = vs_srcomp.source(film)
    assert [frame.props["_AbsoluteTime"] for frame in clip.frames()] == pytest.approx([float(time) for time in times])


def test_times_of_a_real_clip(shared_data: Path) -> None:
    film = shared_data / "av1" / "beach.webm"
    found = timeline_of(str(film), Fraction(1, 1000))
    assert [timestamp * found.time_base for timestamp in found.timestamps] == times_of(film)
