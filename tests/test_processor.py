"""The processor, and the priority of threads."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from vs_srcomp import processor
from vs_srcomp.processor import has_amx, has_avx2, has_bf16, has_vnni, ordinary_threads, processor_class

only_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows a process's threads")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gets real-time priority")

# What FFmpeg's encoder does by itself, and what this package makes of it.
_OF_THREADS = """
import os, sys
from contextlib import nullcontext
from vs_srcomp.encoders import library
from vs_srcomp.encoders.settings import SVT_AV1, EncoderSettings
os.environ["SVT_LOG"] = "0"
if sys.argv[1] == "by itself":
    library.ordinary_threads = nullcontext
library.check_settings(EncoderSettings(kind=SVT_AV1, crf=40, preset="12"))
print({os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")} == {os.SCHED_OTHER})
"""


@only_linux
@only_root
@pytest.mark.parametrize(("how", "is_ordinary"), [("by itself", False), ("as called here", True)])
def test_an_encoder_leaves_the_priority_of_the_process_alone(how: str, is_ordinary: bool) -> None:
    done = subprocess.run([sys.executable, "-c", _OF_THREADS, how], capture_output=True, text=True, check=True)
    assert done.stdout == f"{is_ordinary}\n"


@contextmanager
def another_thread() -> Iterator[int]:
    """The number of a thread that does nothing until the block ends."""
    begun, done = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        done.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait()
    assert thread.native_id
    try:
        yield thread.native_id
    finally:
        done.set()
        thread.join()


@only_linux
@only_root
def test_real_time_priority_is_taken_back_from_threads_that_got_it_within() -> None:
    with ExitStack() as threads:
        with ordinary_threads():
            begun_within = threads.enter_context(another_thread())
            for number in (begun_within, threading.get_native_id()):
                os.sched_setscheduler(number, os.SCHED_FIFO, os.sched_param(1))
        assert {os.sched_getscheduler(begun_within), os.sched_getscheduler(0)} == {os.SCHED_OTHER}


@only_linux
@only_root
def test_real_time_priority_that_was_there_before_stays() -> None:
    with another_thread() as number:
        os.sched_setscheduler(number, os.SCHED_FIFO, os.sched_param(1))
        with ordinary_threads():
            assert Path("/proc/self/task", str(number)).exists()
        assert os.sched_getscheduler(number) == os.SCHED_FIFO


@pytest.mark.parametrize(
    ("limit", "name", "has"),
    [
        ("SSE41", "other", ()),
        ("AVX", "other", ()),
        ("AVX2", "AVX2", (has_avx2,)),
        ("avx2_vnni_2", "AVX2_VNNI", (has_avx2, has_vnni)),
        ("AVX512_CORE", "AVX512_CORE", (has_avx2,)),
        ("AVX512_CORE_FP16", "AVX512_CORE_BF16", (has_avx2, has_vnni, has_bf16)),
        ("AVX512_CORE_AMX", "AVX512_CORE_AMX", (has_avx2, has_vnni, has_bf16, has_amx)),
        ("DEFAULT", "AVX512_CORE_AMX", (has_avx2, has_vnni, has_bf16, has_amx)),
        ("", "AVX512_CORE_AMX", (has_avx2, has_vnni, has_bf16, has_amx)),
    ],
)
def test_every_limit_of_the_library_is_obeyed(
    limit: str, name: str, has: tuple[Callable[[], bool], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "_flags", lambda: processor._LIMITED | {"sse4_1", "avx"})
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert processor_class() == name
    assert tuple(kind for kind in (has_avx2, has_vnni, has_bf16, has_amx) if kind()) == has
