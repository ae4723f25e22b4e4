"""The command line of training, where something is missing."""

import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Those that the package itself does not bring.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({missing})); from train.__main__ import main; main()"


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("torch", ("fit", "train/recipes/fast-2by1.toml", "--images", "docs")),
        ("PIL", ("dataset", "--images", "docs", "--out")),
    ],
)
def test_missing_packages_are_reported_with_what_to_do(
    missing: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    if arguments[-1] == "--out":
        arguments = (*arguments, str(tmp_path))
    program = WITHOUT.format(missing=[missing])
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"training needs {missing}" in done.stderr
    assert "pip install '.[train]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "--images"),
        ("evaluate-video", "--videos"),
        ("dataset", "--out", "out", "--images"),
        ("fit", str(ROOT / "train" / "recipes" / "trials" / "light-2by1-draft2.toml"), "--images"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_folders_without_material_are_reported(arguments: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from click.testing import CliRunner

    from train.__main__ import main

    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        done = CliRunner().invoke(main, [*arguments, str(empty)])
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.output.splitlines()[-1].startswith("Error: ")
    assert "pictures" in done.output or "videos" in done.output


RECIPE = str(ROOT / "train" / "recipes" / "systems" / "espcn-2x.toml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seconds", "0"), "--seconds takes numbers above 0"),
        (("--seconds", "-5"), "--seconds takes numbers above 0"),
        (("--threads", "-3"), "-3 is not in the range x>=1"),
        (("--work", __file__), "test_main.py"),
        (("--work", "/proc/none"), "; give another path with --images or --work"),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, tuple) else "",
)
def test_options_that_cannot_be_used_are_refused_before_pictures_are_read(
    options: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("torch")
    from click.testing import CliRunner

    from train.__main__ import main

    done = CliRunner().invoke(main, ["fit", RECIPE, "--images", str(ROOT / "docs"), *options])
    assert done.exit_code in (1, 2), done.output
    assert isinstance(done.exception, SystemExit), done.exception
    assert message in done.output


def test_the_end_of_a_worker_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from click.testing import CliRunner

    import train.dataset
    from train.__main__ import main

    def killed(options: object) -> None:
        raise BrokenProcessPool("A process in the process pool was terminated abruptly")

    monkeypatch.setattr(train.dataset, "make_dataset", killed)
    done = CliRunner().invoke(main, ["dataset", "--images", str(tmp_path), "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.output.startswith("Error: a worker process was killed, as happens when memory runs out: free memory")
