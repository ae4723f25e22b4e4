"""Systems of the papers as the package would carry them: their descriptors, and how they play."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import vapoursynth as vs
from click.testing import CliRunner

import vs_srcomp
from tests.train.examples import changed
from train.__main__ import main
from train.export import export_run, export_system, history_of
from train.recipe import load_recipe
from train.run import Run, save_weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "factor"), [("espcn-2x", 2), ("srcnn", 2), ("fd-srcnn-3x-bicubic", 3), ("lapsrn-4x", 4)]
)
def test_an_exported_system_has_a_descriptor_and_plays(name: str, factor: int, tmp_path: Path) -> None:
    path = ROOT / "train" / "recipes" / "systems" / f"{name}.toml"
    recipe = load_recipe(path)
    network = recipe.make_network()
    line = export_system(network, recipe, path, tmp_path, "that of your photographs")
    assert line.startswith(f"{name}: {network.parameter_count} parameters, ")
    catalogue = json.loads((tmp_path / "models.json").read_text("utf-8"))
    jsonschema.validate(catalogue, json.loads((ROOT / "engines" / "models.schema.json").read_text("utf-8")))
    (entry,) = catalogue["models"]
    assert (entry["system"], entry["scale"]) == (recipe.network["name"], network.scale)
    assert (ROOT / entry["recipe"]).exists()
    assert entry["licence"] == "that of your photographs"

    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=1, color=[100, 90, 200])
    model = str(tmp_path / entry["file"])
    upscaled = vs_srcomp.upscale(clip, width=64 * factor, height=48 * factor, q=30, model=model)
    with upscaled.get_frame(0) as frame:
        luma = np.asarray(frame[0])
        assert luma.shape == (48 * factor, 64 * factor)
        # Not trained, it interpolates.
        assert abs(luma[16 * factor : -16 * factor, 16 * factor : -16 * factor].astype(int) - 100).max() < 16
        assert np.asarray(frame[1])[0, 0] == 90


def test_a_finished_run_is_exported_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("mine/espcn-2x.toml")
    path.parent.mkdir()
    path.write_bytes((ROOT / "train/recipes/systems/espcn-2x.toml").read_bytes())
    for folder in ("engines", "images"):
        Path(folder).mkdir()
    argv = ["export", str(path), "--images", "images"]
    result = CliRunner().invoke(main, argv)
    assert result.exit_code == 1
    assert "espcn-2x" in result.output
    assert list(Path("engines").iterdir()) == []
    run = Run(Path("work/runs/espcn-2x"))
    run.folder.mkdir(parents=True)
    save_weights(run.weights, load_recipe(path).make_network())
    run.log.write_text("step,learning_rate,loss,valid_gain_db\n25,0,0.5,30\n")
    result = CliRunner().invoke(main, [*argv, "--licence", "CC0-1.0"])
    assert result.exit_code == 0, result.output
    assert Path("mine/espcn-2x.csv").read_text() == run.log.read_text()
    assert {file.name for file in Path("engines").iterdir()} == {"espcn-2x.onnx", "models.json"}
    (entry,) = json.loads(Path("engines/models.json").read_text("utf-8"))["models"]
    assert (entry["recipe"], entry["licence"]) == ("espcn-2x.toml", "CC0-1.0")


def test_a_damaged_catalogue_stops_an_export_before_anything_is_written(tmp_path: Path) -> None:
    recipe = changed("mine", network={"name": "espcn"}, degradation={"name": "jpeg", "ratio": 2})
    run = Run(tmp_path / "runs" / recipe.name)
    run.folder.mkdir(parents=True)
    save_weights(run.weights, recipe.make_network())
    run.log.write_text("step,learning_rate,loss,valid_gain_db\n")
    engines = tmp_path / "engines"
    engines.mkdir()
    for text in ("{}", "{", "[]"):
        (engines / "models.json").write_text(text)
        with pytest.raises(ValueError, match=r"models\.json is not a catalogue of models"):
            export_run(recipe, tmp_path / "mine.toml", list, tmp_path / "runs", engines, "CC0-1.0")
    assert [file.name for file in engines.iterdir()] == ["models.json"]
    assert not (tmp_path / "mine.csv").exists()


def test_logs_of_recipes_from_elsewhere_go_beside_them() -> None:
    assert history_of(ROOT / "train/recipes/systems/x.toml") == ROOT / "train/runs/systems"
    assert history_of(Path("/mine/recipes/x.toml")) == Path("/mine/recipes")


def test_a_network_with_levels_is_for_coded_pictures(tmp_path: Path) -> None:
    network = {"name": "plain", "stride": 2, "channels": 8, "layers": 3}
    recipe = changed("other", network=network, degradation={"name": "jpeg", "ratio": 1})
    run = Run(tmp_path / "runs" / recipe.name)
    run.folder.mkdir(parents=True)
    save_weights(run.weights, recipe.make_network())
    run.log.write_text("step,learning_rate,loss,valid_gain_db\n")
    with pytest.raises(ValueError, match="other is not exported: networks that take a level are for"):
        export_run(recipe, tmp_path / "other.toml", list, tmp_path / "runs", tmp_path / "engines", "CC0-1.0")


def test_a_network_with_levels_needs_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = ROOT / "train" / "recipes" / "light-2by1.toml"
    run = Run(Path("work/runs/srcomp-light-2by1"))
    run.folder.mkdir(parents=True)
    Path("engines").mkdir()
    save_weights(run.weights, load_recipe(recipe).make_network())
    run.log.write_text("step,learning_rate,loss,valid_gain_db\n")
    result = CliRunner().invoke(main, ["export", str(recipe)])
    assert result.exit_code == 2
    assert "--images is missing: give the training material of srcomp-light-2by1" in result.output
    assert list(Path("engines").iterdir()) == []


def test_a_network_for_rgb_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, run = Path("mine.toml"), Run(Path("work/runs/mine"))
    text = (ROOT / "train/recipes/systems/espcn-2x.toml").read_text()
    text = text.replace('"espcn-2x"', '"mine"').replace("scale = 2", "scale = 2\nchannels = 3", 1)
    path.write_text(text)
    for folder in ("engines", "images"):
        Path(folder).mkdir()
    run.folder.mkdir(parents=True)
    save_weights(run.weights, load_recipe(path).make_network())
    result = CliRunner().invoke(main, ["export", "mine.toml", "--images", "images"])
    assert result.exit_code == 1
    assert "mine takes 3 channels: upscale plays networks for luma alone" in result.output
    assert list(Path("engines").iterdir()) == []


@pytest.mark.parametrize("name", ["fast-2by1", "fast-8by5"])
def test_a_model_is_exported_as_a_plain_network_for_each_level(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    recipe = ROOT / "train" / "recipes" / f"{name}.toml"
    argv = ["export", str(recipe), "--engines", str(ROOT / "engines"), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, [*argv, "--levels", "20,33.5"])
    assert result.exit_code == 0, result.output
    assert result.output.split() == [str(tmp_path / f"srcomp-{name}-q{level}.onnx") for level in ("20", "33.5")]
    whole = onnxruntime.InferenceSession(ROOT / "engines" / f"srcomp-{name}.onnx")
    picture = np.random.default_rng(1).random((1, 1, 64, 48), np.float32)
    for level in (20, 33.5):
        plain = onnxruntime.InferenceSession(tmp_path / f"srcomp-{name}-q{level:g}.onnx")
        assert [each.name for each in plain.get_inputs()] == ["degraded"]
        (alone,) = plain.run(None, {"degraded": picture})
        (together,) = whole.run(None, {"degraded": picture, "q": np.array([level], np.float32)})
        np.testing.assert_allclose(alone, together, atol=1e-5)
        assert np.abs(alone - picture).max() > 0.01


def test_what_has_no_levels_or_is_not_exported_is_refused(tmp_path: Path) -> None:
    recipes = ROOT / "train" / "recipes"
    for path, message in (
        (recipes / "systems" / "espcn-2x.toml", "espcn-2x knows no levels"),
        (recipes / "fast-2by1.toml", "export srcomp-fast-2by1 first"),
    ):
        argv = ["export", str(path), "--engines", str(tmp_path), "--out", str(tmp_path / "out"), "--levels", "20"]
        result = CliRunner().invoke(main, argv)
        assert result.exit_code == 1
        assert message in result.output
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--levels", "20"], "--levels and --out belong together"),
        (["--levels", "20;30", "--out", "x"], "'20;30' is not numbers with commas between them"),
        (["--levels", "20,nan", "--out", "x"], "'20,nan' has numbers that are not finite"),
        (["--levels", "20,99", "--out", "x"], "'20,99' is not different levels from 0 to 63"),
        (["--levels", "20,20", "--out", "x"], "'20,20' is not different levels from 0 to 63"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["export", str(ROOT / "train" / "recipes" / "fast-2by1.toml"), *options])
    assert result.exit_code == 2
    assert message in result.output
