"""A pool of workers on a Ray cluster, for the same tasks as the local pool."""

import hashlib
import itertools
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vs_srcomp.batch.identity import Identity, identity_of
from vs_srcomp.batch.pool import Advanced, Cut, Encode, Event, Failed, Finished, Logged, Task, failed
from vs_srcomp.batch.ray.nodes import (
    compare_nodes,
    connect,
    cpus_for,
    import_ray,
    living_nodes,
    on_node,
    places,
)
from vs_srcomp.batch.ray.worker import (
    ON_ANY_NODE,
    CopiedFile,
    Facts,
    ProgressActor,
    RemoteTask,
    TaskResult,
    arithmetic,
    facts,
    forget,
    run_task,
)
from vs_srcomp.batch.records import Share
from vs_srcomp.errors import error, first_line
from vs_srcomp.files import write_atomically
from vs_srcomp.models.choice import is_file
from vs_srcomp.transcode.info import fingerprint
from vs_srcomp.transcode.job import Job

_MIB = 1 << 20

# Bytes of a piece of a copied file. A node needs memory for a few pieces, not for the file.
_PIECE_BYTES = 32 * _MIB

# Seconds for the cleanup of nodes at the end.
_PATIENCE = 10.0

# Seconds between counts of the nodes, and between requests for progress.
_BETWEEN_COUNTS = 5.0
_BETWEEN_LOOKS = 0.5

# Largest number of progress reports per second, for any number of tasks.
_REPORTS_A_SECOND = 500


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """A cluster, and how to use it."""

    address: str = "local"
    """``host:port`` of a cluster's head, ``"auto"`` for the cluster that this machine belongs to, or ``"local"`` to
    start one on this machine alone, for as long as the pool lives."""
    storage: Literal["shared", "copied"] = "shared"
    """``"shared"``: the paths of a job are valid on every node. ``"copied"``: nodes share no files; sources are sent to
    them, and segments sent back, through Ray's object store."""
    cpus_per_task: float | None = None
    """Processor cores that Ray reserves for a task, and threads that it uses; by default at most four, or a graphics
    card's share of its node's cores."""
    gpus_per_task: float = 0.0
    """Graphics cards that Ray reserves for a task that needs one; with 0.5, two tasks share one."""
    retries: int = 3
    """How often to restart a task whose node or process was lost."""

    def __post_init__(self) -> None:
        """Reject values for which Ray has unclear errors, or which it takes for "no limit"."""
        if self.gpus_per_task < 0 or (self.cpus_per_task is not None and self.cpus_per_task <= 0):
            raise error("a task needs processor cores", "give a number above 0, and of graphics cards 0 or more")
        if self.retries < 0:
            raise error("the number of retries cannot be negative", "give 0 or more")


class ClusterPool:
    """Tasks on the nodes of a Ray cluster; see `vs_srcomp.batch.pool.Pool`.

    Ray sends tasks and results between nodes with pickle, so nodes must trust each other. No pickle is ever read from a
    file.
    """

    def __init__(self, cluster: ClusterConfig) -> None:
        """Connect, and compare the nodes with this machine.

        A process has only one connection to a cluster. An existing one is used, whatever the address, and kept.

        Raises:
            vs.Error: Ray is missing or cannot connect, a node has other versions, or no node has the cores for a task.
        """
        self._ray = import_ray()
        self._cluster = cluster
        self._ours = not self._ray.is_initialized()
        self._cancelled = False
        self._numbers = itertools.count(1)
        self._waiting: deque[tuple[int, Task]] = deque()
        self._unsent: list[Event] = []
        self._running: dict[Any, tuple[int, Task]] = {}
        """Tasks by the reference to their result."""
        self._compared: set[object] = set()
        self._identities: dict[Job, tuple[Identity, Facts]] = {}
        self._copied: dict[tuple[Job, str], CopiedFile] = {}
        self._folder = f"srcomp-{uuid.uuid4().hex[:16]}" if cluster.storage == "copied" else ""
        self._counted = self._looked = -_BETWEEN_COUNTS
        self._size = self._spare = 0
        self._answer: Any = None
        if self._ours:
            connect(self._ray, cluster.address)
        try:
            self._home = self._ray.get_runtime_context().get_node_id()
            actor = self._ray.remote(num_cpus=0)(ProgressActor)
            self._actor = actor.options(scheduling_strategy=on_node(self._home)).remote()
            compare_nodes(self._ray, living_nodes(self._ray), facts)
            self._facts = facts()
            self._cpus = cluster.cpus_per_task or cpus_for(living_nodes(self._ray), cluster.gpus_per_task)
            if self.size == 0:
                raise error(
                    f"no node has {self._cpus:g} processor cores and {cluster.gpus_per_task:g} graphics cards",
                    "ask for less for a task, or add nodes",
                )
            self._ray.get(self._actor.take.remote())  # tasks would slow its start
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Number of tasks that the current nodes can run at the same time."""
        if time.monotonic() - self._counted > _BETWEEN_COUNTS:
            self._counted = time.monotonic()
            nodes = living_nodes(self._ray)
            self._size, self._spare = sum(map(self._places, nodes)), len(nodes)
        return self._size

    def submit(self, task: Task) -> int:
        """See ``Pool``.

        Raises:
            vs.Error: The precision on a node differs from that on this machine.
        """
        self._compare_arithmetic(task.job)
        number = next(self._numbers)
        self._waiting.append((number, task))
        self._send()
        return number

    def wait(self, seconds: float) -> list[Event]:
        """See ``Pool``."""
        self._send()
        events, self._unsent = self._unsent, []
        if self._cancelled:
            events += [Failed(number, "stopped", cancelled=True) for number, _ in self._waiting]
            self._waiting.clear()
        deadline = time.monotonic() + (0 if events else seconds)
        while True:
            left = max(0.0, deadline - time.monotonic())
            events += self._finished(min(left, _BETWEEN_LOOKS))
            events += self._progress()
            if events or time.monotonic() >= deadline:
                break
        self._send()
        return events

    def cancel(self) -> None:
        """See ``Pool``."""
        self._cancelled = True
        for reference in self._running:
            self._ray.cancel(reference, force=False)

    def close(self) -> None:
        """See ``Pool``."""
        with suppress(Exception):  # the cluster may be gone
            for reference in self._running:
                self._ray.cancel(reference, force=True)
            self._running.clear()
            if self._folder:
                self._forget(None)
        if self._ours:
            self._ray.shutdown()

    def _compare_arithmetic(self, job: Job) -> None:
        """Compare the nodes once for each backend, whose arithmetic may depend on the machine."""
        if job.backend not in self._compared:
            nodes = [node for node in living_nodes(self._ray) if self._places(node)]
            compare_nodes(self._ray, nodes, arithmetic, job)
            self._compared.add(job.backend)

    def _places(self, node: dict[str, Any]) -> int:
        """Number of tasks that ``node`` can run at the same time."""
        return places(node, self._cpus, self._cluster.gpus_per_task)

    def _send(self) -> None:
        """Submit as many tasks as Ray can run, and one more per node; the others wait here."""
        while self._waiting and not self._cancelled and len(self._running) < self.size + self._spare:
            number, task = self._waiting.popleft()
            try:
                remote = self._remote_task(number, task)
            except Exception as failure:  # for example, the source is gone; other tasks go on
                self._unsent.append(failed(number, failure))
                continue
            function = self._ray.remote(retry_exceptions=False, **self._options(task))(run_task)
            self._running[function.remote(remote, self._actor)] = number, task

    def _options(self, task: Task) -> dict[str, Any]:
        """Ray's options for ``task``."""
        if isinstance(task, ON_ANY_NODE):
            gpus, retries = self._cluster.gpus_per_task, self._cluster.retries
            return {"num_cpus": self._cpus, "num_gpus": gpus, "max_retries": retries}
        # No retries: the output may have got its name just before the node was lost.
        if self._folder:
            return {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": on_node(self._home)}
        return {"num_cpus": min(1.0, self._cpus), "max_retries": 0}

    def _remote_task(self, number: int, task: Task) -> RemoteTask:
        job = task.job
        if job not in self._identities:
            self._identities[job] = identity_of(job), arithmetic(job)
        sent = bool(self._folder) and isinstance(task, ON_ANY_NODE)
        return RemoteTask(
            number=number,
            task=task,
            share=Share(threads=max(1, int(self._options(task)["num_cpus"]))),
            facts=self._facts,
            identity=self._identities[job][0],
            arithmetic=self._identities[job][1],
            pace=max(_BETWEEN_LOOKS, self.size / _REPORTS_A_SECOND),
            folder=self._folder,
            source=self._copied_file(job, "source", job.source) if sent else None,
            model=self._copied_file(job, "model", Path(job.model)) if sent and is_file(job.model) else None,
        )

    def _finished(self, seconds: float) -> Iterator[Event]:
        """The events of finished tasks."""
        if not self._running:
            time.sleep(seconds)
            return
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        if ready:  # and whatever else is
            ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        for reference in ready:
            number, task = self._running.pop(reference)
            result = self._result(reference, number)
            yield from (Logged(number, message) for message in result.messages)
            if not isinstance(task, Cut | Encode) or isinstance(result.event, Failed):
                self._dismiss(task.job)
            yield self._received(task, result)

    def _result(self, reference: Any, number: int) -> TaskResult:
        try:
            result: TaskResult = self._ray.get(reference)
        except self._ray.exceptions.TaskCancelledError:
            return TaskResult(Failed(number, "stopped", cancelled=True))
        except self._ray.exceptions.RayError as failure:
            if self._cancelled:
                return TaskResult(Failed(number, "stopped", cancelled=True))
            message = f"the task was lost ({type(failure).__name__}: {first_line(failure)})"
            return TaskResult(Failed(number, f"{message}\nrun the same command again; what is finished is kept"))
        return result

    def _received(self, task: Task, result: TaskResult) -> Event:
        """The event for ``result``, after its segment has been written."""
        event = result.event
        if not isinstance(event, Finished) or result.content is None:
            return event
        assert isinstance(task, Encode)
        try:
            if hashlib.sha256(result.content).hexdigest() != event.value.sha256:
                raise error("a segment was damaged on its way", "run the same command again")
            target = task.folder / task.segment.name
            write_atomically(target, result.content)
        except Exception as failure:
            return failed(event.ticket, failure)
        return event

    def _progress(self) -> list[Event]:
        """The progress that the actor has collected. A late answer is read next time."""
        if self._answer is None and self._running and time.monotonic() - self._looked >= _BETWEEN_LOOKS:
            self._looked = time.monotonic()
            self._answer = self._actor.take.remote()
        if self._answer is None or not self._ray.wait([self._answer], timeout=0)[0]:
            return []
        answer, self._answer = self._answer, None
        running = {number for number, _ in self._running.values()}
        with suppress(self._ray.exceptions.RayError):  # not worth stopping for
            progress: dict[int, tuple[int, int]] = self._ray.get(answer)
            return [Advanced(number, done, total) for number, (done, total) in progress.items() if number in running]
        return []

    def _copied_file(self, job: Job, what: str, file: Path) -> CopiedFile:
        """``file`` in the object store, for the duration of ``job``."""
        if (job, what) not in self._copied:
            found = fingerprint(file)
            with file.open("rb") as opened:
                pieces = tuple(self._ray.put(piece) for piece in iter(lambda: opened.read(_PIECE_BYTES), b""))
            key = hashlib.sha256(f"{file.absolute()}\0{found}".encode()).hexdigest()[:32]
            self._copied[job, what] = CopiedFile(key, file.name, found.mtime_ns, found.bytes, pieces)
        return self._copied[job, what]

    def _dismiss(self, job: Job) -> None:
        """Release the objects of ``job``. If it is resumed, they are put there again."""
        self._identities.pop(job, None)
        copied = self._copied.pop((job, "source"), None)
        self._copied.pop((job, "model"), None)
        if copied and not any(task.job == job for _, task in self._running.values()):
            self._forget(copied.key)

    def _forget(self, key: str | None) -> None:
        """Let all nodes remove a copied file, or all copied files."""
        function = self._ray.remote(num_cpus=0, max_retries=0)(forget)
        done = [
            function.options(scheduling_strategy=on_node(node["NodeID"])).remote(self._folder, key)
            for node in living_nodes(self._ray)
        ]
        if key is None:
            self._ray.wait(done, num_returns=len(done), timeout=_PATIENCE)
