"""Pictures on the command line."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from click.testing import CliRunner, Result
from PIL import Image

from tests.cli.conftest import ARGV, Command
from tests.tolerances import PRINTED_Q
from vs_srcomp.batch.pictures import Resumable
from vs_srcomp.cli import main
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.stills.picture import Picture
from vs_srcomp.stills.reading import read_picture


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    image = Image.radial_gradient("L").resize((96, 64)).convert("RGB")
    image.save(folder / "a.jpg")
    image.save(folder / "b.png")
    image.save(folder / "deep" / "c.avif")
    (folder / "film.mkv").write_bytes(b"not looked at")
    return folder


def test_upscale(photos: Path, model: Path, tmp_path: Path) -> None:
    done = run("upscale", photos / "a.jpg", tmp_path / "out.png", "--model", model, "--depth", "16")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "96x64 to 192x128, 16 bits" in done.stderr
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (192, 128)


def test_the_process_ends_as_it_should(photos: Path, tmp_path: Path, command: Command) -> None:
    arguments = ("upscale", photos / "a.jpg", tmp_path / "out.png", "--model", "light")
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("MB\n")
    with Image.open(tmp_path / "out.png") as image:
        image.load()
    again = command(*arguments)
    assert (again.returncode, again.stdout) == (1, "")
    assert "exists" in again.stderr


@pytest.mark.parametrize(
    ("name", "options", "is_known"),
    [("q.jpg", {"quality": 75}, True), ("q.webp", {"quality": 50}, True), ("q.webp", {"lossless": True}, False)],
)
def test_probe_and_upscale_agree_on_the_level(
    name: str, options: dict[str, Any], is_known: bool, photos: Path, model: Path, tmp_path: Path
) -> None:
    with Image.open(photos / "b.png") as image:
        image.save(tmp_path / name, **options)
    found = json.loads(run("probe", "--json", tmp_path / name).stdout)
    level = read_picture(tmp_path / name).q
    assert found["q"] == (None if level is None else pytest.approx(level, abs=PRINTED_Q))
    assert (level is not None) == is_known
    shown = run("probe", tmp_path / name)
    assert (f"Q {found['q'] or 0:.1f}" in shown.stdout) == is_known
    assert ("is not known" in shown.stdout) != is_known
    upscaled = run("upscale", tmp_path / name, tmp_path / "out.png", "--model", "light")
    assert ("level is not known" in upscaled.stderr) != is_known
    # A network that takes no level needs none.
    upscaled = run("upscale", tmp_path / name, tmp_path / "again.png", "--model", model)
    assert "level is not known" not in upscaled.stderr


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("out.png", ["--crf", "20"], "--crf is for videos, and the output is a picture"),
        ("out.png", ["--start", "1"], "--start is for videos"),
        ("out.mkv", ["--quality", "50"], "--quality is for pictures"),
        ("out.png", ["--quality", "50"], "--quality is for .jpg, .avif and .webp: .png is written without loss"),
        ("out.webp", ["--quality", "50", "--lossless"], "--quality and --lossless exclude each other"),
    ],
)
def test_options_of_the_other_kind(target: str, options: list[str], message: str, photos: Path, tmp_path: Path) -> None:
    done = run("upscale", photos / "a.jpg", tmp_path / target, *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / target).exists()


def test_numbered(photos: Path, model: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes((photos / "b.png").read_bytes())
    done = run("upscale", tmp_path / "%d.png", tmp_path / "big%d.png", "--model", model)
    assert done.exit_code == 0, done.stderr
    assert "2 pictures" in done.stderr
    assert (tmp_path / "big2.png").exists()


def test_the_encoder_of_avif_is_silent(model: Path, tmp_path: Path) -> None:
    Image.effect_noise((64, 48), 40).convert("RGB").save(tmp_path / "a.jpg", subsampling="4:2:0")
    arguments = ["upscale", str(tmp_path / "a.jpg"), str(tmp_path / "a.avif"), "--depth", "10", "--model", str(model)]
    environment = {name: value for name, value in os.environ.items() if name != "SVT_LOG"}
    done = subprocess.run([*ARGV, *arguments], capture_output=True, text=True, env=environment, check=True)
    assert "10 bits" in done.stderr
    assert "Svt" not in done.stdout + done.stderr


def test_a_stopped_sequence_goes_on(photos: Path, model: Path, tmp_path: Path) -> None:
    count = 400
    for number in range(count):
        (tmp_path / f"{number}.png").write_bytes((photos / "b.png").read_bytes())
    out = tmp_path / "up"
    out.mkdir()
    arguments = ["upscale", str(tmp_path / "%d.png"), str(out / "%d.png"), "--model", str(model)]
    with subprocess.Popen([*ARGV, *arguments], stderr=subprocess.PIPE, text=True) as process:
        while not (out / "1.png").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, errors
    assert "the same command goes on with it" in errors
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert 2 <= len(before) < count
    assert all(re.fullmatch(r"\d+\.png|\.srcomp", path.name) for path in out.iterdir())
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    assert f"{len(before)} pictures finished before" in done.stderr
    assert len(list(out.glob("*.png"))) == count
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    with Image.open(out / f"{count - 1}.png") as image:
        image.load()
    assert run(*arguments).stderr.count("\n") == 1  # nothing is left to do


def test_batch(photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["batch", photos, "--out", out, "--container", "png", "--recursive", "--model", model]
    assert "nothing is written" in run(*arguments, "--dry-run").stderr
    assert not out.exists()
    (photos / "broken.jpg").write_text("no picture")
    first = run(*arguments)
    assert first.exit_code == 1
    assert "4 pictures: 3 done, 1 failed" in first.stderr
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert names == ["a.png", "b.png", "deep/c.png"]
    lines = [json.loads(line) for line in (out / "srcomp-report.jsonl").read_text().splitlines()]
    assert sorted(line["status"] for line in lines) == ["done", "done", "done", "failed"]
    (photos / "broken.jpg").unlink()
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    second = run(*arguments, "--jobs", "2")
    assert second.exit_code == 0
    assert "3 pictures: 3 skipped" in second.stderr
    assert times == {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}


def test_a_batch_knows_what_its_outputs_were_made_from(photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_text("mine")
    arguments = ["batch", photos, "--out", out, "--container", "png", "--model", model]
    first = run(*arguments)
    assert first.exit_code == 1
    assert "b.png' exists" in first.stderr
    assert (out / "b.png").read_text() == "mine"
    assert run(*arguments, "--overwrite").stderr.splitlines()[-1] == "2 pictures: 1 skipped, 1 done"
    other = [*arguments, "--q", "30"]
    planned = run(*other, "--dry-run")
    assert planned.exit_code == 1
    assert "was made from something else (q: auto, now 30)" in planned.stderr
    assert "a.jpg: to be done, 96x64 to 192x128, 8 bits" in run(*other, "--dry-run", "--restart").stderr
    refused = run(*other)
    assert refused.exit_code == 1
    assert "was made from something else (q: auto, now 30)" in refused.stderr
    assert "--restart" in refused.stderr
    assert run(*other, "--restart").stderr.splitlines()[-1] == "2 pictures: 2 done"


def test_what_comes_during_the_work_is_not_replaced(photos: Path, model: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    job = PictureJob(source=photos / "a.jpg", target=target, model=model)

    def read() -> Picture:
        target.write_text("mine")
        return read_picture(job.source)

    resumable = Resumable(job, restart=False, redo="--restart")
    with pytest.raises(vs.Error, match=r"a\.png' exists"):
        resumable.upscale(job, read)
    assert target.read_text() == "mine"
    assert resumable.upscale(replace(job, overwrite=True), partial(read_picture, job.source)) is not None


def test_a_link_to_nothing_is_not_written_through(photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").symlink_to(tmp_path / "later.png")
    arguments = ["batch", photos / "a.jpg", "--out", out, "--container", "png", "--model", model]
    done = run(*arguments)
    assert done.exit_code == 1
    assert "a.png' exists" in done.stderr
    assert run(*arguments, "--overwrite").exit_code == 0
    assert (tmp_path / "later.png").exists()
    assert (out / "a.png").is_symlink()


@pytest.mark.parametrize("times", [1, 2])
def test_a_stop_waits_for_the_pictures_at_work_and_a_second_one_does_not(times: int, tmp_path: Path) -> None:
    for number in range(2):
        Image.effect_noise((1200, 900), 60).convert("RGB").save(tmp_path / f"{number}.png")
    out = tmp_path / "out"
    arguments = ["batch", tmp_path, "--out", out, "--container", "png", "--model", "quality"]
    with subprocess.Popen([*ARGV, *map(str, arguments)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not (out / ".srcomp" / "0.png.lock").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert "stop it again to end at once" in process.stderr.readline()
        if times == 2:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT, errors
    assert "the same command goes on with it" in errors
    lines = [json.loads(line)["status"] for line in (out / "srcomp-report.jsonl").read_text().splitlines()]
    assert lines == (["done", "cancelled"] if times == 1 else [])
    assert [path.name for path in sorted(out.glob("*.png"))] == (["0.png"] if times == 1 else [])
    assert not list(out.glob(".*.png"))


def test_a_picture_that_failed_binds_nothing(photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["batch", photos, "--out", out, "--container", "png", "--model", model]
    good = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(good[:100])
    assert run(*arguments, "--q", "30").stderr.splitlines()[-1] == "2 pictures: 1 done, 1 failed"
    (photos / "b.png").write_bytes(good)
    assert run(*arguments, "--q", "30").stderr.splitlines()[-1] == "2 pictures: 1 skipped, 1 done"
    (out / "a.png").unlink()
    assert run(*arguments, "--q", "31", "--restart").stderr.splitlines()[-1] == "2 pictures: 2 done"


def test_outputs_beside_the_inputs_are_no_inputs(photos: Path, model: Path) -> None:
    arguments = ["batch", photos, "--out", photos, "--container", "png", "--suffix", "-2x", "--model", model]
    assert run(*arguments).stderr.splitlines()[-1] == "2 pictures: 2 done"
    assert run(*arguments).stderr.splitlines()[-1] == "2 pictures: 2 skipped"


@pytest.mark.parametrize("damage", ["notes", "folder", "file"])
def test_damaged_notes(damage: str, photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["batch", photos / "a.jpg", "--out", out, "--container", "png", "--model", model]
    assert run(*arguments).exit_code == 0
    notes = out / ".srcomp" / "a.png.json"
    if damage == "notes":
        notes.write_text("{}")
        message = "a.png' exists\nwrite to another folder, or replace it with --overwrite"
    elif damage == "folder":
        notes.unlink()
        notes.mkdir()
        (out / "a.png").unlink()
        message = f"cannot write {str(notes)!r}"
    else:
        shutil.rmtree(notes.parent)
        notes.parent.write_text("")
        message = f"{str(notes.parent)!r} is not a folder"
    done = run(*arguments)
    assert done.exit_code == 1
    assert message in done.stderr


def test_a_report_never_goes_into_another_file(photos: Path, tmp_path: Path) -> None:
    picture = (photos / "b.png").read_bytes()
    for report, message in ((photos / "b.png", "is not a report"), (tmp_path / "a.png", "is an output")):
        done = run("batch", photos / "a.jpg", "--out", tmp_path, "--container", "png", "--report", report)
        assert done.exit_code == 1
        assert message in done.stderr
    assert (photos / "b.png").read_bytes() == picture
    assert not (tmp_path / "a.png").exists()


def test_a_dry_run_finds_what_cannot_be_done(photos: Path, model: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_text("no picture")
    out = tmp_path / "out"
    done = run("batch", photos, "--out", out, "--container", "png", "--model", model, "--dry-run")
    assert done.exit_code == 1
    assert "broken.jpg' is not a picture that can be read" in done.stderr
    assert "a.jpg: to be done, 96x64 to 192x128, 8 bits" in done.stderr
    assert "3 pictures, 1 of them failed; nothing is written" in done.stderr
    assert not out.exists()


def test_two_runs_at_once_share_the_work(photos: Path, tmp_path: Path) -> None:
    for number in range(40):
        (photos / f"{number}.png").write_bytes((photos / "b.png").read_bytes())
    arguments = ["batch", str(photos), "--out", str(tmp_path / "out"), "--container", "png", "--model", "light"]
    runs = [subprocess.Popen([*ARGV, *arguments], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=300)[1] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], errors
    done = sum(int(match[1]) for text in errors if (match := re.search(r"(\d+) done", text)))
    assert done == 42


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upscale", "a.jpg", "out.foo"], "pictures of the kind '.foo' are not written"),
        (["batch", "deep", "--out", "up"], "names pictures, no video\nfor pictures give --container png"),
        (["batch", ".", "--out", "up", "--container", "jpg", "--lossless"], ".jpg files are not written without loss"),
        (["batch", ".", "--out", "up", "--container", "png", "--depth", "12"], ".png files have 8 or 16 bits a sample"),
    ],
)
def test_mistakes(arguments: list[str], message: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    before = sorted(photos.rglob("*"))
    done = run(*arguments)
    assert done.exit_code == 1
    assert message in done.stderr
    assert sorted(photos.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "film.mkv"], "the folder 'film.mkv' cannot be made"),
        (["--out", "up", "--report", "nowhere/report.jsonl"], "the folder 'nowhere' does not exist"),
    ],
)
def test_a_batch_that_cannot_be_written_begins_nothing(
    options: list[str], message: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    before = sorted(photos.rglob("*"))
    done = run("batch", "a.jpg", "--container", "png", *options)
    assert done.exit_code == 1
    assert message in done.stderr
    assert sorted(photos.rglob("*")) == before


def test_what_is_kept_is_not_reported_as_left_out(model: Path, tmp_path: Path) -> None:
    image = Image.radial_gradient("L").resize((95, 63))
    image.convert("RGB").save(tmp_path / "odd.jpg")
    Image.merge("RGBA", [image] * 4).save(tmp_path / "clear.webp")
    for name, mode in (("odd.jpg", "RGB"), ("clear.webp", "RGBA")):
        done = run("upscale", tmp_path / name, tmp_path / f"{name}.png", "--model", model)
        assert done.exit_code == 0, done.stderr
        assert "cropped" not in done.stderr
        assert "left out" not in done.stderr
        with Image.open(tmp_path / f"{name}.png") as large:
            assert (large.size, large.mode) == ((190, 126), mode)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = run("batch", tmp_path / "in", "--out", tmp_path / "out", "--container", "avif")
    assert done.exit_code == 1
    assert "names no picture" in done.stderr
