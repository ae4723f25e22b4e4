"""What runs on the nodes of a cluster: one task at a time in a process, with its progress and its cancellation."""

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
from typing import Any

import av
import vapoursynth as vs
from filelock import FileLock

import vs_srcomp
from vs_srcomp.batch.identity import Identity, differences, identity_of, program_of
from vs_srcomp.batch.pool import Cut, Encode, Failed, Finished, Task, failed
from vs_srcomp.batch.records import Share
from vs_srcomp.encoders.feed import CancelledError
from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path
from vs_srcomp.models import models
from vs_srcomp.transcode.graph import backend_of
from vs_srcomp.transcode.job import Job

type Facts = dict[str, str]
"""Names and versions of what a result depends on."""

_OUR_VOICE = "srcomp: "

# How often the main thread of a worker looks up, in seconds.
_PACE = 0.1

_PACKAGES = ("av", "numpy", "openvino", "vapoursynth", "vs-srcomp")

# Those that PyAV loads for encoding; their file names carry their versions.
_ENCODERS = ("SvtAv1Enc", "x264", "x265")


@dataclass(frozen=True)
class Parcel:
    """A file that is sent through the object store."""

    key: str
    """The same for the same content."""
    name: str
    """Of the file, without a folder."""
    mtime_ns: int
    bytes: int
    pieces: tuple[Any, ...]
    """References to the pieces of its content, in order; each of type ``ray.ObjectRef``."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A task as it is sent to a node."""

    number: int
    task: Task
    share: Share
    facts: Facts
    """Those of the machine that gives the orders."""
    identity: Identity
    """What the output depends on, as that machine sees it."""
    arithmetic: Facts
    """Likewise."""
    pace: float
    """Seconds between two words on progress."""
    folder: str = ""
    """Name of the node's folder for copied files, below that for temporary files; empty where storage is shared."""
    source: Parcel | None = None
    """The source, where it has to be sent."""
    model: Parcel | None = None
    """The network, likewise."""


@dataclass(frozen=True)
class Outcome:
    """What became of an order."""

    event: Finished | Failed
    said: tuple[str, ...] = ()
    """Messages to the user."""
    content: bytes | None = None
    """Of the segment's file, where storage is not shared."""


def facts() -> Facts:
    """What must be the same on all nodes, lest segments differ by who makes them."""
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    found["source code of vs_srcomp"] = _code()
    found["libavcodec"] = ".".join(map(str, av.library_versions["libavcodec"]))
    found |= _encoders()
    found |= {f"model {model.name}": model.sha256 for model in models()}
    return found


def arithmetic(job: Job) -> Facts:
    """What the arithmetic of the networks of ``job`` depends on here, besides versions.

    The device itself is left out: two of a kind round alike, but for the last bit.
    """
    tell = getattr(backend_of(job), "identity", dict)
    found = {name: str(value) for name, value in tell().items() if name != "device"}
    if found.get("precision") != "auto":
        # These decide which precision that is.
        found.pop("units", None)
    return found | (program_of(job.pipe) if job.pipe else {})


def _code() -> str:
    """Two checkouts may have one version."""
    folder = Path(vs_srcomp.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _encoders() -> Facts:
    try:
        lines = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text("utf-8").splitlines()]
    except OSError:
        return {}
    names = sorted({Path(parts[5]).resolve().name for parts in lines if len(parts) == 6})
    return {stem: ", ".join(name for name in names if name.startswith(f"lib{stem}")) for stem in _ENCODERS}


def other_facts(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """What differs, in words."""

    def word(value: str | None) -> str:
        return "none" if value is None else value if len(value) <= 40 else f"{value[:12]}..."

    names = [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
    return [f"{name} {word(theirs.get(name))} instead of {word(ours.get(name))}" for name in names]


class Board:
    """Where workers note how far they are; an actor beside the program that gives the orders."""

    def __init__(self) -> None:
        """Empty."""
        self._latest: dict[int, tuple[int, int]] = {}

    def tell(self, number: int, done: int, total: int) -> None:
        """Note the progress of an order."""
        self._latest[number] = done, total

    def take(self) -> dict[int, tuple[int, int]]:
        """What is new since the last call."""
        latest, self._latest = self._latest, {}
        return latest


def carry_out(order: Order, board: Any) -> Outcome:
    """Do what ``order`` says: the body of a task.

    The work is done in a thread. Ray cancels a task by raising KeyboardInterrupt in its main thread, wherever that is;
    here it only waits, so that the work can stop where it does no harm and clean up.

    Args:
        order: What to do.
        board: Handle of the `Board` that is told the progress, or None.
    """
    _set_up(order.share)
    said: list[str] = []
    handle = vs.core.add_log_handler(
        lambda _, message: said.append(message.removeprefix(_OUR_VOICE)) if message.startswith(_OUR_VOICE) else None
    )
    work = _Work(order)
    thread = threading.Thread(target=work.run, name="srcomp task")
    try:
        thread.start()
        _watch(thread, work, order, board)
    except KeyboardInterrupt:
        work.cancel.set()
        if thread.ident is not None:
            thread.join()
    finally:
        vs.core.remove_log_handler(handle)
    return Outcome(work.event or failed(order.number, CancelledError()), tuple(said), work.content)


def _watch(thread: threading.Thread, work: "_Work", order: Order, board: Any) -> None:
    """Wait for ``thread``, and tell its progress."""
    told: tuple[int, int] | None = None
    next_word = 0.0
    while thread.is_alive():
        thread.join(_PACE)
        progress = work.progress
        if board is not None and progress and progress != told and time.monotonic() >= next_word:
            board.tell.remote(order.number, *progress)
            told, next_word = progress, time.monotonic() + order.pace


@cache
def _set_up(share: Share) -> None:
    """What holds for the whole life of a worker's process, which is ours."""
    os.environ.setdefault("SVT_LOG", "0")
    if share.threads:
        vs.core.num_threads = share.threads
    if share.cache_mib:
        vs.core.max_cache_size = share.cache_mib


class _Work:
    """The work of an order, in a thread of its own."""

    def __init__(self, order: Order) -> None:
        self.cancel = threading.Event()
        self.progress: tuple[int, int] | None = None
        self.event: Finished | Failed | None = None
        self.content: bytes | None = None
        self._order = order

    def run(self) -> None:
        try:
            self.event = Finished(self._order.number, self._run())
        except BaseException as failure:
            event = failed(self._order.number, failure)
            where = "" if event.cancelled else f"on node {platform.node()}: "
            self.event = replace(event, message=where + event.message)

    def _run(self) -> Any:
        order = self._order
        if difference := other_facts(order.facts, facts_here()):
            raise error("other versions than on the others: " + "; ".join(difference), "install the same everywhere")
        if order.folder and isinstance(order.task, Cut | Encode):
            with tempfile.TemporaryDirectory(prefix="task-", dir=node_folder(order.folder)) as folder:
                task = _brought_here(order, Path(folder), self.cancel)
                self._check_identity(task.job)
                value = task.run(order.share, self._advance, self.cancel)
                if isinstance(task, Encode):
                    self.content = (task.folder / task.segment.name).read_bytes()
                return value
        if isinstance(order.task, Encode):
            self._check_identity(order.task.job)
        return order.task.run(order.share, self._advance, self.cancel)

    def _check_identity(self, job: Job) -> None:
        """The same networks, the same arithmetic."""
        ours, theirs = ({**groups, "source": {}} for groups in (self._order.identity, identity_of(job)))
        ours["options"] = theirs["options"]
        difference = differences(ours, theirs) + other_facts(self._order.arithmetic, arithmetic(job))
        if difference:
            raise error("not what it is elsewhere: " + "; ".join(difference), "make the nodes alike")

    def _advance(self, done: int, total: int) -> None:
        self.progress = done, total


@cache
def facts_here() -> Facts:
    """`facts`, found once a process."""
    return facts()


def node_folder(name: str) -> Path:
    """The node's folder for copied files."""
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def forget(name: str, key: str | None) -> None:
    """Remove a copied file, or all of them."""
    folder = Path(tempfile.gettempdir()) / name
    shutil.rmtree(folder / key if key else folder, ignore_errors=True)


def _brought_here(order: Order, folder: Path, cancel: threading.Event) -> Cut | Encode:
    """The task of ``order``, with all paths on this node; what is made goes to ``folder``."""
    task = order.task
    assert isinstance(task, Cut | Encode)
    job = task.job
    if order.source:
        job = replace(job, source=_unpack(order.source, order.folder, cancel))
    if order.model:
        job = replace(job, model=_unpack(order.model, order.folder, cancel))
    # Only its suffix matters here, and it must not differ between the segments of one job: the source stays open.
    job = replace(job, target=node_folder(order.folder) / f"nothing{job.target.suffix}")
    return Cut(job) if isinstance(task, Cut) else Encode(job, task.segment, folder)


def _unpack(parcel: Parcel, name: str, cancel: threading.Event) -> Path:
    """The path of a copied file; fetched by the first process of the node that needs it."""
    import ray

    folder = node_folder(name) / parcel.key
    file = folder / parcel.name
    # A lock ends with the process that holds it, however that ends.
    with FileLock(node_folder(name) / f"{parcel.key}.lock"):
        folder.mkdir(exist_ok=True)
        if not file.exists():
            with atomic_path(file) as temporary, temporary.open("wb") as opened:
                for piece in parcel.pieces:
                    if cancel.is_set():
                        raise CancelledError
                    opened.write(ray.get(piece))
                opened.flush()
                os.utime(temporary, ns=(parcel.mtime_ns, parcel.mtime_ns))
            if file.stat().st_size != parcel.bytes:
                file.unlink()
                raise error(f"{parcel.name!r} has changed while it was copied", "start the work anew")
    return file
