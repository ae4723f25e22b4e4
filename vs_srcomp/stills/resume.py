"""Many pictures in any number of attempts: what an earlier run has finished is left as it is."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from vs_srcomp.batch.checkpoint import Checkpoint, State
from vs_srcomp.batch.identity import Identity, identity_of_picture
from vs_srcomp.named_files import check_new_output
from vs_srcomp.source.media import local_file
from vs_srcomp.stills.job import PictureJob, PictureResult
from vs_srcomp.stills.picture import Picture
from vs_srcomp.stills.run import upscale_read, writing
from vs_srcomp.transcode.info import fingerprint


class Resumable:
    """Pictures that are made with the same settings, each with a checkpoint beside its output."""

    def __init__(self, settings: PictureJob, *, restart: bool, redo: str) -> None:
        """Find what all outputs depend on.

        Args:
            settings: Those of all pictures; its source and target do not count.
            restart: Redo what was made from other settings, sources or models.
            redo: The option of the command line that asks for that.
        """
        self._restart, self._redo = restart, redo
        self._settings = identity_of_picture(settings)
        self._sources: dict[Path, Identity] = {}

    def state(self, job: PictureJob) -> State:
        """How far the output of ``job`` is. Nothing is written."""
        return Checkpoint(job.target).state(self._identity(job))

    def upscale(self, job: PictureJob, read: Callable[[], Picture]) -> PictureResult | None:
        """Do ``job`` with the picture that ``read`` gives; None if an earlier run has finished it.

        Raises:
            vs.Error: It cannot be done, or its output is there and was made from something else.
        """
        check_new_output(job.target, job.source, overwrite=True)
        identity = self._identity(job)
        checkpoint = Checkpoint(job.target, redo=self._redo)
        with writing(job.target):
            checkpoint.acquire(wait=True)
        try:
            with writing(job.target):
                if checkpoint.begin(identity, restart=self._restart, overwrite=job.overwrite) is State.FINISHED:
                    return None
            # Noted before the output takes its name: an output without a note would be taken for somebody else's, but
            # a note whose output is not there counts for nothing.
            return upscale_read(
                read(),
                replace(job, overwrite=checkpoint.replaces),
                lambda result, file: checkpoint.finish(result, file=file),
            )
        finally:
            checkpoint.clear()
            checkpoint.release()

    def _identity(self, job: PictureJob) -> Identity:
        if job.source not in self._sources:
            self._sources[job.source] = {"source": asdict(fingerprint(Path(local_file(job.source))))}
        return self._sources[job.source] | self._settings
