"""The curves of runs, drawn from their logs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import train.run as run_module
from train.__main__ import main
from train.run import LOG_FIELDS, append_log, draw_curves, draw_gains, read_log, start_log


def write_run(path: Path, gains: tuple[float, ...]) -> None:
    append_log(path, LOG_FIELDS)
    for step, gain in enumerate(gains):
        append_log(path, (100 * step, 1e-3, 0.02, gain))


def columns_with_blue(picture: Path) -> np.ndarray:
    """Where the first line of a panel was drawn."""
    with Image.open(picture) as image:
        red, _, blue = np.moveaxis(np.asarray(image.convert("RGB"), int), -1, 0)
    return np.flatnonzero((blue - red > 80).any(axis=0))


def test_each_group_of_names_has_a_panel_with_a_line_for_each_run(tmp_path: Path) -> None:
    for name in ("srcomp-fast-2by1", "srcomp-fast-4by3", "srcomp-light-2by1"):
        write_run(tmp_path / f"{name}.csv", (0.0, 0.4, 0.5))
    draw_gains(tmp_path.glob("srcomp-fast-*.csv"), tmp_path / "one.png")
    draw_gains(tmp_path.glob("*.csv"), tmp_path / "folder" / "two.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "folder" / "two.png") as two:
        assert two.width == 2 * one.width
        assert two.height == one.height
        half = one.width
    columns = columns_with_blue(tmp_path / "folder" / "two.png")
    assert (columns < half).any()
    assert (columns > half).any()


@pytest.mark.parametrize("empty", [False, True])
def test_the_command_draws_the_logs_of_a_folder(tmp_path: Path, empty: bool) -> None:
    if not empty:
        write_run(tmp_path / "srcomp-fast-2by1.csv", (0.0, 0.4))
    done = CliRunner().invoke(main, ["curves", "--runs", str(tmp_path), "--out", str(tmp_path / "curves.png")])
    assert done.exit_code == (2 if empty else 0)
    assert ("no logs are in" in done.output) == empty
    assert (tmp_path / "curves.png").exists() != empty


@pytest.mark.parametrize("cut", ["2", "200,0.001,0.02", "200,0.001,0.02,0.", "\0\0\0"])
def test_a_row_that_a_killed_run_left_half_written_is_dropped(cut: str, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    write_run(log, (0.0, 0.4))
    whole = log.read_text()
    log.write_text(whole + cut)
    start_log(log, 200)
    assert log.read_text() == whole
    assert [row["step"] for row in read_log(log)] == ["0", "100"]


def test_a_row_that_is_damaged_otherwise_is_not_dropped(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    write_run(log, (0.0, 0.4))
    log.write_text(log.read_text() + "200,x,y,z\n")
    with pytest.raises(ValueError, match=r"log\.csv is not a log of a run"):
        start_log(log, 200)


@pytest.mark.parametrize(("enlarges", "label"), [(True, "PSNR, dB"), (False, "gain over Lanczos-5, dB")])
def test_the_axis_says_what_was_measured(
    enlarges: bool, label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(run_module, "_save", lambda figure, target: drawn.append(figure))
    write_run(tmp_path / "log.csv", (30.0, 31.0))
    draw_curves(tmp_path / "log.csv", tmp_path / "curves.png", "run", enlarges=enlarges)
    (figure,) = drawn
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", label]
