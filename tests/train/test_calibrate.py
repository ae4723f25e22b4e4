"""`train ranges`: what it changes of a model and of the catalogue, and what it refuses before it changes anything."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from tests.tolerances import FLOAT32_FOLDED
from tests.train.photographs import write_photographs
from train.__main__ import main
from train.calibrate import _photographs
from train.catalogue import read_entries, write_entries
from vs_srcomp.models.level import at_level

ENGINES = Path(__file__).resolve().parents[2] / "engines"


def output(network: bytes, q: float) -> NDArray[np.float32]:
    """What a network makes of noise and waves at one level, in float32."""
    rng = np.random.default_rng(0)
    luma = 0.5 + 0.3 * np.sin(np.mgrid[:64, :80][1] / 5) + rng.normal(0, 0.05, (64, 80))
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    picture = luma.astype(np.float32)[None, None]
    return np.asarray(session.run(None, {"degraded": picture, "q": np.full(1, q, np.float32)})[0])


def test_a_model_is_equalised_and_gets_a_range_for_each_layer(tmp_path: Path) -> None:
    # In float32: kernels for each level are stored in half precision, which new factors round again.
    name, other = "srcomp-light-2by1-crisp", "srcomp-light-8by5"
    engines = tmp_path / "engines"
    engines.mkdir()
    shutil.copy(ENGINES / f"{name}.onnx", engines)
    entries = {entry["name"]: entry for entry in read_entries(ENGINES / "models.json")}
    # Each measured level takes seconds: 20 alone is in this range. Old ranges and digest would look like new ones.
    entry = entries[name] | {"levels": [20, 29], "ranges": [], "sha256": ""}
    write_entries([entry, entries[other]], engines / "models.json")
    before = (engines / f"{name}.onnx").read_bytes()
    images = write_photographs(tmp_path / "images", 2, 272, 256)

    arguments = ["ranges", name, "--images", str(images), "--engines", str(engines), "--work", str(tmp_path / "work")]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)

    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{name}: ")
    after = (engines / f"{name}.onnx").read_bytes()
    assert after != before
    changed, unchanged = read_entries(engines / "models.json")
    assert unchanged == entries[other]
    ranges = changed["ranges"]
    assert changed == entry | {"ranges": ranges, "sha256": hashlib.sha256(after).hexdigest()}
    layers = [node for node in onnx.load_model_from_string(at_level(after, 20)).graph.node if node.op_type == "Conv"]
    assert len(ranges) == len(layers) - 1  # the input of the first is the picture, whose range is known
    assert any(ranges)
    assert all(limit >= 0 for limit in ranges)
    for q in (12, 20, 44.5):
        np.testing.assert_allclose(output(after, q), output(before, q), **FLOAT32_FOLDED)


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
