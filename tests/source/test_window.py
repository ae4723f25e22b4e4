"""Which decoded frames are kept: few for forward requests, enough for temporal filters, never a wrong one."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.reader import FrameReader

from .counting import CountingDecoder
from .reference import decoded_arrays, digest, linear_digests, write_scenes

FRAMES = 90
GROUP = 30


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("window") / "v.mkv"
    return write_scenes(file, FRAMES, codec="mpeg4", options={"g": str(GROUP), "sc_threshold": "1000000000"})


@pytest.fixture(scope="module")
def expected(video: Path) -> list[str]:
    digests = linear_digests(video)
    assert len(set(digests)) == FRAMES
    return digests


@pytest.fixture
def decoder(video: Path) -> CountingDecoder:
    return CountingDecoder(str(video), 0, film_grain=False, threads=0)


@pytest.fixture
def reader(decoder: CountingDecoder) -> FrameReader:
    return FrameReader(decoder)


def held(reader: FrameReader) -> int:
    """Decoded frames that the reader keeps, which no public name tells."""
    return len(reader._worker._window)


def test_going_forward_keeps_few_frames(decoder: CountingDecoder, reader: FrameReader) -> None:
    for number in range(FRAMES):
        reader.get(number)
        # Three that were handed out, and eight ahead.
        assert held(reader) <= 3 + 8
    assert decoder.decoded == FRAMES


@pytest.mark.parametrize("step", [2, 5, 8])
def test_frames_that_are_left_out_do_not_pile_up(step: int, decoder: CountingDecoder, reader: FrameReader) -> None:
    for number in range(0, FRAMES, step):
        reader.get(number)
        assert held(reader) <= 8 + 1 + 8
    assert FRAMES - step < decoder.decoded <= FRAMES


def test_the_same_frame_again_costs_nothing(decoder: CountingDecoder, reader: FrameReader) -> None:
    for number in range(FRAMES):
        for _ in range(4):
            reader.get(number)
        reader.get(max(number - 2, 0))
    assert decoder.decoded == FRAMES


@pytest.mark.parametrize("radius", [1, 3, 7])
def test_filters_over_time_decode_each_group_at_most_twice(
    radius: int, decoder: CountingDecoder, reader: FrameReader
) -> None:
    for centre in range(FRAMES):
        for number in range(max(centre - radius, 0), min(centre + radius + 1, FRAMES)):
            reader.get(number)
    # Once it turns out that frames are asked for again, they are kept.
    assert FRAMES <= decoder.decoded <= FRAMES + GROUP + 16


def test_after_going_backwards_little_is_kept_again(reader: FrameReader) -> None:
    for number in range(60, 40, -1):
        reader.get(number)
    assert held(reader) > 20
    for number in range(41, FRAMES):
        reader.get(number)
    assert held(reader) <= 16 + 1 + 8


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(0, FRAMES - 1), st.sampled_from(["on", "back", "skip", "same"])), max_size=40))
def test_any_walk_gets_the_right_frames(video: Path, expected: list[str], walk: list[int | str]) -> None:
    reader = FrameReader(Decoder(str(video), 0, film_grain=False, threads=0))
    at = 0
    for move in walk:
        at = move if isinstance(move, int) else at + {"on": 1, "back": -1, "skip": 3, "same": 0}[move]
        at %= FRAMES
        assert digest(decoded_arrays(reader.get(at))) == expected[at]
