import csv
import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import train.fit as fit_module
from train.crops import CropSampler, PlanePair, split
from train.degrade import pair_by_slug
from train.export import to_onnx
from train.fit import Diverged, Run, fit, learning_rate, remove_drift, to_luma, validation_gain
from train.networks.plain import MEAN, RESIDUAL_SCALE, SPREAD, PlainStack
from train.recipe import Recipe, load_recipe

CPU = torch.device("cpu")
RECIPES = Path(__file__).resolve().parents[2] / "train" / "recipes"
TINY = Recipe(
    tier="fast", pair=pair_by_slug("2by1-q40"), stride=2, channels=8, layers=3, steps=60, batch=2, crop=32, warmup=5
)


def blurred_pairs(count: int = 3, size: int = 64) -> list[PlanePair]:
    """Noise pictures and their blur: a loss that a network can partly undo."""
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(count):
        original = torch.from_numpy(rng.uniform(0, 255, (1, 1, size, size)).astype(np.float32))
        original = F.avg_pool2d(original, 3, 1, 1)
        degraded = F.avg_pool2d(original, 3, 1, 1)
        pairs.append(PlanePair(*(plane[0, 0].numpy().round().astype(np.uint8) for plane in (degraded, original))))
    return pairs


def test_training_gains_on_pictures_that_it_did_not_see(tmp_path: Path) -> None:
    pairs = blurred_pairs(6)
    recipe = dataclasses.replace(TINY, steps=300, batch=4, learning_rate=4e-3)
    network = fit(recipe, pairs[:4], pairs[4:], tmp_path, CPU)
    assert validation_gain(network, pairs[4:], CPU) > 0.5
    rows = list(csv.DictReader(Run(tmp_path / recipe.name).log.read_text().splitlines()))
    assert [row["step"] for row in rows] == ["300"]


def test_a_run_that_was_stopped_ends_where_it_would_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = blurred_pairs()
    monkeypatch.setattr(fit_module, "VALIDATE_EVERY", 20)
    fit(TINY, pairs, pairs, tmp_path / "whole", CPU)

    stop_at = 37
    take_step = fit_module._step

    def interrupted(*arguments: object) -> float:
        if arguments[4] == stop_at:
            raise KeyboardInterrupt
        return take_step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fit_module, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(TINY, pairs, pairs, tmp_path / "stopped", CPU)
    monkeypatch.setattr(fit_module, "_step", take_step)
    fit(TINY, pairs, pairs, tmp_path / "stopped", CPU)

    whole, stopped = (Run(tmp_path / folder / TINY.name) for folder in ("whole", "stopped"))
    assert whole.log.read_text() == stopped.log.read_text()
    expected = load_file(whole.weights)
    for name, value in load_file(stopped.weights).items():
        assert torch.equal(value, expected[name]), name


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "_step", lambda *arguments: float("nan"))
    pairs = blurred_pairs()
    with pytest.raises(Diverged, match="lower learning_rate"):
        fit(TINY, pairs, pairs, tmp_path, CPU)


def test_a_warm_start_takes_the_weights_of_another_run(tmp_path: Path) -> None:
    pairs = blurred_pairs()
    fit(TINY, pairs, pairs, tmp_path, CPU)
    next_recipe = dataclasses.replace(TINY, pair=pair_by_slug("2by1-q50"), steps=1, learning_rate=0.0, start=TINY.name)
    network = fit(next_recipe, pairs, pairs, tmp_path, CPU)
    for name, value in load_file(Run(tmp_path / TINY.name).weights).items():
        assert torch.equal(network.state_dict()[name], value)


def test_drift_is_taken_out() -> None:
    torch.manual_seed(0)
    network = PlainStack(2, 8, 3)
    network.shift_residual(0.02)
    pairs = blurred_pairs()
    remove_drift(network, pairs, CPU)
    residuals = [network(luma) - luma for luma in (to_luma(pair.degraded[None], CPU) for pair in pairs)]
    assert abs(torch.stack(residuals).mean().item()) < 1e-6
    assert torch.stack(residuals).abs().mean().item() > 1e-4


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate(TINY, step) for step in range(TINY.steps)]
    assert rates[4] == max(rates) == TINY.learning_rate
    assert rates[0] == pytest.approx(TINY.learning_rate / 5)
    assert rates[-1] < 0.01 * TINY.learning_rate


@pytest.mark.parametrize("stride", [2, 3])
def test_the_network_is_space_to_depth_and_3x3_convolutions_on_centred_luma(stride: int) -> None:
    torch.manual_seed(0)
    network = PlainStack(stride, 8, 4)
    luma = torch.rand(1, 1, 12 * stride, 12 * stride)
    # The same first layer on the coarse grid: a 3s x 3s kernel holds a 3x3 one of s x s blocks.
    weight = network.head.weight.view(8, 3, stride, 3, stride).permute(0, 2, 4, 1, 3).reshape(8, stride**2, 3, 3)
    features = F.conv2d(F.pixel_unshuffle((luma - MEAN) / SPREAD, stride), weight, network.head.bias, padding=1)
    features = F.leaky_relu(features, 0.1)
    for layer in network.body:
        features = F.leaky_relu(layer(features), 0.1)
    expected = luma + RESIDUAL_SCALE * F.pixel_shuffle(network.tail(features), stride)
    # The border differs by design: the network pads plain luma with zeros, this pads centred luma.
    margin = 4 * stride
    inside = np.s_[..., margin:-margin, margin:-margin]
    assert expected[inside].numel() > 0
    assert torch.allclose(network(luma)[inside], expected[inside], atol=1e-5)


@pytest.mark.parametrize(("stride", "channels", "layers"), [(2, 8, 3), (3, 12, 4)])
def test_the_exported_file_computes_the_same(stride: int, channels: int, layers: int) -> None:
    torch.manual_seed(0)
    network = PlainStack(stride, channels, layers)
    luma = torch.rand(2, 1, 10 * stride, 8 * stride)
    session = onnxruntime.InferenceSession(to_onnx(network, "test"), providers=["CPUExecutionProvider"])
    (restored,) = session.run(None, {"degraded": luma.numpy()})
    assert np.abs(restored - network(luma).detach().numpy()).max() < 1e-5
    assert np.abs(restored - luma.numpy()).max() > 1e-3


def test_receptive_field_and_cost_are_as_stated() -> None:
    network = PlainStack(2, 8, 3)
    luma = torch.rand(1, 1, 64, 64, requires_grad=True)
    rows = []
    for offset in (0, 1):
        (gradient,) = torch.autograd.grad((network(luma) - luma)[0, 0, 32 + offset, 32], luma)
        rows.append(gradient[0, 0].abs().sum(dim=1).nonzero().flatten())
    assert all(len(row) <= network.receptive_field for row in rows)
    assert max(len(row) for row in rows) == network.receptive_field
    assert network.macs_per_pixel == (8 * 36 + 8 * 8 * 9 + 4 * 8 * 9) / 4


def test_crops_depend_on_seed_and_step_alone() -> None:
    sampler, again = (CropSampler(blurred_pairs(), 32, seed=3) for _ in range(2))
    first, second = sampler.draw(5, 4), again.draw(5, 4)
    assert all(np.array_equal(first[index], second[index]) for index in range(3))
    assert not np.array_equal(sampler.draw(5, 4)[0], sampler.draw(6, 4)[0])


def test_crops_come_in_all_eight_orientations_and_both_planes_alike() -> None:
    plane = np.arange(16, dtype=np.uint8).reshape(4, 4)
    sampler = CropSampler([PlanePair(plane, plane + 1)], 4, seed=0)
    degraded, original, weight = sampler.draw(0, 200)
    assert np.array_equal(degraded + 1, original)
    assert {crop.tobytes() for crop in degraded} == {
        turned.tobytes() for k in range(4) for turned in (np.rot90(plane, k), np.rot90(plane, k).T)
    }
    assert (weight == 1).all()


def test_the_split_is_seeded_whole_and_disjoint() -> None:
    items = list(range(50))
    train, valid = split(items, 0.2, seed=1)
    assert len(valid) == 10
    assert sorted(train + valid) == items
    assert split(items, 0.2, seed=1) == (train, valid)
    assert split(items, 0.2, seed=2) != (train, valid)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_can_be_read_and_are_named_for_what_they_make(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == f"srcomp-{path.stem}"
    assert recipe.crop % recipe.stride == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tier = ", "keys are"),
        ('tier = "fast"', "'pair' is missing"),
        ('pair = "2by1-q41"', "no pair is called"),
        ('pair = "2by1-q40"\nspeed = 1', "keys are"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe(path)
