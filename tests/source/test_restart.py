"""Where the clock of a file restarts, time continues; other jumps are not changed."""

import numpy as np
import pytest

from vs_srcomp.source.restart import CYCLE, restart_shifts

SECOND = 90_000.0
FRAME = 3600


def frames(*firsts: int, count: int = 10) -> "np.typing.NDArray[np.int64]":
    """Runs of frames at 25 a second, each from a time of its own."""
    return np.concatenate([first + FRAME * np.arange(count, dtype=np.int64) for first in firsts])


def places(count: int, between: int = 100) -> "tuple[np.typing.NDArray[np.int64], np.typing.NDArray[np.int64]]":
    """Frames of 1000 bytes, with so many others between them."""
    begins = np.arange(count, dtype=np.int64) * (1000 + between)
    return begins, begins + 1000


@pytest.mark.parametrize(
    "firsts", [(500_000, 0), (0, 90_000_000), (500_000, 0, 7_000_000), (0, CYCLE - 5 * FRAME), (CYCLE - 90_000_000, 0)]
)
def test_time_goes_on(firsts: tuple[int, ...]) -> None:
    times = frames(*firsts) % CYCLE
    went_on = times + restart_shifts(times, SECOND, places(len(times)))
    assert went_on.tolist() == (firsts[0] + FRAME * np.arange(len(times))).tolist()


def test_times_around_a_turn_of_the_clock_may_be_mixed_up() -> None:
    times = frames(CYCLE - 5 * FRAME)
    times[[5, 7, 8, 9]] -= CYCLE  # but not frame 6, which is stored before frame 5
    went_on = times + restart_shifts(times, SECOND, places(len(times)))
    assert np.diff(went_on).tolist() == [FRAME] * 9


def test_one_clock_is_left_alone() -> None:
    steady, wrong = frames(0), frames(0)
    wrong[4] -= 200_000  # one frame with a wrong time
    jitter = frames(0) + np.tile([0, 5000], 5)  # steps back, by less than a tenth of a second
    still = frames(0, 12 * 90_000)  # a picture that stands still for 12 s, while there is sound
    for times, between in ((steady, 100), (wrong, 100), (jitter, 100), (still, 200_000)):
        assert not restart_shifts(times, SECOND, places(len(times), between)).any()
    assert not restart_shifts(frames(0, 90_000_000), SECOND).any()  # only some containers leap
    assert not restart_shifts(np.zeros(1, np.int64), SECOND).any()
