"""Worker processes; that they end with a parent that is killed is tested by `test_dataset`."""

import os
import time
from pathlib import Path

import pytest
import vapoursynth as vs

from train.workers import worker_pool


def facts() -> tuple[int, int]:
    return os.getpid(), vs.core.num_threads


def touch(path: Path) -> None:
    time.sleep(0.2)
    path.touch()


def test_a_worker_is_a_process_with_one_vapoursynth_thread() -> None:
    with worker_pool(1) as pool:
        pid, threads = pool.submit(facts).result(60)
    assert pid != os.getpid()
    assert threads == 1


def test_queued_work_is_dropped_if_the_block_raises(tmp_path: Path) -> None:
    def queue_and_fail() -> None:
        with worker_pool(1) as pool:
            for number in range(100):
                pool.submit(touch, tmp_path / str(number))
            pool.submit(facts)
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        queue_and_fail()
    assert len(list(tmp_path.iterdir())) < 10
