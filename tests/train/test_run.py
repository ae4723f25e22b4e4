"""The curves of runs, drawn from their logs."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from train.__main__ import main
from train.run import LOG_FIELDS, append_log, draw_gains


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
