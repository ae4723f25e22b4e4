"""A pool of processes on this machine."""

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from vs_srcomp.batch.pool import Advanced, Event, Failed, Finished, Logged, Task, failed, forward_log
from vs_srcomp.batch.records import Share
from vs_srcomp.encoders.pipe import end_programs
from vs_srcomp.log import log_about
from vs_srcomp.memory import memory_limit
from vs_srcomp.processor import core_count

# Seconds between progress reports of a task.
_INTERVAL = 0.1

# Seconds for a process to end by itself.
_PATIENCE = 5.0

# Number of attempts for a task whose process is lost.
_ATTEMPTS = 2

# A terminal sends them to all processes, also when it is closed; the parent handles them.
_FROM_TERMINALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def equal_share(jobs: int) -> Share:
    """An equal share of this machine for each of ``jobs`` processes."""
    processors = core_count()
    memory = memory_limit() >> 20
    # A quarter of the memory for cached frames. Frames in progress take a few times as much.
    return Share(threads=max(1, processors // jobs), cache_mib=max(256, min(4096, memory // 4 // jobs)))


@dataclass
class _Ticket:
    number: int
    task: Task
    attempts: int = 0


@dataclass
class _Worker:
    """A worker process in its parent."""

    process: BaseProcess
    pipe: Connection
    ticket: _Ticket | None = None
    job: object = None
    """The job of its last task; the process keeps its source open."""


class LocalPool:
    """Processes on this machine; see `vs_srcomp.batch.pool.Pool`.

    They end when their parent ends, even if it is killed.
    """

    def __init__(self, jobs: int, share: Share | None = None) -> None:
        """Start no process yet.

        Args:
            jobs: Largest number of processes.
            share: Share of the machine for each; equal shares by default.
        """
        self.size = jobs
        self._share = share or equal_share(jobs)
        self._waiting: deque[_Ticket] = deque()
        self._workers: list[_Worker] = []
        self._numbers = 0
        self._cancelled = False

    def submit(self, task: Task) -> int:
        """See ``Pool``."""
        self._numbers += 1
        self._waiting.append(_Ticket(self._numbers, task))
        self._dispatch()
        return self._numbers

    def wait(self, seconds: float) -> list[Event]:
        """See ``Pool``."""
        events: list[Event] = []
        if self._cancelled:
            events += [Failed(ticket.number, "stopped", cancelled=True) for ticket in self._waiting]
            self._waiting.clear()
        self._dispatch()
        busy = {worker.pipe: worker for worker in self._workers}
        for ready in wait(list(busy), 0 if events else seconds):
            worker = busy[ready]  # type: ignore[index]
            try:
                while worker.pipe.poll():
                    event: Event = worker.pipe.recv()
                    events.append(event)
                    if isinstance(event, Finished | Failed):
                        worker.ticket = None
            except (EOFError, OSError):
                events += self._replace(worker)
        self._dispatch()
        return events

    def cancel(self) -> None:
        """See ``Pool``."""
        self._cancelled = True
        for worker in self._workers:
            self._send(worker, "cancel")

    def close(self) -> None:
        """See ``Pool``."""
        for worker in self._workers:
            worker.pipe.close()  # which ends the process
        deadline = time.monotonic() + _PATIENCE
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _dispatch(self) -> None:
        while self._waiting and not self._cancelled:
            idle = [worker for worker in self._workers if worker.ticket is None]
            if not idle and len(self._workers) < self.size:
                idle = [_start(self._share)]
                self._workers += idle
            if not idle:
                return
            ticket = self._waiting.popleft()
            worker = next((worker for worker in idle if worker.job == ticket.task.job), idle[0])
            ticket.attempts += 1
            worker.ticket, worker.job = ticket, ticket.task.job
            self._send(worker, (ticket.number, ticket.task))

    def _send(self, worker: _Worker, message: object) -> None:
        with suppress(OSError):  # the process is lost, which `wait` finds out
            worker.pipe.send(message)

    def _replace(self, worker: _Worker) -> list[Event]:
        """Handle a lost process: restart its task in another one, once."""
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)
        ticket = worker.ticket
        if ticket is None:
            return []
        if ticket.attempts < _ATTEMPTS and not self._cancelled:
            self._waiting.appendleft(ticket)
            return []
        return [Failed(ticket.number, _exit_message(worker.process.exitcode), cancelled=self._cancelled)]


def _exit_message(code: int | None) -> str:
    what = f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"
    return f"a worker process {what}, twice\nif memory ran out, use fewer --jobs; otherwise please report it"


def _start(share: Share) -> _Worker:
    # Spawned: a fork would copy the core's locks, but not the threads that hold them.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, share), name="srcomp worker", daemon=True)
    # The tracker would be started with the first process, and let signals through again.
    resource_tracker.ensure_running()
    # The worker inherits the mask: until `serve` ignores them, a signal would end it with a traceback.
    with _held_back():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _held_back() -> Iterator[None]:
    """Deliver signals of terminals to this thread only after the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FROM_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: Connection, share: Share) -> None:
    """The main function of a worker process: run the tasks from ``pipe`` until it is closed."""
    for number in _FROM_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FROM_TERMINALS)
    share.apply()
    tasks: queue.Queue[tuple[int, Task]] = queue.Queue()
    cancel = threading.Event()
    threading.Thread(target=_listen, args=(pipe, tasks, cancel), daemon=True).start()
    writer = _Writer(pipe)
    forward_log(writer.log)
    while True:
        writer.ticket, task = tasks.get()
        log_about(task.job.target)
        try:
            writer.send(Finished(writer.ticket, task.run(share, writer.progress, cancel)))
        except Exception as failure:
            writer.send(failed(writer.ticket, failure))


def _listen(pipe: Connection, tasks: "queue.Queue[tuple[int, Task]]", cancel: threading.Event) -> None:
    try:
        while True:
            message = pipe.recv()
            if message == "cancel":
                cancel.set()
            else:
                tasks.put(message)
    except (EOFError, OSError):
        # The parent has ended or has closed the pipe.
        end_programs()
        os._exit(0)


class _Writer:
    """Sends events to the parent. Thread-safe."""

    ticket = 0
    """Ticket of the current task."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._reported = 0.0

    def send(self, event: Event) -> None:
        with self._lock:
            self._pipe.send(event)

    def progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._reported >= _INTERVAL:
            self._reported = now
            self.send(Advanced(self.ticket, done, total))

    def log(self, message: str) -> None:
        self.send(Logged(self.ticket, message))
