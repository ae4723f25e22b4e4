"""The checkpoint of an output: what it depends on, what is finished, and a lock.

Next to the output ``film.mkv`` there is a folder ``.srcomp`` with

- ``film.mkv.json``: what the output depends on, its progress, and the result once it is finished;
- ``film.mkv.lock``: held while a process works on it;
- ``film.mkv.parts``: the finished segments, two files each, until the output is finished.

Every file is written under a temporary name and renamed, so that no incomplete file ever has its name.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import vapoursynth as vs
from filelock import FileLock, Timeout

from vs_srcomp.batch.identity import Identity, differences
from vs_srcomp.batch.records import WHOLE, Segment, SegmentRecord, whole_name
from vs_srcomp.encoders.pipe import SUFFIX
from vs_srcomp.encoders.settings import ENCODERS
from vs_srcomp.errors import error
from vs_srcomp.files import cannot_read, write_atomically
from vs_srcomp.media.containers import CONTAINERS
from vs_srcomp.named_files import already_there
from vs_srcomp.transcode.job import Result

FOLDER = ".srcomp"

_FORMAT = 2

# Names are limited to 255 bytes, and suffixes are added to those of outputs.
_LONGEST_NAME = 200

# Only these files are ever removed, and only in a folder of segments.
_EXTENSIONS = {"json", "video", *(kind.codec for kind in ENCODERS), *(kind.suffix[1:] for kind in CONTAINERS)}
_OWN_FILE = re.compile(rf"\.?(\d{{6}}|{WHOLE})(\.[a-z0-9_]{{8}})?\.({'|'.join(sorted(_EXTENSIONS))})")

# So are folders with these names, which encoding programs write to.
_OWN_FOLDER = re.compile(r"(\.\d{6})?\.srcomp-[a-z0-9_]{8}" + re.escape(SUFFIX))


class State(StrEnum):
    """Progress of an output."""

    NEW = "new"
    BEGUN = "begun"
    FINISHED = "finished"
    CHANGED = "changed"
    """It was begun or made with another identity."""
    EXISTS = "exists"
    """A file exists that no batch has made."""


@dataclass
class _Entry:
    """The content of an output's JSON file."""

    identity: Identity
    state: State
    replaces: bool
    """Whether the user has allowed to replace ``existing``."""
    segments: list[list[int]]
    """First frame, and frame after the last, of each segment; empty before one is finished."""
    output: dict[str, int]
    """Size and time of change of the finished file, or of the one that a check has rejected."""
    result: dict[str, Any]
    rejected: str = ""
    """Name of the check of the output that has failed."""
    existing: dict[str, int] = field(default_factory=dict)
    """Size and time of change of the file that there was when the work began; empty if there was none."""
    passed: list[str] = field(default_factory=list)
    """Keys of the checks that the finished output has passed."""

    @property
    def is_empty(self) -> bool:
        """Whether the work failed before anything was made."""
        return self.state is State.BEGUN and not self.segments and not self.rejected


class Checkpoint:
    """The files of one output in ``.srcomp``."""

    def __init__(self, target: Path) -> None:
        """For the output ``target``. No file is touched yet."""
        self.target = target
        self.parts = beside(target, "parts")
        """The folder of the segments' files."""
        self._file = beside(target, "json")
        self._lock = FileLock(beside(target, "lock"), thread_local=False)
        self._entry: _Entry | None = None
        self._bounds: list[list[int]] = []
        """As `_Entry.segments`, for the work in this process."""

    def acquire(self) -> bool:
        """Take the lock. Returns False if another process has it.

        Raises:
            OSError: The output's folder is not writable.
            vs.Error: There is a file where the folder of the notes goes.
        """
        make_notes_folder(self._file.parent)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Release the lock."""
        self._lock.release(force=True)

    def begin(self, identity: Identity, *, restart: bool, overwrite: bool, checks: Collection[str] = ()) -> State:
        """Start or resume the work on the output.

        Args:
            identity: What the output depends on now.
            restart: Start again if the identity has changed.
            overwrite: Replace a file that no batch has made.
            checks: Names of the checks that follow.

        Returns:
            The progress. If nothing is done yet, an empty folder of segments has been made.

        Raises:
            vs.Error: The identity has changed, an existing file would be replaced, or the output has failed a check
                that is not among ``checks``.
        """
        state, entry, replaces = self._plan(identity, restart, overwrite, checks)
        self._entry = entry or _Entry(identity, State.BEGUN, replaces, [], {}, {}, existing=self._existing())
        if state is not State.BEGUN:
            self.clear()
        if state is not State.FINISHED:
            self.parts.mkdir(exist_ok=True)
            self._entry.replaces = replaces
            if state is State.NEW or self._entry.existing != self._existing():
                self._entry.existing = self._existing()
                self._write()
        return state

    def preview(self, identity: Identity, *, restart: bool, overwrite: bool, checks: Collection[str] = ()) -> State:
        """What `begin` would return or raise. Nothing is written."""
        return self._plan(identity, restart, overwrite, checks)[0]

    def _plan(
        self, identity: Identity, restart: bool, overwrite: bool, checks: Collection[str]
    ) -> tuple[State, _Entry | None, bool]:
        """The progress, the notes if they stay valid, and whether an existing file may be replaced."""
        entry = self._read(restart=restart)
        changes = differences(entry.identity, identity) if entry else []
        ours = entry is not None and self._is_output(entry)
        # A file that came later is another one.
        permitted = entry is not None and entry.replaces and entry.existing == self._existing()
        if entry and changes and not restart:
            what = "was made" if entry.state is State.FINISHED else "was begun"
            if not entry.is_empty and (entry.state is not State.FINISHED or ours):
                raise error(
                    f"{str(self.target)!r} {what} from something else ({'; '.join(changes)})",
                    "redo it with --restart, or write to another folder",
                )
        if entry and not changes and not (restart and entry.rejected):
            if entry.state is State.FINISHED and ours:
                self._refuse_rejected(entry, checks)
                return State.FINISHED, entry, False
            if entry.state is State.BEGUN:
                replaces = overwrite or permitted or ours or self._is_joined()
                self._refuse_to_replace(replaces)
                self._refuse_rejected(entry, checks)
                return State.BEGUN, entry, replaces
        replaces = overwrite or permitted or (restart and entry is not None and (ours or self._is_joined()))
        self._refuse_to_replace(replaces)
        return State.NEW, None, replaces

    def state(self, identity: Identity) -> State:
        """The progress of the output. Nothing is written."""
        try:
            entry = self._read(restart=False)
        except vs.Error:
            return State.CHANGED
        ours = entry is not None and self._is_output(entry)
        if entry and (ours or entry.state is State.BEGUN):
            if not differences(entry.identity, identity):
                return entry.state
            if not entry.is_empty:
                return State.CHANGED
        return State.EXISTS if self._existing() or self.target.is_symlink() else State.NEW

    @property
    def replaces(self) -> bool:
        """Whether the user has allowed to replace an existing output."""
        return self._entry is not None and self._entry.replaces

    def keep_segments(self, segments: Sequence[Segment]) -> dict[int, SegmentRecord]:
        """Set how the job is cut, and find its finished segments.

        Their files are compared with their checksums. Damaged files, and those of processes that were killed, are
        removed.

        Returns:
            The records of finished segments by number.

        Raises:
            vs.Error: The job was begun with other segments.
        """
        assert self._entry is not None
        self._bounds = [[segment.first, segment.stop] for segment in segments]
        if self._entry.segments and self._entry.segments != self._bounds:
            raise error(f"{str(self.target)!r} was begun with other segments", "redo it with --restart")
        finished = {}
        for segment in segments:
            record = self._read_record(segment)
            if record:
                finished[segment.index] = record
        kept = {name for record in finished.values() for name in (record.file, _record_name(record.index))}
        self._remove(lambda name: name not in kept and not name.startswith(WHOLE))
        return finished

    def add(self, record: SegmentRecord) -> None:
        """Store that a segment is finished and its file in place."""
        assert self._entry is not None
        if not self._entry.segments:
            self._entry.segments = self._bounds
            self._write()
        write_atomically(self.parts / _record_name(record.index), seal(record.to_json()))

    @property
    def rejected(self) -> str:
        """Name of the check that the output has failed; empty if there is none."""
        return self._entry.rejected if self._entry else ""

    @property
    def passed(self) -> Collection[str]:
        """Keys of the checks that the finished output has passed."""
        return self._entry.passed if self._entry else ()

    def finish(self, result: Result, passed: Collection[str]) -> None:
        """Store that the output is finished and which checks it has passed, and remove the segments."""
        assert self._entry is not None
        self._entry.state = State.FINISHED
        self._entry.rejected, self._entry.passed = "", sorted(passed)
        # Leave to replace what was there is used up.
        self._entry.replaces, self._entry.existing = False, {}
        self._entry.output = stamp(self.target)
        self._entry.result = {"frames": result.frames, "models": result.models, "seconds": round(result.seconds, 3)}
        self._write()
        self.clear()

    def accept(self, passed: Collection[str], checks: Collection[str]) -> None:
        """Store which further checks the finished output has passed: their keys ``passed``, and their names."""
        assert self._entry is not None
        if self._entry.rejected in checks:
            self._entry.rejected = ""
        self._entry.passed = sorted({*self._entry.passed, *passed})
        self._write()

    def reject(self, check: str) -> None:
        """Store which check of the output has failed. Segments stay, so that it can be joined again."""
        assert self._entry is not None
        self._entry.rejected = check
        self._entry.output = stamp(self.target)
        self._write()

    def clear_if_empty(self) -> None:
        """Remove the folder of segments if nothing was made."""
        if self._entry and self._entry.is_empty:
            self.clear()

    def clear(self) -> None:
        """Remove the segments and no other files."""
        self._remove(lambda _: True)
        with suppress(OSError):  # it does not exist, or has other files
            self.parts.rmdir()

    def _read(self, *, restart: bool) -> _Entry | None:
        try:
            values = unseal(self._file.read_bytes())
            if values.pop("format") != _FORMAT:
                raise ValueError("another version has written it")
            return _Entry(**{**values, "state": State(values["state"])})
        except FileNotFoundError:
            return None
        except OSError as reason:
            raise cannot_read(self._file, reason) from reason
        except (ValueError, KeyError, TypeError) as reason:
            if restart:
                return None
            raise error(
                f"the notes on {str(self.target)!r} cannot be read: {reason}", "redo it with --restart"
            ) from None

    def _write(self) -> None:
        assert self._entry is not None
        values = {**vars(self._entry), "state": self._entry.state, "format": _FORMAT}
        write_atomically(self._file, seal(values))

    def _is_output(self, entry: _Entry) -> bool:
        """Whether the existing file is the finished one."""
        try:
            return entry.output == stamp(self.target)
        except OSError:
            return False

    def _existing(self) -> dict[str, int]:
        """Size and time of change of the file of the output's name; empty if there is none."""
        return stamp(self.target) if self.target.exists() else {}

    def _refuse_rejected(self, entry: _Entry, checks: Collection[str]) -> None:
        if entry.rejected and entry.rejected not in checks:
            raise error(
                f"{str(self.target)!r} has failed a check before ({entry.rejected})",
                "repeat the check with the same options, or redo it with --restart",
            )

    def _refuse_to_replace(self, replaces: bool) -> None:
        if not replaces and (self.target.exists() or self.target.is_symlink()):
            raise already_there(self.target, "write to another folder")
        if self.target.is_symlink() and not (real := self.target.resolve()).parent.is_dir():
            raise error(f"{str(self.target)!r} is a link to {str(real)!r}, whose folder does not exist", "remove it")

    def _is_joined(self) -> bool:
        """Whether the work was interrupted just after the output got its name: its temporary name still exists."""
        whole = self.parts / whole_name(self.target)
        return whole.exists() and self.target.exists() and self.target.samefile(whole)

    def _read_record(self, segment: Segment) -> SegmentRecord | None:
        try:
            record = SegmentRecord.from_json(unseal((self.parts / _record_name(segment.index)).read_bytes()))
            with (self.parts / record.file).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError):
            return None
        same = (record.index, record.first, record.stop) == (segment.index, segment.first, segment.stop)
        return record if same and record.file == segment.name and digest == record.sha256 else None

    def _remove(self, unwanted: Callable[[str], bool]) -> None:
        try:
            files = list(self.parts.iterdir())
        except FileNotFoundError:
            return
        for file in files:
            if _OWN_FOLDER.fullmatch(file.name) and file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            elif _OWN_FILE.fullmatch(file.name) and unwanted(file.name):
                file.unlink()


def make_notes_folder(folder: Path) -> None:
    """Make the ``folder`` called `FOLDER`, if there is none.

    Raises:
        OSError: The folder above is not writable.
        vs.Error: There is a file of that name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise error(f"{str(folder)!r} is not a folder, and notes on the outputs go there", "remove it") from None


def _record_name(index: int) -> str:
    return f"{index:06d}.json"


def beside(target: Path, kind: str) -> Path:
    """The file of a ``kind``, such as ``json``, that belongs to ``target``."""
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return target.parent / FOLDER / f"{name}.{kind}"


def stamp(file: Path) -> dict[str, int]:
    """What distinguishes an output that a batch has finished from other files of its name."""
    status = file.stat()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def seal(values: dict[str, Any]) -> bytes:
    """One line of JSON with its own checksum."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "values": values}, sort_keys=True).encode()


def unseal(data: bytes) -> dict[str, Any]:
    """The inverse of `seal`; ValueError if the line is damaged."""
    sealed = json.loads(data)
    values: dict[str, Any] = sealed["values"]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    if hashlib.sha256(text.encode()).hexdigest() != sealed["sha256"]:
        raise ValueError("it is damaged")
    return values
