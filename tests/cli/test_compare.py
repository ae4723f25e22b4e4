"""``vs-srcomp compare`` as a user runs it."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import ARGV, Command
from tests.helpers.films import Studio
from vs_srcomp.cli.batch_checks import output_checks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An original, a small coded form of it, and two copies."""
    studio = Studio(tmp_path_factory.mktemp("compare"))
    studio.picture("original.mkv", "-c:v", "ffv1", size="192x128", seconds=0.4)
    studio.make("-i", "original.mkv", "-vf", "scale=96:64", "-c:v", "libx264", "-crf", "30", "small.mkv")
    for name, crf in (("a.mkv", "20"), ("b.mkv", "40")):
        studio.make("-i", "original.mkv", "-c:v", "libx264", "-preset", "ultrafast", "-crf", crf, name)
    (studio.folder / "there.png").write_bytes(b"mine")
    return studio.folder


def report_of(path: Path) -> dict[str, object]:
    found = re.search(r'id="report">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found
    data: dict[str, object] = json.loads(found[1])
    return data


def test_files_against_a_reference(command: Command, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    metrics = ("--metrics", "psnr,vmaf-neg", "--frames", "3")
    done = command(
        "compare", folder / "a.mkv", folder / "b.mkv", "--reference", folder / "original.mkv", "-o", out, *metrics
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert re.search(r"report\.html: 2 candidates, 10 frames, \d\.\d\d MB", done.stderr)
    data = report_of(out)
    assert [one["name"] for one in data["candidates"]] == ["a", "b"]  # type: ignore[attr-defined]
    assert [metric["name"] for metric in data["metrics"]] == ["vmaf-neg", "psnr"]  # type: ignore[attr-defined]
    assert str(data["command"]).startswith("vs-srcomp compare ")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_models_on_one_file(command: Command, folder: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    options = ("--models", f"light,{model}", "--ratio", "2:1", "--q", "30", "--frames", "2")
    done = command("compare", folder / "small.mkv", *options, "-o", out)
    assert done.returncode == 0, done.stderr
    report = report_of(out)
    assert [one["name"] for one in report["candidates"]] == ["lanczos5", "light", "brighter"]  # type: ignore[attr-defined]
    assert report["title"] == "lanczos5 · light · brighter"


def test_a_page_has_the_title_that_is_given(command: Command, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    done = command("compare", folder / "a.mkv", folder / "b.mkv", "--frames", "2", "--title", "Fast & slow", "-o", out)
    assert done.returncode == 0, done.stderr
    assert report_of(out)["title"] == "Fast & slow"
    assert "<title>Fast &amp; slow</title>" in out.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("a.mkv",), 1, "there is nothing to compare with\ngive two files, or one and --reference"),
        (("a.mkv", "b.mkv", "--models", "light"), 2, "--models compares what is made of one file"),
        (("a.mkv", "b.mkv", "--ratio", "2:1"), 2, "--ratio goes with --models"),
        (("a.mkv", "b.mkv", "--metrics", "psnr,beauty"), 2, "'beauty' is not one of"),
        (("a.mkv", "b.mkv", "-o", "a.mkv"), 1, "'a.mkv' does not end in .html"),
        (("a.mkv", "small.mkv"), 1, "a has 192x128 pixels, but small has 96x64"),
        (("a.mkv", "nothing.mkv"), 1, "nothing.mkv"),
        (("small.mkv", "--models", "heavy"), 2, "there is no model 'heavy'"),
        (("small.mkv", "--models", "heavy.onnx"), 2, "the model 'heavy.onnx' does not exist\ncheck the path"),
        (("small.mkv", "--models", "light,light"), 2, "'light' is there twice"),
        (("small.mkv", "--models", ","), 2, "it names nothing"),
        (("a.mkv", "b.mkv", "--metrics", "psnr"), 2, "--metrics goes with --reference"),
        (("a.mkv", "b.mkv", "-o", "nowhere/c.html"), 1, "the folder 'nowhere' does not exist\nmake it"),
        (("a.mkv", "b.mkv", "-o", "http://x/c.html"), 2, "'http://x/c.html' is an address"),
        (("a.mkv", ""), 2, "the name of a file is empty"),
        (("a.mkv", "b.mkv", "--picture", "crops"), 1, "pictures of the kind '' are not written"),
        (("a.mkv", "b.mkv", "--picture", "nowhere/crops.png"), 1, "the folder 'nowhere' does not exist"),
        (("a.mkv", "b.mkv", "--picture", "there.png"), 1, "'there.png' exists\ngive the report another name"),
    ],
)
def test_mistakes_are_reported(folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    before = {path.name for path in folder.iterdir()}
    done = subprocess.run([*ARGV, "compare", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in folder.iterdir()} == before


def test_what_is_compared_is_never_replaced(folder: Path) -> None:
    before = (folder / "original.mkv").read_bytes()
    picture = folder / "a.png"
    picture.write_bytes(b"not read")
    for arguments in (
        ("a.png", "b.png", "--picture", "a.png"),
        ("a.mkv", "b.mkv", "--reference", "a.png", "--picture", "a.png"),
    ):
        argv = [*ARGV, "compare", *arguments, "-o", "new.html", "--overwrite"]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "the output is the input\ngive the output another name" in done.stderr
    assert picture.read_bytes() == b"not read"
    picture.unlink()
    assert (folder / "original.mkv").read_bytes() == before


def test_an_interrupt_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    long = studio.picture("long.mkv", "-c:v", "ffv1", size="640x360", seconds=20)
    out = tmp_path / "out"
    temporary = tmp_path / "tmp"
    out.mkdir()
    temporary.mkdir()
    argv = [*ARGV, "compare", str(long), "--reference", str(long), "-o", str(out / "report.html")]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)}) as run:
        end = time.monotonic() + 120
        # The driver of VMAF has a folder of its own while it measures.
        while not list(temporary.glob("srcomp-vmaf-*/")) and time.monotonic() < end:
            time.sleep(0.05)
        assert list(out.iterdir())
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "nothing unfinished is left behind" in errors
    assert not list(out.iterdir())
    assert not list(temporary.iterdir())


def test_a_batch_with_metrics_and_a_report_links_to_pages(
    command: Command, folder: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    encoder = ("--model", model, "--encoder", "x264", "--preset", "ultrafast")
    metrics = ("--metrics", folder / "original.mkv", "--report", tmp_path / "report.jsonl")
    done = command("batch", folder / "small.mkv", "--out", out, *encoder, *metrics)
    assert done.returncode == 0, done.stderr
    checks = json.loads((tmp_path / "report.jsonl").read_text())["checks"]
    assert checks["metrics"]["frames"] == 10
    page = Path(checks["comparison"]["page"])
    assert page == out / "small.compare.html"
    names = [one["name"] for one in report_of(page)["candidates"]]  # type: ignore[attr-defined]
    assert names == ["lanczos5", "small"]


def test_a_batch_needs_no_packages_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vs_srcomp.compare.report.find_spec", lambda name: None)
    checks = output_checks(verifies=False, references=Path("original.mkv"), folder=Path("out"), shows=True)
    assert len(checks) == 1
    assert len(output_checks(verifies=True, references=Path("original.mkv"), folder=Path("out"), shows=False)) == 2
