import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional as F

import train.fit as fit_module
from train.export import to_onnx
from train.fit import Diverged, Learner, fit, learning_rate, remove_drift, to_luma, validation_gain
from train.material.crops import CropSampler, PlanePair, split
from train.networks.plain import MEAN, RESIDUAL_SCALE, SPREAD, PlainStack
from train.parallel import Team
from train.recipe import Recipe, in_order, load_recipe
from train.run import Run, read_log
from train.trained import from_onnx

CPU = torch.device("cpu")
ALONE = Team(CPU)
# What each of two processes runs: the same as the test itself, on the other half of each batch.
TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from tests.train.test_fit import TINY, blurred_pairs
from train.fit import fit
from train.parallel import team
torch.set_num_threads(1)
with team() as processes:
    assert processes.size == 2
    fit(TINY, blurred_pairs(), blurred_pairs(), Path(sys.argv[1]) / "together", processes)
"""
RECIPES = Path(__file__).resolve().parents[2] / "train" / "recipes"
COMPLETE = 'tier = "fast"\nstride = 2\nchannels = 8\nlayers = 3\nsteps = 1\nbatch = 1\n'
TINY = Recipe(tier="fast", pair="2by1-q40", stride=2, channels=8, layers=3, steps=60, batch=2, crop=32, warmup=5)


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
    network = fit(recipe, pairs[:4], pairs[4:], tmp_path, ALONE)
    assert validation_gain(network, pairs[4:], CPU) > 0.5
    rows = list(csv.DictReader(Run(tmp_path / recipe.name).log.read_text().splitlines()))
    assert [row["step"] for row in rows] == ["300"]


@pytest.mark.parametrize("optimizer", ["adam", "muon", "muon-everywhere"])
def test_a_run_that_was_stopped_ends_where_it_would_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    pairs = blurred_pairs()
    monkeypatch.setattr(fit_module, "VALIDATE_EVERY", 20)
    recipe = dataclasses.replace(TINY, optimizer=optimizer)
    fit(recipe, pairs, pairs, tmp_path / "whole", ALONE)

    stop_at = 37
    take_step = Learner.take_step

    def interrupted(learner: Learner, step: int) -> float:
        if step == stop_at:
            raise KeyboardInterrupt
        return take_step(learner, step)

    monkeypatch.setattr(Learner, "take_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, pairs, pairs, tmp_path / "stopped", ALONE)
    monkeypatch.setattr(Learner, "take_step", take_step)
    fit(recipe, pairs, pairs, tmp_path / "stopped", ALONE)

    whole, stopped = (Run(tmp_path / folder / TINY.name) for folder in ("whole", "stopped"))
    assert whole.log.read_text() == stopped.log.read_text()
    expected = load_file(whole.weights)
    for name, value in load_file(stopped.weights).items():
        assert torch.equal(value, expected[name]), name


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Learner, "take_step", lambda learner, step: float("nan"))
    pairs = blurred_pairs()
    with pytest.raises(Diverged, match="lower learning_rate"):
        fit(TINY, pairs, pairs, tmp_path, ALONE)


def test_a_warm_start_takes_the_weights_of_another_run(tmp_path: Path) -> None:
    pairs = blurred_pairs()
    fit(TINY, pairs, pairs, tmp_path, ALONE)
    next_recipe = dataclasses.replace(TINY, pair="2by1-q50", steps=1, learning_rate=0.0, start=TINY.name)
    network = fit(next_recipe, pairs, pairs, tmp_path, ALONE)
    for name, value in load_file(Run(tmp_path / TINY.name).weights).items():
        assert torch.equal(network.state_dict()[name], value)


def test_a_start_with_fewer_layers_keeps_more_than_half_of_its_gain(tmp_path: Path) -> None:
    pairs = blurred_pairs()
    small = fit(dataclasses.replace(TINY, steps=300, batch=4, learning_rate=4e-3), pairs, pairs, tmp_path, ALONE)
    more = dataclasses.replace(
        TINY, pair="2by1-q50", layers=TINY.layers + 2, steps=1, learning_rate=0.0, start=TINY.name
    )
    grown = fit(more, pairs, pairs, tmp_path, ALONE)
    assert len(grown.body) == len(small.body) + 2
    assert torch.equal(grown.head.weight, small.head.weight)
    assert torch.equal(grown.tail.weight, small.tail.weight)
    before, after = (validation_gain(network, pairs, CPU) for network in (small, grown))
    assert before > 0.5
    assert after > before / 2


def test_a_warm_start_from_another_form_is_refused(tmp_path: Path) -> None:
    pairs = blurred_pairs()
    fit(dataclasses.replace(TINY, steps=1), pairs, pairs, tmp_path, ALONE)
    with pytest.raises(ValueError, match="cannot be the start"):
        fit(dataclasses.replace(TINY, pair="2by1-q50", channels=4, start=TINY.name), pairs, pairs, tmp_path, ALONE)
    fewer = dataclasses.replace(TINY, pair="2by1-q50", layers=TINY.layers - 1, start=TINY.name)
    with pytest.raises(ValueError, match="more layers"):
        fit(fewer, pairs, pairs, tmp_path, ALONE)
    with pytest.raises(ValueError, match="train it first"):
        fit(dataclasses.replace(TINY, start="nobody"), pairs, pairs, tmp_path, ALONE)


def test_an_exported_model_can_be_trained_further() -> None:
    torch.manual_seed(0)
    network = PlainStack(2, 8, 4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
    again = from_onnx(to_onnx(network, "test"))
    for name, value in network.state_dict().items():
        assert torch.allclose(again.state_dict()[name], value, atol=1e-6), name


def test_a_pupil_that_is_its_own_teacher_has_nothing_to_learn(tmp_path: Path) -> None:
    pairs = blurred_pairs()
    fit(TINY, pairs, pairs, tmp_path, ALONE)
    taught = dataclasses.replace(
        TINY, pair="2by1-q50", start=TINY.name, teacher=TINY.name, teacher_share=1.0, steps=1, l1_share=0.0
    )
    half_taught = dataclasses.replace(taught, pair="2by1-q30", teacher_share=0.5)
    alone = dataclasses.replace(taught, pair="2by1-q20", teacher=None)
    losses = []
    for recipe in (taught, half_taught, alone):
        fit(recipe, pairs, pairs, tmp_path, ALONE)
        losses.append(float(read_log(Run(tmp_path / recipe.name).log)[0]["loss"]))
    assert losses[0] < 1e-4 < losses[2]
    # Squared error: half of the way is a quarter of the loss.
    assert losses[1] == pytest.approx(losses[2] / 4, rel=0.01)


def test_two_processes_train_the_same_network_as_one(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(TWO_PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(RECIPES.parents[1])}
    subprocess.run([*launch, str(tmp_path)], env=environment, check=True, capture_output=True, timeout=120)
    pairs = blurred_pairs()
    alone = fit(TINY, pairs, pairs, tmp_path / "alone", ALONE)
    together = load_file(Run(tmp_path / "together" / TINY.name).weights)
    torch.manual_seed(TINY.seed)
    start = PlainStack(TINY.stride, TINY.channels, TINY.layers).state_dict()
    for name, value in alone.state_dict().items():
        moved = (value - start[name]).norm()
        # bfloat16 rounds each process's half of the gradient on its own.
        assert (value - together[name]).norm() < 0.05 * moved, name


def test_a_batch_is_shared_evenly_or_refused() -> None:
    assert [Team(CPU, rank, 3).share(6) for rank in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    with pytest.raises(ValueError, match="shared evenly"):
        Team(CPU, 0, 3).share(4)


def test_a_run_draws_its_curves(tmp_path: Path) -> None:
    pairs = blurred_pairs()
    fit(TINY, pairs, pairs, tmp_path, ALONE)
    with Image.open(Run(tmp_path / TINY.name).curves) as curves:
        assert curves.size == (480, 280)
        assert len(np.unique(np.asarray(curves.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_a_generalist_is_trained_on_every_level_of_its_ratio() -> None:
    recipe = dataclasses.replace(TINY, pair="8by5-blind")
    assert [pair.slug for pair in recipe.pairs] == ["8by5-q20", "8by5-q30", "8by5-q40", "8by5-q50"]
    assert (recipe.name, recipe.ratio.name, recipe.q) == ("srcomp-fast-8by5-blind", "8:5", None)
    assert TINY.q == 40


def test_recipes_come_after_those_that_they_start_or_learn_from() -> None:
    path = Path("recipe.toml")
    pupil = dataclasses.replace(TINY, pair="2by1-q20", teacher=TINY.name, start="elsewhere")
    last = dataclasses.replace(TINY, pair="2by1-q30", start=pupil.name)
    assert [recipe for _, recipe in in_order((path, recipe) for recipe in (last, pupil, TINY))] == [TINY, pupil, last]
    with pytest.raises(ValueError, match="wait for each other"):
        in_order((path, recipe) for recipe in (pupil, dataclasses.replace(TINY, start=pupil.name)))


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


def test_crops_begin_where_every_ratio_repeats() -> None:
    block = np.arange(64, dtype=np.uint8).reshape(8, 8)
    plane = np.tile(block, (5, 7))
    degraded, *_ = CropSampler([PlanePair(plane, plane + 1)], 16, seed=0).draw(0, 200)
    corner = np.tile(block, (2, 2))
    assert {crop.tobytes() for crop in degraded} == {
        turned.tobytes() for k in range(4) for turned in (np.rot90(corner, k), np.rot90(corner, k).T)
    }


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
        ('tier = "fast"', "missing .*'pair'"),
        (COMPLETE + 'pair = "2by1-q41"', "no pair is called"),
        (COMPLETE + 'pair = "2by1-q40"\nspeed = 1', "'speed'.*keys are"),
        (COMPLETE + 'pair = "2by1-q40"\ncrop = 97', "not a multiple of stride"),
        (COMPLETE + 'pair = "2by1-q40"\ncrop = 100', "and of 8"),
        (COMPLETE + 'pair = "2by1-q40"\nteacher_share = 2', "teacher_share"),
        (COMPLETE + 'pair = "2by1-q40"\noptimizer = "sgd"', "adam, muon, muon-everywhere"),
        (COMPLETE + 'pair = "2by1-q40"\nint8_range = "half"', "whole, mean"),
        (COMPLETE + 'pair = "2by1-q40"\nscales = [1, 2]', "not between 0 and 1"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe(path)
