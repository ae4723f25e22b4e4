"""Worker processes on this machine: lost ones are replaced, and all end with their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag

import pytest
import vapoursynth as vs

from tests.helpers.processes import ends
from vs_srcomp.batch.local_pool import LocalPool, _start, equal_share
from vs_srcomp.batch.pool import Advanced, Event, Failed, Finished, Logged, Task
from vs_srcomp.batch.records import Share
from vs_srcomp.log import log_info, log_once
from vs_srcomp.transcode import Job

NOWHERE = Job(source=Path("in.mkv"), target=Path("out.mkv"))


@dataclass(frozen=True)
class Probe:
    """A task with a given behaviour."""

    folder: Path
    deed: str
    job: Job = NOWHERE

    def run(self, share: Share, progress: object, cancel: Flag) -> tuple[int, int]:
        begun = self.folder / f"{os.getpid()}.begun"
        begun.touch()
        if self.deed == "die once" and len(list(self.folder.glob("*.begun"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.deed == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.deed == "fail":
            raise vs.Error("srcomp: it cannot be\ndo something else")
        if self.deed == "speak":
            log_info("a word")
            progress(1, 2)  # type: ignore[operator]
        if self.deed == "speak once":
            log_once("a word")
        if self.deed == "wait":
            cancel.wait(60)
            raise vs.Error("srcomp: stopped\nas requested")
        return os.getpid(), vs.core.num_threads


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    pool = LocalPool(1, Share(threads=3))
    yield pool
    pool.close()


def ending(pool: LocalPool, task: Task) -> list[Event]:
    """The events of ``task``, up to the one that ends it."""
    ticket = pool.submit(task)
    events: list[Event] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(isinstance(event, Finished | Failed) for event in events):
        events += [event for event in pool.wait(1) if event.ticket == ticket]
    return events


def test_signals_to_a_process_that_begins_do_not_end_it(tmp_path: Path) -> None:
    worker = _start(Share(threads=1))
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(worker.process.pid or 0, number)
        worker.pipe.send((1, Probe(tmp_path, "work")))
        assert worker.pipe.poll(60)
        done = worker.pipe.recv()
        assert isinstance(done, Finished)
        assert done.value[0] == worker.process.pid
    finally:
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()


def test_a_process_does_task_after_task_with_its_share(pool: LocalPool, tmp_path: Path) -> None:
    *words, done = ending(pool, Probe(tmp_path, "speak"))
    assert isinstance(done, Finished)
    assert words == [Logged(done.ticket, "a word"), Advanced(done.ticket, 1, 2)]
    process, threads = done.value
    assert threads == 3
    assert process != os.getpid()
    (failure,) = ending(pool, Probe(tmp_path, "fail"))
    assert failure == Failed(done.ticket + 1, "it cannot be\ndo something else")
    (again,) = ending(pool, Probe(tmp_path, ""))
    assert again == Finished(done.ticket + 2, (process, 3))


def test_what_is_said_once_is_said_of_each_clip(pool: LocalPool, tmp_path: Path) -> None:
    other = Job(source=Path("in.mkv"), target=Path("other.mkv"))
    first = [ending(pool, Probe(tmp_path, "speak once")) for _ in range(2)]
    second = ending(pool, Probe(tmp_path, "speak once", other))
    said = [[event.message for event in events if isinstance(event, Logged)] for events in (*first, second)]
    assert said == [["a word"], [], ["a word"]]


def test_a_lost_process_is_replaced_and_its_task_repeated_once(pool: LocalPool, tmp_path: Path) -> None:
    (done,) = ending(pool, Probe(tmp_path, "die once"))
    assert isinstance(done, Finished)
    assert len(list(tmp_path.glob("*.begun"))) == 2
    (failure,) = ending(pool, Probe(tmp_path, "die"))
    assert isinstance(failure, Failed)
    assert failure.message.startswith("a worker process was ended by SIGKILL, twice\n")
    assert len(list(tmp_path.glob("*.begun"))) == 3


def test_cancelling_stops_what_runs_and_what_waits(pool: LocalPool, tmp_path: Path) -> None:
    running, waiting = pool.submit(Probe(tmp_path, "wait")), pool.submit(Probe(tmp_path, ""))
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        pool.wait(0.1)
    pool.cancel()
    events: dict[int, Event] = {}
    while len(events) < 2 and time.monotonic() < deadline:
        events |= {event.ticket: event for event in pool.wait(1)}
    assert events[waiting] == Failed(waiting, "stopped", cancelled=True)
    assert isinstance(events[running], Failed)


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from tests.batch.test_local_pool import LocalPool, Probe\n"
        "if __name__ == '__main__':\n"
        "    pool = LocalPool(1)\n"
        f"    pool.submit(Probe(Path({str(tmp_path)!r}), 'wait'))\n"
        "    while True:\n"
        "        pool.wait(1)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, str(script)], env=environment) as parent:
        deadline = time.monotonic() + 60
        while not (begun := list(tmp_path.glob("*.begun"))) and time.monotonic() < deadline:
            time.sleep(0.05)
        parent.kill()
    assert ends(begun[0].stem, deadline - time.monotonic())


def test_shares_use_up_the_machine_and_no_more() -> None:
    processors = len(os.sched_getaffinity(0))
    assert equal_share(1).threads == processors
    assert equal_share(processors).threads == 1
    assert equal_share(10 * processors).threads == 1
    assert equal_share(1).cache_mib >= equal_share(4).cache_mib >= 256


def test_the_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vs_srcomp.batch.local_pool.memory_limit", lambda: 2 << 30)
    assert equal_share(1).cache_mib == 512
