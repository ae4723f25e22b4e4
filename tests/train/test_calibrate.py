"""What `train ranges` refuses before it changes a model."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from train.__main__ import main
from train.calibrate import _photographs

ENGINES = Path(__file__).resolve().parents[2] / "engines"


@pytest.mark.parametrize(
    ("size", "names", "message"),
    [
        (None, (), "no pictures are in images"),
        ((255, 400), (), "no picture of images is 256 pixels wide and high: give larger ones"),
        ((300, 400), ("srcomp-fast-3by1",), "there is no model srcomp-fast-3by1: there are srcomp-"),
    ],
)
def test_models_stay_where_nothing_can_be_measured(
    size: tuple[int, int] | None,
    names: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("engines", "images"):
        Path(folder).mkdir()
    for file in ("models.json", "srcomp-light-2by1.onnx"):
        shutil.copy(ENGINES / file, "engines")
    if size:
        Image.new("RGB", size).save("images/one.png")
    before = {path.name: path.read_bytes() for path in Path("engines").iterdir()}
    done = CliRunner().invoke(main, ["ranges", *names, "--images", "images"])
    assert done.exit_code == 1, done.output
    assert message in done.output
    assert {path.name: path.read_bytes() for path in Path("engines").iterdir()} == before


@pytest.mark.parametrize(
    ("count", "chosen"),
    [
        (3, [0, 1, 2]),
        (8, [*range(8)]),
        (9, [0, 1, 2, 3, 4, 6, 7, 8]),
        (15, [0, 2, 4, 6, 8, 9, 11, 13]),
        (16, [*range(0, 16, 2)]),
    ],
)
def test_pictures_are_evenly_spaced(count: int, chosen: list[int], tmp_path: Path) -> None:
    for number in range(count):
        Image.new("L", (256, 256)).save(tmp_path / f"{number}.png")
    assert [int(path.stem) for path in _photographs(tmp_path, 8)] == chosen
