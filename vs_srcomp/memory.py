"""Memory: checks before any work, and constant use for any number of frames."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache, partial

import vapoursynth as vs

from vs_srcomp.control_groups import group_settings
from vs_srcomp.errors import error

_SHARE = 1 / 100
"""Share of one processor's time that `give_back_free_memory` may take."""

_LONGEST_WAIT = 0.25
"""In seconds: after a single slow call, memory must not grow for long."""


def check_memory(what: str, needed: float, todo: str) -> None:
    """Raise an error if something cannot fit into memory.

    Args:
        what: Its name in messages.
        needed: The least number of bytes that it takes.
        todo: What to do instead.

    Raises:
        vs.Error: There is less memory.
    """
    there = memory_limit()
    if needed > there:
        raise error(
            f"{what} takes more than {_gigabytes(needed)} GB of memory, and there are {_gigabytes(there)}",
            todo,
        )


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:.{0 if number >= 10e9 else 1}f}"


def memory_limit() -> int:
    """Bytes of memory that this process may use: those of the computer, or the limit of its control group."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = group_settings("memory", "memory.max", "memory.limit_in_bytes")
    return min([there, *(int(limit) for limit in limits if limit.isdecimal())])


def limit_cache(clip: vs.VideoNode, spare: int | None) -> vs.VideoNode:
    """``clip`` with a cache of fixed size and without history.

    For nodes inside a graph, whose frames are requested only by the following nodes and at about the same time. By
    default, a cache remembers the numbers of thousands of earlier frames (release 81 of the core), each in a small
    allocation between those of frames, which fragments the heap.

    Args:
        clip: A node that the user cannot reach.
        spare: Frames to keep besides one for each of the core's threads; None for no cache, if only one node requests
            the frames.
    """
    kept = 0 if spare is None else vs.core.num_threads + spare
    clip.std.SetVideoCache(mode=int(kept > 0), fixedsize=True, maxsize=kept, maxhistory=0)
    return clip


def give_back_free_memory() -> None:
    """Return free memory from the C library to the system from time to time. Call it for every frame.

    Before release 2.38, glibc hardly ever reuses free aligned blocks (bug 14581), in which the core keeps planes of up
    to 1 MB: memory would fill with freed planes.

    ``malloc_trim`` does not change how the process allocates. ``mallopt`` could return each block at once, but for
    every library of the process, permanently, and at the cost of new pages for every frame.
    """
    if trimmer := _trimmer():
        trimmer()


class Trimmer:
    """Calls a function from time to time, so that it takes only a small share of the time."""

    def __init__(
        self,
        trim: Callable[[], object],
        clock: Callable[[], float] = time.perf_counter,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """Wrap ``trim``, which is called at the first call of this object.

        Args:
            trim: The function.
            clock: Returns the time in seconds.
            worked: Returns this thread's processor time in seconds, which does not depend on the load of the machine.
        """
        self._trim = trim
        self._clock = clock
        self._worked = worked
        self._due = clock()
        self._busy = threading.Lock()

    def __call__(self) -> None:
        """Call the function if it is due and no other thread is in it."""
        if self._clock() < self._due or not self._busy.acquire(blocking=False):
            return
        try:
            start = self._worked()
            self._trim()
            self._due = self._clock() + min((self._worked() - start) / _SHARE, _LONGEST_WAIT)
        finally:
            self._busy.release()


@cache
def _trimmer() -> Trimmer | None:
    """The trimmer of this process; None if the C library has no such function."""
    # Only glibc has it; on Windows, the process cannot even be opened as a library.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return Trimmer(partial(trim, 0)) if trim else None
