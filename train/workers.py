"""Worker processes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import vapoursynth as vs


@contextmanager
def worker_pool(processes: int | None) -> Iterator[ProcessPoolExecutor]:
    """Processes with one VapourSynth thread each, by default one per core.

    If the block raises, queued work is dropped. If this process is killed, the others end, too.
    """
    # A fork would copy the locks of VapourSynth's threads, but not the threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_start_worker) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_worker() -> None:
    # Ctrl-C reaches all processes of a terminal: the parent stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    vs.core.num_threads = 1
    # A worker holds both ends of its queue, so it would not notice the end of the parent.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
