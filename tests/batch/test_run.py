"""A batch does all possible work exactly once, whatever interrupts it."""

import errno
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import onnx
import pytest
import vapoursynth as vs

from tests.batch.here import Here, Notebook, PowerCutError, files_in, run
from tests.helpers.films import Studio, packets_of, times_of, write_model
from vs_srcomp.batch.checkpoint import Checkpoint, State
from vs_srcomp.batch.cut import cut
from vs_srcomp.batch.identity import identity_of
from vs_srcomp.batch.job_report import JobReport
from vs_srcomp.batch.pool import Event, Failed, Join
from vs_srcomp.batch.records import Share
from vs_srcomp.batch.run import run_batch
from vs_srcomp.transcode import Job


@pytest.fixture
def job(film: Path, model: Path, tmp_path: Path) -> Job:
    folder = tmp_path / "out"
    folder.mkdir()
    return Job(source=film, target=folder / "film.mkv", model=model, preset=12, crf=50, segment_seconds=0.4)


@pytest.fixture(scope="module")
def uninterrupted(film: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("uninterrupted") / "film.mkv"
    run(Job(source=film, target=target, model=model, preset=12, crf=50, segment_seconds=0.4))
    return target


FINISHED = {"film.mkv", ".srcomp/film.mkv.json", ".srcomp/film.mkv.lock"}


def test_only_the_output_and_a_note_are_left(job: Job) -> None:
    outcome = run(job)["film.mkv"]
    assert (outcome.status, outcome.segments, outcome.reused) == ("done", 4, 0)
    assert outcome.result is not None
    assert outcome.result.frames == 40
    assert files_in(job.target.parent) == FINISHED
    assert not (job.target.parent / ".srcomp" / "film.mkv.parts").exists()


# One task cuts, four encode, one joins; after the sixth, the output is there but nobody has noted it.
@pytest.mark.parametrize("tasks", range(6))
def test_a_run_that_was_cut_off_goes_on_with_the_same_result(job: Job, uninterrupted: Path, tasks: int) -> None:
    with pytest.raises(PowerCutError):
        run(job, pool=Here(cut_off_after=tasks))
    pool = Here()
    outcome = run(job, pool=pool)["film.mkv"]
    assert outcome.status == "done"
    assert outcome.reused == max(0, min(4, tasks - 1))
    assert pool.encoded == list(range(outcome.reused, 4))
    assert packets_of(job.target, 0) == packets_of(uninterrupted, 0)
    assert files_in(job.target.parent) == FINISHED


def test_an_output_that_nobody_has_noted_is_made_again_from_its_segments(job: Job, uninterrupted: Path) -> None:
    class ForgetfulLedger(Checkpoint):
        def finish(self, result: object, passed: object) -> None:
            raise PowerCutError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vs_srcomp.batch.run.Checkpoint", ForgetfulLedger)
        with pytest.raises(PowerCutError):
            run(job)
    assert job.target.exists()
    pool = Here()
    assert run(job, pool=pool)["film.mkv"].status == "done"
    assert pool.encoded == []
    assert packets_of(job.target, 0) == packets_of(uninterrupted, 0)
    assert files_in(job.target.parent) == FINISHED


def test_what_is_finished_is_not_done_again(job: Job) -> None:
    run(job)
    before = job.target.read_bytes()
    pool = Here()
    assert run(job, pool=pool)["film.mkv"].status == "skipped"
    assert pool.done == []
    assert job.target.read_bytes() == before


@pytest.mark.parametrize("cut_off_after", [3, None])
def test_changes_are_noticed_and_never_mixed(job: Job, tmp_path: Path, cut_off_after: int | None) -> None:
    film = tmp_path / "film.mkv"
    shutil.copy(job.source, film)
    model = write_model(tmp_path / "other.onnx")
    job = replace(job, source=film, model=model)
    if cut_off_after:
        with pytest.raises(PowerCutError):
            run(job, pool=Here(cut_off_after=cut_off_after))
    else:
        run(job)
    before = {path: path.read_bytes() for path in job.target.parent.rglob("*") if path.is_file()}

    def refused(changed: Job) -> str:
        outcome = run(changed)["film.mkv"]
        assert outcome.status == "failed"
        assert "redo it with --restart" in outcome.message
        assert {path: path.read_bytes() for path in before} == before
        return outcome.message

    assert "crf: 50, now 30" in refused(replace(job, crf=30))
    assert "start: none, now 1" in refused(replace(job, start=1))  # type: ignore[arg-type]
    assert "segment_seconds: 0.4, now 0.8" in refused(replace(job, segment_seconds=0.8))
    assert "encoder: svt-av1, now x264" in refused(replace(job, encoder="x264", preset=None))
    network = onnx.load(str(model))
    network.producer_name = "somebody else"
    onnx.save(network, str(model))
    assert "model: " in refused(job)
    os.utime(film, ns=(0, 0))
    assert "the source file has changed" in refused(job)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vs_srcomp.batch.identity.__version__", "9.9")
        assert ", now 9.9" in refused(job)


def test_another_model_of_the_same_name_is_noticed(job: Job, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "net.onnx", tmp_path / "b" / "net.onnx"
    for path in (first, second):
        path.parent.mkdir()
        write_model(path)
    changed = onnx.load(str(second))
    changed.producer_name = "somebody else"
    onnx.save(changed, str(second))
    run(replace(job, model=first))
    assert run(replace(job, model=first))["film.mkv"].status == "skipped"
    message = run(replace(job, model=second))["film.mkv"].message
    assert "model: " in message
    assert "redo it with --restart" in message


def test_restart_replaces_what_was_made_before(job: Job) -> None:
    run(job)
    small = job.target.stat().st_size
    outcome = run(replace(job, crf=5), restart=True)["film.mkv"]
    assert outcome.status == "done"
    assert job.target.stat().st_size > small
    assert files_in(job.target.parent) == FINISHED
    with pytest.raises(PowerCutError):
        run(job, restart=True, pool=Here(cut_off_after=2))
    # Once the user has allowed it, the same command without the option continues.
    assert run(job)["film.mkv"].reused == 1
    assert job.target.stat().st_size == small


@pytest.mark.parametrize("restart", [False, True])
def test_files_that_no_batch_has_made_are_replaced_only_on_demand(job: Job, restart: bool) -> None:
    job.target.write_text("precious")
    outcome = run(job, restart=restart)["film.mkv"]
    assert (outcome.status, job.target.read_text()) == ("failed", "precious")
    assert "exists\nwrite to another folder, or replace it with --overwrite" in outcome.message
    assert run(replace(job, overwrite=True))["film.mkv"].status == "done"
    assert times_of(job.target) == times_of(job.source)
    job.target.write_text("put here later")
    assert run(job, restart=restart)["film.mkv"].status == "failed"
    assert job.target.read_text() == "put here later"


def test_what_failed_before_any_work_does_not_stop_the_corrected_command(job: Job) -> None:
    assert "no frame is shown" in run(replace(job, start=Fraction(99)))["film.mkv"].message
    assert not list(job.target.parent.rglob("*.parts"))
    assert run(job)["film.mkv"].status == "done"


def test_what_is_replaced_keeps_its_permissions_and_links(job: Job, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.mkv"
    real.write_text("precious")
    real.chmod(0o600)
    job.target.symlink_to(real)
    assert "exists" in run(job)["film.mkv"].message
    assert run(replace(job, overwrite=True))["film.mkv"].status == "done"
    assert job.target.is_symlink()
    assert times_of(real) == times_of(job.source)
    assert real.stat().st_mode & 0o777 == 0o600
    assert run(replace(job, overwrite=True))["film.mkv"].status == "skipped"


def test_a_link_to_nothing_is_found_before_the_work(job: Job) -> None:
    job.target.symlink_to("nowhere.mkv")
    pool = Here()
    assert "exists" in run(job, pool=pool)["film.mkv"].message
    assert pool.done == []


def test_a_file_behind_a_link_to_another_disk_is_replaced(job: Job, small_disk: Path) -> None:
    job.target.symlink_to(small_disk / "film.mkv")
    outcome = run(replace(job, overwrite=True))["film.mkv"]
    assert outcome.status == "done", outcome.message
    assert times_of(small_disk / "film.mkv") == times_of(job.source)


def test_what_a_user_may_replace_is_that_file_and_no_later_one(job: Job) -> None:
    with pytest.raises(PowerCutError):
        run(replace(job, overwrite=True), pool=Here(cut_off_after=2))
    job.target.write_text("put here meanwhile")
    assert "exists" in run(job)["film.mkv"].message
    assert job.target.read_text() == "put here meanwhile"
    with pytest.raises(PowerCutError):
        run(replace(job, overwrite=True), pool=Here(cut_off_after=1))
    assert run(job)["film.mkv"].status == "done"


def test_leave_to_replace_ends_with_the_work(job: Job) -> None:
    job.target.write_bytes(b"somebody else's")
    before = job.target.stat()
    run(replace(job, overwrite=True))
    job.target.write_bytes(b"somebody else's")
    os.utime(job.target, ns=(before.st_atime_ns, before.st_mtime_ns))
    for again in (job, replace(job, preset=11)):
        outcomes = run(again)
        assert outcomes["film.mkv"].status == "failed"
        assert "replace it with --overwrite" in outcomes["film.mkv"].message
    assert job.target.read_bytes() == b"somebody else's"


def test_an_output_is_still_known_after_a_restart_that_was_cut_off(job: Job) -> None:
    run(job)
    with pytest.raises(PowerCutError):
        run(replace(job, crf=30), restart=True, pool=Here(cut_off_after=0))
    assert run(job)["film.mkv"].status == "done"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_into_a_missing_folder_is_found_before_the_work(job: Job, overwrite: bool) -> None:
    job.target.symlink_to("nowhere/film.mkv")
    job = replace(job, overwrite=overwrite)
    pool = Here()
    message = run(job, pool=pool)["film.mkv"].message
    assert ("whose folder does not exist" if overwrite else "exists") in message
    assert pool.done == []
    assert Checkpoint(job.target).state(identity_of(job)) in (State.EXISTS, State.BEGUN)


def test_a_missing_output_is_made_again(job: Job, uninterrupted: Path) -> None:
    run(job)
    job.target.unlink()
    assert run(job)["film.mkv"].status == "done"
    assert packets_of(job.target, 0) == packets_of(uninterrupted, 0)


def test_files_of_others_are_never_removed(job: Job) -> None:
    with pytest.raises(PowerCutError):
        run(job, pool=Here(cut_off_after=3))
    parts = job.target.parent / ".srcomp" / "film.mkv.parts"
    left = (parts / ".000001.abcdefgh.av1", parts / "000003.av1", parts / "whole.mkv")
    foreign = (parts / "notes.txt", parts / "1.av1", parts / "000001.av1.bak", parts.parent / "film.txt")
    for path in (*left, *foreign):
        path.write_text("something")
    assert run(job)["film.mkv"].status == "done"
    assert [path.exists() for path in left] == [False] * 3
    assert [path.read_text() for path in foreign] == ["something"] * 4


@pytest.mark.parametrize("what", ["packets", "record", "record of another"])
def test_damaged_segments_are_encoded_again(job: Job, uninterrupted: Path, what: str) -> None:
    with pytest.raises(PowerCutError):
        run(job, pool=Here(cut_off_after=4))
    parts = job.target.parent / ".srcomp" / "film.mkv.parts"
    file = parts / ("000001.av1" if what == "packets" else "000001.json")
    if what == "record of another":
        shutil.copy(parts / "000002.json", file)
    else:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    pool = Here()
    assert run(job, pool=pool)["film.mkv"].reused == 2
    assert pool.encoded == [1, 3]
    assert packets_of(job.target, 0) == packets_of(uninterrupted, 0)


def test_damaged_notes_are_reported(job: Job) -> None:
    run(job)
    notes = job.target.parent / ".srcomp" / "film.mkv.json"
    notes.write_bytes(notes.read_bytes().replace(b"svt-av1", b"svt-av2"))
    assert "it is damaged\nredo it with --restart" in run(job)["film.mkv"].message


def test_one_bad_clip_never_stops_the_others(
    job: Job, studio: Studio, shared_data: Path, tmp_path: Path, messages: list[str]
) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "empty.mkv").touch()
    (bad / "text.mkv").write_text("no video at all" * 100)
    shutil.copy(studio.make("-f", "lavfi", "-i", "sine=duration=0.2", "sound.mka"), bad / "sound.mkv")
    (bad / "folder.mkv").mkdir()
    data = bytearray((shared_data / "av1" / "beach.webm").read_bytes())
    data[200_000:260_000] = bytes(60_000)
    (bad / "damaged.mkv").write_bytes(data)
    (bad / "cut.mkv").write_bytes(job.source.read_bytes()[:20_000])
    names = ["missing", "empty", "text", "sound", "folder", "damaged", "cut"]
    jobs = [replace(job, source=bad / f"{name}.mkv", target=job.target.with_name(f"{name}.mkv")) for name in names]
    jobs[5] = replace(jobs[5], width=854, segment_seconds=4)
    read_only = replace(job, target=Path("/proc/out.mkv"))
    outcomes = run(*jobs, read_only, job)
    problems = {name: outcome.message for name, outcome in outcomes.items() if outcome.status == "failed"}
    for name, problem in {
        "missing.mkv": "does not exist",
        "empty.mkv": "is empty",
        "text.mkv": "cannot be opened",
        "sound.mkv": "no video track",
        "folder.mkv": "is not a regular file",
        "damaged.mkv": "cannot be decoded, because its data is damaged",
        "out.mkv": "cannot write '/proc/out.mkv'",
    }.items():
        assert problem in problems.pop(name)
    assert problems == {}
    assert outcomes["film.mkv"].status == outcomes["cut.mkv"].status == "done"
    cut(jobs[6])
    assert any("seems to be cut off" in message for message in messages)


def test_the_input_is_never_the_output(job: Job, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    shutil.copy(job.source, film)
    before = film.read_bytes()
    outcome = run(replace(job, source=film, target=film, overwrite=True))["film.mkv"]
    assert "the output is the input" in outcome.message
    assert film.read_bytes() == before


def test_two_runs_never_work_on_the_same_clip(job: Job) -> None:
    second = replace(job, target=job.target.with_name("second.mkv"))
    order: list[str] = []

    class Watching(Here):
        def wait(self, seconds: float) -> list[Event]:
            events = super().wait(seconds)
            if other.acquire():  # the lock is free only before the first clip begins, and after it ends
                other.release()
            elif self.done and isinstance(self.done[-1], Join):
                order.append("held to the end")
            return events

    other = Checkpoint(job.target)
    run(job, pool=Watching())
    assert order == ["held to the end"]
    # Another process has the first clip: the second is done meanwhile, the first when it is free.
    job.target.unlink()
    assert other.acquire()
    ended: list[str] = []
    waiting: list[str] = []

    class Patient(Notebook):
        def waiting(self, job: Job) -> None:
            waiting.append(job.target.name)

        def ended(self, outcome: JobReport) -> None:
            super().ended(outcome)
            ended.append(outcome.job.target.name)
            if outcome.job.target == second.target:
                other.release()

    run_batch([job, second], Here(), Patient())
    assert ended == ["second.mkv", "film.mkv"]
    assert waiting == ["film.mkv"]


def test_cancelling_keeps_what_is_finished(job: Job) -> None:
    cancel = threading.Event()

    class Stopping(Here):
        def wait(self, seconds: float) -> list[Event]:
            events = super().wait(seconds)
            if self.encoded == [0, 1]:
                cancel.set()
            return events

    notebook = Notebook()
    later = replace(job, target=job.target.with_name("later.mkv"))
    counts = run_batch([job, later], Stopping(), notebook, cancel=cancel)
    assert counts == {"cancelled": len(notebook.outcomes)}
    assert "film.mkv" in notebook.outcomes
    assert run(job)["film.mkv"].reused == 2


def test_a_disk_without_room_is_reported_before_the_work(job: Job) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vs_srcomp.batch.disk_space.free_bytes", lambda folder: 1000)
        pool = Here()
        outcome = run(job, pool=pool)["film.mkv"]
        assert outcome.status == "failed"
        assert " are needed for " in outcome.message
        assert "1 kB are free\nfree some space" in outcome.message
        assert pool.encoded == []
        counts = run_batch([job], Here(), Notebook(), ignore_space=True)
    assert counts == {"done": 1}


def test_after_a_refusal_for_want_of_room_other_settings_are_a_new_beginning(job: Job) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vs_srcomp.batch.disk_space.free_bytes", lambda folder: 1000)
        assert run(job)["film.mkv"].status == "failed"
    assert not (job.target.parent / ".srcomp" / "film.mkv.parts").exists()
    assert run(replace(job, crf=40))["film.mkv"].status == "done"


def test_a_source_that_vanishes_does_not_stop_another_clip(job: Job, tmp_path: Path) -> None:
    """The room that it needs is counted for the other one."""
    source = tmp_path / "vanishing.mkv"
    shutil.copy(job.source, source)
    vanishing = replace(job, source=source, target=job.target.with_name("vanishing.mkv"))

    class Removing(Here):
        size = 2

        def wait(self, seconds: float) -> list[Event]:
            if self.done:  # the vanishing clip is cut
                source.unlink(missing_ok=True)
            return super().wait(seconds)

    notebook = Notebook()
    run_batch([vanishing, job], Removing(), notebook)
    assert notebook.outcomes["film.mkv"].status == "done"
    assert "vanishing.mkv' cannot be read: no such file" in notebook.outcomes["vanishing.mkv"].message


def test_a_file_in_place_of_the_notes_is_named(job: Job) -> None:
    notes = job.target.parent / ".srcomp"
    notes.write_text("mine")
    outcome = run(job)["film.mkv"]
    assert outcome.status == "failed"
    assert outcome.message == f"{str(notes)!r} is not a folder, and notes on the outputs go there\nremove it"
    assert notes.read_text() == "mine"


def test_the_plugin_that_deinterlaces_counts(job: Job) -> None:
    assert "bwdif" not in identity_of(job)["versions"]
    assert identity_of(replace(job, deinterlace=True))["versions"]["bwdif"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_clear_error_and_the_work_goes_on_later(
    job: Job, small_disk: Path, uninterrupted: Path
) -> None:
    job = replace(job, target=small_disk / "film.mkv")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(70 << 10))
    notebook = Notebook()
    jobs = [job, *(replace(job, target=small_disk / f"{number}.mkv") for number in range(3))]
    run_batch(jobs, Here(), notebook, ignore_space=True)
    assert [outcome.status for outcome in notebook.outcomes.values()] == ["failed"] * 4
    assert "no space left on device\ncheck the folder" in notebook.outcomes["film.mkv"].message
    assert "not begun, because of another clip: cannot write" in notebook.outcomes["2.mkv"].message
    filler.unlink()
    assert not list(small_disk.rglob("whole*"))
    again = Notebook()
    run_batch([job], Here(), again, ignore_space=True)
    outcome = again.outcomes["film.mkv"]
    assert outcome.status == "done"
    assert outcome.reused > 0
    assert packets_of(job.target, 0) == packets_of(uninterrupted, 0)


def test_a_name_that_is_too_long_is_a_clear_error(job: Job) -> None:
    name = "a" * 252 + ".mkv"
    message = run(replace(job, target=job.target.with_name(name)))[name].message
    assert message.endswith("file name too long\ncheck the folder, its permissions and the free space")


def test_long_and_foreign_names(job: Job) -> None:
    for name in ("größer ✓ 画.mkv", "a" * 250 + ".mkv", os.fsdecode(b"\xff\xfe.mkv")):
        one = replace(job, target=job.target.with_name(name))
        assert run(one)[name].status == "done"
        assert run(one)[name].status == "skipped"


def test_checks_are_made_of_the_output_and_decide(job: Job) -> None:
    class Count:
        name = key = "count"
        rejects = True

        def __init__(self, job: Job) -> None:
            self.job = job

        def run(self, share: Share, progress: object, cancel: object) -> dict[str, int]:
            frames = len(times_of(self.job.target))
            if frames != wanted:
                raise vs.Error(f"srcomp: {frames} frames\nlook at them")
            return {"frames": frames}

    wanted = 41
    notebook = Notebook()
    run_batch([job], Here(), notebook, checks=[Count])
    assert (notebook.outcomes["film.mkv"].status, notebook.outcomes["film.mkv"].message) == (
        "failed",
        "40 frames\nlook at them",
    )
    # The same command joins and checks again; a wrong output is made again only on request.
    for restart, encoded in ((False, []), (True, [0, 1, 2, 3])):
        pool = Here()
        run_batch([job], pool, Notebook(), checks=[Count], restart=restart)
        assert pool.encoded == encoded
    wanted = 40
    notebook = Notebook()
    run_batch([job], Here(), notebook, checks=[Count])
    assert notebook.outcomes["film.mkv"].checks == {"count": {"frames": 40}}
    assert json.dumps(notebook.outcomes["film.mkv"].checks)


class Frames:
    """A check that an output has 40 frames, or more where ``least`` is set."""

    name = "frames"
    rejects = True
    least = 40
    made: ClassVar[list[Path]] = []

    def __init__(self, job: Job) -> None:
        self.job = job

    @property
    def key(self) -> str:
        return f"frames {self.least}"

    def run(self, share: Share, progress: object, cancel: object) -> dict[str, int]:
        self.made.append(self.job.target)
        frames = len(times_of(self.job.target))
        if frames < self.least:
            raise vs.Error(f"srcomp: {frames} frames\nlook at them")
        return {"frames": frames}


def checked(job: Job, *, least: int = 40, restart: bool = False, checks: bool = True) -> JobReport:
    notebook = Notebook()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Frames, "least", least)
        patch.setattr(Frames, "made", [])
        run_batch([job], Here(), notebook, checks=[Frames] if checks else [], restart=restart)
        outcome = notebook.outcomes["film.mkv"]
        assert (outcome.checks != {}) <= (Frames.made != [])
    return outcome


def test_what_is_finished_is_checked_once(job: Job) -> None:
    assert run(job)["film.mkv"].status == "done"
    first, second = checked(job), checked(job)
    assert (first.status, first.checks) == ("skipped", {"frames": {"frames": 40}})
    assert (second.status, second.checks) == ("skipped", {})


def test_what_fails_a_check_after_it_was_finished_is_redone_on_demand(job: Job) -> None:
    run(job)
    for _ in range(2):
        assert checked(job, least=41).status == "failed"
    assert checked(job, restart=True).status == "done"
    assert checked(job).status == "skipped"


def test_a_finished_output_that_failed_a_check_is_not_skipped_without_it(job: Job) -> None:
    run(job)
    assert checked(job, least=41).status == "failed"
    outcome = checked(job, checks=False)
    assert outcome.status == "failed"
    assert "has failed a check before (frames)\nrepeat the check" in outcome.message
    assert checked(job).status == "skipped"
    assert checked(job, checks=False).status == "skipped"
    # A check that was passed before in another way, as with another reference, is made again after it has failed.
    assert checked(job, least=41).status == "failed"
    assert checked(job).checks != {}
    assert checked(job, checks=False).status == "skipped"


def test_what_has_failed_a_check_is_not_done_without_it(job: Job) -> None:
    assert checked(job, least=41).status == "failed"
    outcome = checked(job, checks=False)
    assert outcome.status == "failed"
    assert "has failed a check before (frames)\nrepeat the check" in outcome.message
    assert checked(job).status == "done"


@pytest.mark.parametrize("has_hard_links", [True, False])
def test_what_a_check_has_rejected_is_replaced_and_no_other_file(
    job: Job, monkeypatch: pytest.MonkeyPatch, has_hard_links: bool
) -> None:
    if not has_hard_links:

        def refused(path: Path, target: Path) -> None:
            raise PermissionError(errno.EPERM, "no hard links", str(path))

        monkeypatch.setattr(Path, "hardlink_to", refused)
    assert checked(job, least=41).status == "failed"
    assert checked(job).status == "done"
    job.target.unlink()
    assert checked(job, least=41).status == "failed"
    job.target.unlink()
    job.target.write_bytes(b"somebody else's")
    for restart in (False, True):
        outcome = checked(job, restart=restart)
        assert outcome.status == "failed"
        assert "replace it with --overwrite" in outcome.message
    assert job.target.read_bytes() == b"somebody else's"


def test_a_clip_that_stops_for_another_is_not_blamed(job: Job) -> None:
    class Full(Here):
        def wait(self, seconds: float) -> list[Event]:
            (event,) = super().wait(seconds)
            if len(self.encoded) == 1:
                return [Failed(event.ticket, "cannot write it\nfree some space", disk_full=True)]
            return [event]

    first, second = (replace(job, target=job.target.with_name(f"{name}.mkv")) for name in "ab")
    outcomes = run(first, second, pool=Full())
    assert {outcome.status for outcome in outcomes.values()} == {"failed"}
    messages = sorted(outcome.message for outcome in outcomes.values())
    assert messages[0].startswith("cannot write it")
    assert "because of another clip: cannot write it\nfree some space" in messages[1]
