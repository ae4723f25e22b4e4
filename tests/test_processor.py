"""The processor, and the priority of threads."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vs_srcomp.processor import ordinary_threads

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root gets real-time priority, on Linux"
)

# What FFmpeg's encoder does by itself, and what this package makes of it.
_OF_THREADS = """
import os, sys
from pathlib import Path
from vs_srcomp.encoders.library import check_settings
from vs_srcomp.encoders.settings import SVT_AV1, EncoderSettings
os.environ["SVT_LOG"] = "0"
check_settings(EncoderSettings(kind=SVT_AV1, crf=40, preset="12"))
print({os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")} == {os.SCHED_OTHER})
"""


def test_an_encoder_leaves_the_priority_of_the_process_alone() -> None:
    done = subprocess.run([sys.executable, "-c", _OF_THREADS], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_real_time_priority_is_taken_back_from_threads_that_got_it_within() -> None:
    begun, done = threading.Event(), threading.Event()
    threads: list[int] = []

    def wait() -> None:
        threads.append(threading.get_native_id())
        begun.set()
        done.wait()

    thread = threading.Thread(target=wait)
    try:
        with ordinary_threads():
            thread.start()
            begun.wait()
            for number in (threads[0], threading.get_native_id()):
                os.sched_setscheduler(number, os.SCHED_FIFO, os.sched_param(1))
        assert {os.sched_getscheduler(threads[0]), os.sched_getscheduler(0)} == {os.SCHED_OTHER}
    finally:
        done.set()
        thread.join()


def test_real_time_priority_that_was_there_before_stays() -> None:
    begun, done = threading.Event(), threading.Event()
    threads: list[int] = []

    def wait() -> None:
        threads.append(threading.get_native_id())
        begun.set()
        done.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        begun.wait()
        os.sched_setscheduler(threads[0], os.SCHED_FIFO, os.sched_param(1))
        with ordinary_threads():
            assert Path("/proc/self/task", str(threads[0])).exists()
        assert os.sched_getscheduler(threads[0]) == os.SCHED_FIFO
    finally:
        done.set()
        thread.join()
