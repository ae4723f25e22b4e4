"""Constant memory use, and checks of memory."""

import ctypes
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import vapoursynth as vs
from hypothesis import given
from hypothesis import strategies as st

import vs_srcomp
from tests.helpers.networks import random_network
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.memory import Trimmer, check_memory, memory_limit
from vs_srcomp.models import Network

SECONDS = st.floats(1e-6, 10)
SHORT = st.floats(1e-6, 0.0025)


class Clock:
    """Time that passes when something is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(frames=st.lists(SECONDS, min_size=1, max_size=60), cost=SHORT)
def test_trimming_takes_no_more_than_its_share_of_the_time(frames: list[float], cost: float) -> None:
    clock = Clock()
    starts = []

    def trim() -> None:
        starts.append(clock.now)
        clock.now += cost

    trimmer = Trimmer(trim, clock, clock)
    for length in frames:
        clock.now += length
        trimmer()
    assert starts[0] == frames[0]
    for before, after in pairwise(starts):
        assert cost <= (after - before) / 100 + 1e-9


def test_a_trim_that_is_slow_by_chance_does_not_put_off_the_next_for_long() -> None:
    clock = Clock()
    times = []

    def trim() -> None:
        times.append(clock.now)

    worked = iter([0, 30, 30, 30.0019, 30.0019, 30.0038, 30.0038, 30.0057]).__next__
    trimmer = Trimmer(trim, clock, worked)
    for sixteenth in range(13):
        clock.now = sixteenth / 16
        trimmer()
    assert times == [0, 0.25, 0.5, 0.75]


def test_no_thread_waits_for_another_that_trims() -> None:
    entered, leave = threading.Event(), threading.Event()
    calls = []

    def trim() -> None:
        calls.append(threading.get_ident())
        entered.set()
        assert leave.wait(10)

    trimmer = Trimmer(trim, Clock(), Clock())
    thread = threading.Thread(target=trimmer)
    thread.start()
    assert entered.wait(10)
    trimmer()
    leave.set()
    thread.join()
    assert calls == [thread.ident]


def test_a_trim_that_fails_is_not_the_last() -> None:
    calls = []

    def trim() -> None:
        calls.append(1)
        raise OSError("no memory")

    trimmer = Trimmer(trim, Clock(), Clock())
    for _ in range(2):
        with pytest.raises(OSError, match="no memory"):
            trimmer()
    assert len(calls) == 2


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim"
)
def test_memory_that_is_free_goes_back_to_the_system() -> None:
    code = """
        import ctypes, resource
        from vs_srcomp.memory import give_back_free_memory

        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * resource.getpagesize()

        library = ctypes.CDLL(None)
        library.malloc.restype = ctypes.c_void_p
        library.free.argtypes = [ctypes.c_void_p]
        blocks = []
        for _ in range(1000):
            blocks.append(library.malloc(50_000))
            ctypes.memset(blocks[-1], 1, 50_000)
            library.malloc(5_000)
        for block in blocks:
            library.free(block)
        before = resident()
        give_back_free_memory()
        print(before - resident())
    """
    ran = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert int(ran.stdout) > 30e6


class Counting:
    """A backend that copies, and counts how often."""

    workers = 2
    tile = 0

    def __init__(self) -> None:
        self.restored = 0

    def why_not(self) -> None:
        return None

    def identity(self) -> dict[str, str]:
        return {}

    def compile(self, network: Network, plane: PlaneFormat) -> "Counting":
        return self

    def worker(self) -> "Counting":
        return self

    def restore(self, source: Luma, target: Luma) -> None:
        self.restored += 1
        np.copyto(target, source)


@pytest.mark.parametrize(("ahead", "radius"), [(1, 0), (4, 0), (40, 0), (1, 5), (4, 5)])
def test_small_caches_let_hardly_a_frame_be_restored_twice(ahead: int, radius: int, tmp_path: Path) -> None:
    model = tmp_path / "random.onnx"
    model.write_bytes(random_network())
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=400)
    backend = Counting()
    # All frames are alike, and are to be counted each.
    out = vs_srcomp.upscale(clip, q=20, model=model, backend=backend, reuse=False)
    if radius:
        out = out.std.AverageFrames([1] * (2 * radius + 1))
    for _ in out.frames(prefetch=ahead, close=True):
        pass
    # Where the machine holds a thread up, the others may ask for more frames meanwhile than are kept.
    assert clip.num_frames <= backend.restored <= 1.1 * clip.num_frames


def test_no_more_memory_than_the_computer_has() -> None:
    assert 0 < memory_limit() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    check_memory("nothing", 0, "give less")
    with pytest.raises(
        vs.Error, match=r"srcomp: 9x9 takes more than 1000000 GB of memory, and there are .*\ngive a smaller"
    ):
        check_memory("9x9", 1e15, "give a smaller size")
