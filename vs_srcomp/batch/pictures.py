"""Many pictures in any number of attempts: what an earlier run has finished is left as it is.

The folder ``.srcomp`` beside the outputs has a file for each of them, which says what it was made from, and a lock.
Videos have a `vs_srcomp.batch.checkpoint.Checkpoint` there; a picture is done in one step and needs no more than this.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from vs_srcomp.batch.checkpoint import FOLDER, beside, make_notes_folder, seal, stamp, unseal
from vs_srcomp.batch.identity import Identity, differences, identity_of_picture
from vs_srcomp.errors import error
from vs_srcomp.files import write_atomically
from vs_srcomp.named_files import already_there, check_new_output, check_replaceable
from vs_srcomp.source.media import local_file
from vs_srcomp.stills.job import PictureJob, PictureResult
from vs_srcomp.stills.picture import Picture
from vs_srcomp.stills.run import upscale_read, writing_picture
from vs_srcomp.transcode.info import fingerprint

type _Note = dict[str, Any]
"""``identity``, and ``output``: size and time of change of a finished output."""


class Resumable:
    """Pictures that are made with the same settings."""

    def __init__(self, settings: PictureJob, *, restart: bool, redo: str) -> None:
        """Find what all outputs depend on.

        Args:
            settings: Those of all pictures; of source and target only the suffix counts.
            restart: Redo what was made from other settings, sources or models.
            redo: The option of the command line that asks for that.
        """
        self._restart, self._redo = restart, redo
        self._settings = identity_of_picture(settings)
        self._sources: dict[Path, Identity] = {}

    def is_finished(self, job: PictureJob) -> bool:
        """Whether an earlier run has finished the output of ``job``. Nothing is written.

        Raises:
            vs.Error: There is an output that may not be replaced.
        """
        check_replaceable(job.target, job.source)
        if not job.target.exists():
            if job.target.is_symlink() and not job.overwrite:
                raise already_there(job.target, "write to another folder")
            return False
        note = _note_of(job.target)
        changes = differences(note["identity"], self._identity(job)) if note else []
        if note and not changes:
            return True
        if note and not (self._restart or job.overwrite):
            raise error(
                f"{str(job.target)!r} was made from something else ({'; '.join(changes)})",
                f"redo it with {self._redo}, or write to another folder",
            )
        if not note and not job.overwrite:
            raise already_there(job.target, "write to another folder")
        return False

    def upscale(self, job: PictureJob, read: Callable[[], Picture]) -> PictureResult | None:
        """Do ``job`` with the picture that ``read`` gives; None if an earlier run has finished it.

        A run that works on the same output at the same time is waited for.

        Raises:
            vs.Error: It cannot be done, or there is an output that may not be replaced.
        """
        check_new_output(job.target, job.source, overwrite=True)
        identity = self._identity(job)
        with writing_picture(folder := job.target.parent / FOLDER):
            make_notes_folder(folder)
        lock = FileLock(beside(job.target, "lock"), thread_local=False)
        with writing_picture(Path(lock.lock_file)):
            lock.acquire()
        try:
            if self.is_finished(job):
                return None
            # What comes later may be somebody's own.
            replaces = job.overwrite or job.target.exists()

            # Noted before the output takes its name: an output without a note would be taken for somebody else's. Until
            # then the note of the output that is replaced counts.
            def note(file: Path) -> None:
                _write_note(job.target, {"identity": identity, "output": stamp(file)})

            return upscale_read(read(), replace(job, overwrite=replaces), note)
        finally:
            lock.release()

    def _identity(self, job: PictureJob) -> Identity:
        if job.source not in self._sources:
            self._sources[job.source] = {"source": asdict(fingerprint(Path(local_file(job.source))))}
        return self._sources[job.source] | self._settings


def _note_of(target: Path) -> _Note | None:
    """The note on the output that is there; None if it is not ours."""
    output = stamp(target)
    return next((note for note in _notes(target) if note["output"] == output), None)


def _notes(target: Path) -> list[_Note]:
    """What has been noted, the newest first; nothing where that is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        notes = unseal(beside(target, "json").read_bytes())["pictures"]
        return [{"identity": note["identity"], "output": note["output"]} for note in notes]
    return []


def _write_note(target: Path, note: _Note) -> None:
    before = _note_of(target) if target.exists() else None
    file = beside(target, "json")
    with writing_picture(file):
        write_atomically(file, seal({"pictures": [note, before] if before else [note]}))
