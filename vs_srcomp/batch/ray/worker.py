"""The code that runs on the nodes of a cluster: one task at a time per process, with progress and cancellation."""

import hashlib
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import av
from filelock import FileLock

import vs_srcomp
from vs_srcomp.batch.dry_run import DryRun
from vs_srcomp.batch.identity import Identity, differences, identity_of, library_of, program_of, shortened
from vs_srcomp.batch.pool import Cut, Encode, Failed, Finished, Task, failed, heard
from vs_srcomp.batch.records import Share
from vs_srcomp.encoders.settings import ENCODERS
from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path
from vs_srcomp.log import log_about
from vs_srcomp.models import models
from vs_srcomp.progress import CancelledError, check_cancelled
from vs_srcomp.settings import backend_of
from vs_srcomp.transcode.job import Job

type Facts = dict[str, str]
"""Names and versions that a result depends on."""

# Seconds between checks of the main thread.
_INTERVAL = 0.1

_PACKAGES = ("av", "numpy", "openvino", "vapoursynth", "vs-srcomp")


@dataclass(frozen=True)
class CopiedFile:
    """A file that is copied through the object store."""

    key: str
    """Identifies the content."""
    name: str
    """File name without a folder."""
    mtime_ns: int
    bytes: int
    pieces: tuple[Any, ...]
    """References to its pieces in order, each of type ``ray.ObjectRef``."""


ON_ANY_NODE: Final = (Cut, Encode, DryRun)
"""Tasks that run networks and write nothing but segments; the others write or read finished outputs."""


@dataclass(frozen=True, kw_only=True)
class RemoteTask:
    """A task for a node."""

    number: int
    task: Task
    share: Share
    facts: Facts
    """Versions of the submitting machine."""
    identity: Identity
    """The job's identity on that machine."""
    arithmetic: Facts
    """The arithmetic of that machine."""
    pace: float
    """Seconds between progress reports."""
    folder: str = ""
    """Name of the folder for copied files in the node's temporary folder; empty with shared storage."""
    source: CopiedFile | None = None
    """The source, if it must be sent."""
    model: CopiedFile | None = None
    """The network, if it must be sent."""


@dataclass(frozen=True)
class TaskResult:
    """The answer of a node."""

    event: Finished | Failed
    messages: tuple[str, ...] = ()
    """Messages for the user."""
    content: bytes | None = None
    """Content of the segment's file, if storage is not shared."""


def facts() -> Facts:
    """Versions that must be equal on all nodes, so that segments do not depend on the node."""
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    found["source code of vs_srcomp"] = _code()
    found["libavcodec"] = ".".join(map(str, av.library_versions["libavcodec"]))
    found |= {kind.name: library_of(kind) for kind in ENCODERS}
    found |= {f"model {model.name}": model.sha256 for model in models()}
    return found


def arithmetic(job: Job) -> Facts:
    """Facts besides versions that the arithmetic of ``job`` depends on here.

    The name of the device is left out: similar devices differ only in the last bit.
    """
    found = {name: str(value) for name, value in backend_of(job).identity().items() if name != "device"}
    if found.get("precision") != "auto":
        # These decide which precision that is.
        found.pop("units", None)
    return found | (program_of(job.pipe) if job.pipe else {})


def _code() -> str:
    """SHA-256 of the package's source: two checkouts may have the same version."""
    folder = Path(vs_srcomp.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def other_facts(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """The differences, one phrase each."""

    names = [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
    return [f"{name} {shortened(theirs.get(name))} instead of {shortened(ours.get(name))}" for name in names]


class ProgressActor:
    """Collects the progress of all workers: an actor on the submitting machine."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[int, int]] = {}

    def report(self, number: int, done: int, total: int) -> None:
        """Store the progress of a task."""
        self._latest[number] = done, total

    def take(self) -> dict[int, tuple[int, int]]:
        """The progress since the last call."""
        latest, self._latest = self._latest, {}
        return latest


def run_task(remote: RemoteTask, actor: Any) -> TaskResult:
    """Run a task: the function that Ray calls.

    The work runs in a thread. Ray cancels a task by raising KeyboardInterrupt in the main thread at any point; there it
    only interrupts a wait, and the work can stop and clean up.

    Args:
        remote: The task.
        actor: Handle of the `ProgressActor`, or None.
    """
    _set_up(remote.share)
    log_about(remote.task.job.target)
    messages: list[str] = []
    work = _Work(remote)
    thread = threading.Thread(target=work.run, name="srcomp task")
    with heard(messages.append):
        try:
            thread.start()
            _watch(thread, work, remote, actor)
        except KeyboardInterrupt:
            work.cancel.set()
            if thread.ident is not None:
                thread.join()
    return TaskResult(work.event or failed(remote.number, CancelledError()), tuple(messages), work.content)


def _watch(thread: threading.Thread, work: "_Work", remote: RemoteTask, actor: Any) -> None:
    """Wait for ``thread``, and report its progress."""
    reported: tuple[int, int] | None = None
    next_report = 0.0
    while thread.is_alive():
        thread.join(_INTERVAL)
        progress = work.progress
        if actor is not None and progress and progress != reported and time.monotonic() >= next_report:
            actor.report.remote(remote.number, *progress)
            reported, next_report = progress, time.monotonic() + remote.pace


@cache
def _set_up(share: Share) -> None:
    """Settings of the worker process, made once."""
    os.environ.setdefault("SVT_LOG", "0")
    share.apply()


class _Work:
    """The work of a task, in its own thread."""

    def __init__(self, remote: RemoteTask) -> None:
        self.cancel = threading.Event()
        self.progress: tuple[int, int] | None = None
        self.event: Finished | Failed | None = None
        self.content: bytes | None = None
        self._remote = remote

    def run(self) -> None:
        try:
            self.event = Finished(self._remote.number, self._run())
        except BaseException as failure:
            event = failed(self._remote.number, failure)
            where = "" if event.cancelled else f"on node {platform.node()}: "
            self.event = replace(event, message=where + event.message)

    def _run(self) -> Any:
        remote = self._remote
        if difference := other_facts(remote.facts, facts_here()):
            raise error("its versions differ: " + "; ".join(difference), "install the same everywhere")
        if remote.folder and isinstance(remote.task, ON_ANY_NODE):
            with tempfile.TemporaryDirectory(prefix="task-", dir=node_folder(remote.folder)) as folder:
                task = _with_local_paths(remote, Path(folder), self.cancel)
                self._check_identity(task.job)
                value = task.run(remote.share, self._advance, self.cancel)
                if isinstance(task, Encode):
                    self.content = (task.folder / task.segment.name).read_bytes()
                return value
        if isinstance(remote.task, Encode):
            self._check_identity(remote.task.job)
        return remote.task.run(remote.share, self._advance, self.cancel)

    def _check_identity(self, job: Job) -> None:
        """Raise an error if networks or arithmetic differ."""
        ours, theirs = ({**groups, "source": {}} for groups in (self._remote.identity, identity_of(job)))
        ours["options"] = theirs["options"]
        difference = differences(ours, theirs) + other_facts(self._remote.arithmetic, arithmetic(job))
        if difference:
            raise error("its networks or arithmetic differ: " + "; ".join(difference), "make the nodes alike")

    def _advance(self, done: int, total: int) -> None:
        self.progress = done, total


@cache
def facts_here() -> Facts:
    """`facts`, computed once per process."""
    return facts()


def node_folder(name: str) -> Path:
    """The node's folder for copied files."""
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def forget(name: str, key: str | None) -> None:
    """Remove a copied file, or all copied files."""
    folder = Path(tempfile.gettempdir()) / name
    shutil.rmtree(folder / key if key else folder, ignore_errors=True)


def _with_local_paths(remote: RemoteTask, folder: Path, cancel: threading.Event) -> Cut | Encode | DryRun:
    """The task with paths on this node; results go to ``folder``."""
    task = remote.task
    assert isinstance(task, ON_ANY_NODE)
    job = task.job
    if remote.source:
        job = replace(job, source=_unpack(remote.source, remote.folder, cancel))
    if remote.model:
        job = replace(job, model=_unpack(remote.model, remote.folder, cancel))
    # Only its suffix matters. It must be the same for all segments of a job, whose source stays open.
    job = replace(job, target=node_folder(remote.folder) / f"nothing{job.target.suffix}")
    return replace(task, job=job, folder=folder) if isinstance(task, Encode) else replace(task, job=job)


def _unpack(copied: CopiedFile, name: str, cancel: threading.Event) -> Path:
    """The path of a copied file, which the first process on the node fetches."""
    import ray

    folder = node_folder(name) / copied.key
    file = folder / copied.name
    # The lock ends with its process in any case.
    with FileLock(node_folder(name) / f"{copied.key}.lock"):
        folder.mkdir(exist_ok=True)
        if not file.exists():
            with atomic_path(file) as temporary, temporary.open("wb") as opened:
                for piece in copied.pieces:
                    check_cancelled(cancel)
                    opened.write(ray.get(piece))
                opened.flush()
                os.utime(temporary, ns=(copied.mtime_ns, copied.mtime_ns))
            if file.stat().st_size != copied.bytes:
                file.unlink()
                raise error(f"{copied.name!r} has changed while it was copied", "start the job again")
    return file
