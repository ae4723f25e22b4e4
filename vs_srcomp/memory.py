"""Constant memory use, however many frames a graph makes; and whether there is enough, checked before any work."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.errors import error

_SHARE = 1 / 100
"""Of the time of one processor, what giving memory back may take."""

_LONGEST_WAIT = 0.25
"""In seconds: one time that was slow by chance must not let memory grow for long."""


def check_memory(what: str, needed: float) -> None:
    """Raise the error of something that cannot fit into memory.

    Args:
        what: Its name in messages.
        needed: Bytes that it takes, at the least.

    Raises:
        vs.Error: There is less.
    """
    there = memory_limit()
    if needed > there:
        raise error(
            f"{what} takes more than {_gigabytes(needed)} GB of memory, and there are {_gigabytes(there)}",
            "give a smaller size, or split the picture with std.Crop",
        )


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:.{0 if number >= 10e9 else 1}f}"


def memory_limit() -> int:
    """Bytes of memory that this process may come to use: all of the computer, or what its control group may."""
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_limits_of_group()])


def _limits_of_group(root: Path = Path("/sys/fs/cgroup"), group: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """The limits of the control group that this process is in, and of those around it (Linux, both versions)."""
    try:
        lines = group.read_text().splitlines()
    except OSError:  # another system
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            start, name = root, "memory.max"
        elif "memory" in kinds.split(","):
            start, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        inside = start / path.lstrip("/")
        for folder in (inside, *inside.parents):
            text = _text_of(folder / name)
            if text.isdecimal():
                yield int(text)
            if folder == start:
                break


def _text_of(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:  # a namespace hides what is outside
        return ""


def limit_cache(clip: vs.VideoNode, spare: int | None) -> vs.VideoNode:
    """``clip``, which keeps a fixed number of frames, or none, and does not remember which ones it had.

    For nodes inside a graph, whose frames are asked for only by the nodes behind them and at about the same time. By
    itself, such a cache remembers the numbers of thousands of frames that it no longer has (release 81 of the core),
    each in a small block between those of the frames: the heap breaks into pieces too small for the next frame.

    Args:
        clip: Not a node that the user has, whose cache is theirs to set.
        spare: How many frames to keep besides one for each of the core's threads; None, where only one node asks for
            the frames, keeps none at all.
    """
    kept = 0 if spare is None else vs.core.num_threads + spare
    clip.std.SetVideoCache(mode=int(kept > 0), fixedsize=True, maxsize=kept, maxhistory=0)
    return clip


def give_back_free_memory() -> None:
    """Let the C library give free memory back to the system, if it is time for that. To be called at every frame.

    Before release 2.38, glibc hardly ever uses aligned blocks again once they are free (bug 14581), and the core keeps
    planes of up to 1 MB in such blocks: memory would fill with planes that were freed.

    ``malloc_trim`` changes nothing in how the process allocates. ``mallopt`` could have the system take each block back
    at once, but for every library of the process, for good, and at the price of new pages for every frame.
    """
    if trimmer := _trimmer():
        trimmer()


class Trimmer:
    """Calls a function now and then, such that it takes only a small share of the time."""

    def __init__(
        self,
        trim: Callable[[], object],
        clock: Callable[[], float] = time.perf_counter,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """Call ``trim`` at the first call of this object, and then again and again.

        Args:
            trim: What to call.
            clock: The time in seconds.
            worked: The time in seconds that the processor has worked for this thread; where other threads or programs
                keep it busy, ``trim`` takes longer, but costs no more.
        """
        self._trim = trim
        self._clock = clock
        self._worked = worked
        self._due = clock()
        self._busy = threading.Lock()

    def __call__(self) -> None:
        """Call the function if it is time for that and no other thread is in it."""
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
    """What gives memory back, for all graphs of the process; None where the C library has no such function."""
    # Only glibc has it; on Windows, the process cannot even be opened as a library.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return Trimmer(partial(trim, 0)) if trim else None
