"""Results of checks are in the report, and a wrong output counts as failed."""

import json
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import vapoursynth as vs

from tests.helpers.films import Studio
from vs_srcomp.batch.checkpoint import Checkpoint, State
from vs_srcomp.batch.checks import ComparisonCheck, MetricsCheck, Reference, VerifyCheck
from vs_srcomp.batch.identity import identity_of
from vs_srcomp.batch.job_report import JobReport
from vs_srcomp.batch.pool import Event, Finished, Join, Task, failed
from vs_srcomp.batch.records import Share
from vs_srcomp.batch.run import run_batch
from vs_srcomp.transcode import Job


class AtOnce:
    """A pool without processes, which can damage an output as soon as it exists."""

    size = 1

    def __init__(self, spoil: bool) -> None:
        self._spoil = spoil
        self._tickets = 0
        self._events: list[Event] = []

    def submit(self, task: Task) -> int:
        self._tickets += 1
        try:
            value = task.run(Share(threads=1), lambda done, total: None, threading.Event())
            if isinstance(task, Join) and self._spoil:
                content = task.job.target.read_bytes()
                task.job.target.write_bytes(content[: len(content) // 2])
            self._events.append(Finished(self._tickets, value))
        except Exception as failure:
            self._events.append(failed(self._tickets, failure))
        return self._tickets

    def wait(self, seconds: float) -> list[Event]:
        events, self._events = self._events, []
        return events

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


class Watcher:
    """Remembers the outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[JobReport] = []

    def waiting(self, job: Job) -> None:
        pass

    def began(self, job: Job) -> None:
        pass

    def advanced(self, job: Job, done: int, total: int) -> None:
        pass

    def ended(self, outcome: JobReport) -> None:
        self.outcomes.append(outcome)


def against(kind: Callable[[Job, Reference], Any], file: Path) -> Callable[[Job], Any]:
    """The check of a ``kind`` with the reference ``file``."""
    return lambda job: kind(job, Reference.of(job, file, job.target.parent))


def outcome_of(job: Job, *checks: Any, spoil: bool = False) -> JobReport:
    watcher = Watcher()
    run_batch([job], AtOnce(spoil), watcher, checks=checks, ignore_space=True)
    (outcome,) = watcher.outcomes
    return outcome


@pytest.fixture
def job(film: Path, model: Path, tmp_path: Path) -> Job:
    return Job(source=film, target=tmp_path / "film.mkv", model=model, preset=12, crf=50)


@pytest.fixture(scope="module")
def rejected_folder(film: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an output that has failed its check."""
    folder = tmp_path_factory.mktemp("rejected")
    job = Job(source=film, target=folder / "film.mkv", model=model, preset=12, crf=50)
    assert outcome_of(job, VerifyCheck, spoil=True).status == "failed"
    return folder


@pytest.fixture
def rejected(rejected_folder: Path, job: Job) -> Job:
    """A job whose output has failed its check."""
    shutil.copytree(rejected_folder, job.target.parent, dirs_exist_ok=True)
    return job


def test_checks_are_in_the_outcome(studio: Studio, job: Job, film: Path, tmp_path: Path) -> None:
    references = tmp_path / "references"
    references.mkdir()
    made = studio.make("-i", str(film), "-map", "0:v", "-vf", "scale=192:128", "-c:v", "ffv1", "checks-reference.mkv")
    made.rename(references / "film.mkv")
    metrics_check = against(MetricsCheck, references / "film.mkv")
    outcome = outcome_of(job, VerifyCheck, metrics_check)
    assert outcome.status == "done", outcome.message
    assert outcome.checks["verify"] == {"lost": []}
    metrics = json.loads(json.dumps(outcome.checks["metrics"], allow_nan=False))
    assert metrics["frames"] == 40
    assert 20 < metrics["psnr_y"] < 60
    assert metrics["ssim"] < 1


def test_a_page_is_beside_the_output(studio: Studio, job: Job, film: Path) -> None:
    like = studio.make("-i", str(film), "-map", "0:v", "-vf", "scale=192:128", "-c:v", "ffv1", "checks-like.mkv")
    outcome = outcome_of(job, against(ComparisonCheck, like))
    assert outcome.status == "done", outcome.message
    page = job.target.with_name("film.compare.html")
    assert outcome.checks == {"comparison": {"page": str(page)}}
    text = page.read_text("utf-8")
    assert [name in text for name in ('"name":"lanczos5"', '"name":"film"', '"name":"checks-like"')] == [True] * 3
    assert json.loads(json.dumps(outcome.checks))


def test_a_spoilt_output_counts_as_failed(job: Job) -> None:
    outcome = outcome_of(job, VerifyCheck, spoil=True)
    assert outcome.status == "failed"
    assert outcome.message.startswith("'film.mkv' differs from its source: ")
    assert "frames: there are " in outcome.message


def test_a_missing_reference_is_named(job: Job, tmp_path: Path) -> None:
    references = tmp_path / "references"
    references.mkdir()
    outcome = outcome_of(job, lambda job: MetricsCheck(job, Reference.of(job, references, tmp_path)))
    assert outcome.status == "failed"
    assert "named 'film'" in outcome.message


def test_a_reference_is_at_the_place_of_its_output(job: Job, tmp_path: Path) -> None:
    out, references = tmp_path / "out", tmp_path / "references"
    (references / "sub").mkdir(parents=True)
    for path in (references / "film.mkv", references / "sub" / "film.mp4"):
        path.touch()
    below = replace(job, target=out / "sub" / "film.mkv")
    assert Reference.of(replace(job, target=out / "film.mkv"), references, out).file == references / "film.mkv"
    assert Reference.of(below, references, out).file == references / "sub" / "film.mp4"
    with pytest.raises(vs.Error, match=r"there are 0 files in .*other' named 'film'"):
        Reference.of(replace(job, target=out / "other" / "film.mkv"), references, out)


def test_an_output_is_not_its_own_reference(job: Job, tmp_path: Path) -> None:
    job.target.write_text("made before")
    for reference in (job.target, tmp_path):
        with pytest.raises(vs.Error, match=r"the reference '.*film\.mkv' is the output"):
            Reference.of(job, reference, tmp_path)
    (tmp_path / "film.mp4").touch()
    assert Reference.of(job, tmp_path, tmp_path).file == tmp_path / "film.mp4"


def test_another_reference_is_measured_too(studio: Studio, job: Job, film: Path, tmp_path: Path) -> None:
    made = ("-i", str(film), "-map", "0:v", "-c:v", "ffv1", "-vf")
    first = studio.make(*made, "scale=192:128", "reference-first.mkv")
    second = studio.make(*made, "scale=192:128,negate", "reference-second.mkv")
    assert outcome_of(job, against(MetricsCheck, first)).checks["metrics"]["psnr_y"] > 20
    assert outcome_of(job, against(MetricsCheck, first)).checks == {}
    other = outcome_of(job, against(MetricsCheck, second))
    assert other.status == "skipped"
    assert other.checks["metrics"]["psnr_y"] < 20


def test_a_wrong_reference_is_no_fault_of_the_output(studio: Studio, job: Job, film: Path) -> None:
    wrong = studio.make("-i", str(film), "-map", "0:v", "-vf", "scale=96:64", "-c:v", "ffv1", "reference-small.mkv")
    right = studio.make("-i", str(film), "-map", "0:v", "-vf", "scale=192:128", "-c:v", "ffv1", "reference-fits.mkv")
    for _ in range(2):
        outcome = outcome_of(job, VerifyCheck, against(MetricsCheck, wrong))
        assert outcome.status == "failed", outcome
    assert Checkpoint(job.target).preview(identity_of(job), restart=False, overwrite=False) is State.FINISHED
    assert outcome_of(job).status == "skipped"
    assert set(outcome_of(job, VerifyCheck, against(MetricsCheck, right)).checks) == {"metrics"}


def begun(target: Path, job: Job, restart: bool, checks: tuple[str, ...]) -> State:
    """The result of an actual beginning, in a copy of the output's folder."""
    with TemporaryDirectory() as folder:
        # Times of change tell files apart.
        copy = Checkpoint(shutil.copytree(target.parent, Path(folder, "copy")) / target.name)
        assert copy.acquire()
        try:
            return copy.begin(identity_of(job), restart=restart, overwrite=False, checks=checks)
        finally:
            copy.release()


@pytest.mark.parametrize(
    ("replaced", "checks", "restart", "expected"),
    [
        (False, (), False, "has failed a check before (verify)"),
        (False, ("metrics",), False, "has failed a check before (verify)"),
        (False, ("verify",), False, State.BEGUN),
        (False, ("metrics", "verify"), False, State.BEGUN),
        (False, (), True, State.NEW),
        (False, ("verify",), True, State.NEW),
        *((True, checks, restart, "exists") for checks in ((), ("verify",)) for restart in (False, True)),
    ],
)
def test_what_begins_and_what_is_planned_agree(
    rejected: Job, replaced: bool, checks: tuple[str, ...], restart: bool, expected: State | str
) -> None:
    target = rejected.target
    if replaced:
        target.unlink()
        target.write_bytes(b"somebody else's")
    before = target.read_bytes()
    preview = partial(
        Checkpoint(target).preview, identity_of(rejected), restart=restart, overwrite=False, checks=checks
    )
    begin = partial(begun, target, rejected, restart, checks)
    if isinstance(expected, State):
        assert preview() is expected
        assert begin() is expected
    else:
        for attempt in (preview, begin):
            with pytest.raises(vs.Error, match=re.escape(expected)):
                attempt()
    assert target.read_bytes() == before


def test_an_output_that_has_failed_a_check_stays_failed_without_it(rejected: Job) -> None:
    outcome = outcome_of(rejected)
    assert outcome.status == "failed"
    assert "has failed a check before (verify)" in outcome.message


def test_a_page_has_names_of_any_bytes(studio: Studio, job: Job, film: Path) -> None:
    like = studio.make("-i", str(film), "-map", "0:v", "-vf", "scale=192:128", "-c:v", "ffv1", "reference-bytes.mkv")
    strange = replace(job, target=job.target.with_name("film-\udcff.mkv"))
    outcome = outcome_of(strange, against(ComparisonCheck, like))
    assert outcome.status == "done", outcome.message
    assert outcome.checks["comparison"]["page"].endswith("film-\\xff.compare.html")
    assert "film-" in strange.target.with_name("film-\udcff.compare.html").read_text("utf-8")


def test_a_page_replaces_pages_only(studio: Studio, job: Job, film: Path) -> None:
    like = studio.make("-i", str(film), "-map", "0:v", "-vf", "scale=192:128", "-c:v", "ffv1", "reference-page.mkv")
    check = against(ComparisonCheck, like)(job)
    check.check_page()
    check.page.write_text("my own page")
    with pytest.raises(vs.Error, match=r"film\.compare\.html' exists"):
        check.check_page()
    check.page.unlink()
    assert outcome_of(job, against(ComparisonCheck, like)).status == "done"
    check.check_page()


def test_a_page_that_is_gone_is_made_again(studio: Studio, job: Job, film: Path) -> None:
    like = studio.make("-i", str(film), "-map", "0:v", "-vf", "scale=192:128", "-c:v", "ffv1", "checks-again.mkv")
    check = against(ComparisonCheck, like)
    page = Path(outcome_of(job, check).checks["comparison"]["page"])
    assert outcome_of(job, check).checks == {}
    page.unlink()
    assert outcome_of(job, check).status == "skipped"
    assert page.exists()
