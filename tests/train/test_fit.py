"""The training loop: learning, resuming, starting from other runs, and distillation."""

import csv
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import train.fit as fit_module
import train.trained as trained_module
from tests.train.examples import TINY, blurred, changed
from train import earlier_runs
from train.bf16 import has_bf16_units
from train.earlier_runs import STARTS, check_runs
from train.errors import DivergedError
from train.fit import VALIDATIONS, fit, learning_rate
from train.material.coded import Example
from train.networks.plain import PlainStack
from train.parallel import Team
from train.recipe import Recipe
from train.run import Run, read_log, save_weights
from train.stepper import Stepper
from train.validation import Validation

CPU = torch.device("cpu")
ALONE = Team(CPU)
ROOT = Path(__file__).resolve().parents[2]
# What each of two processes runs: the same as the test itself, on the other half of each batch; then a run by the clock
# with an adversary, whose networks it keeps.
TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from tests.train.examples import TINY, blurred
import train.fit
from tests.train.examples import changed
from train.fit import fit
from train.parallel import team
from train.run import save_weights
from train.stepper import State
torch.set_num_threads(1)
states = []
def kept(*arguments):
    states.append(State(*arguments))
    return states[-1]
train.fit.State = kept
with team() as processes:
    assert processes.size == 2
    fit(TINY, blurred(), blurred(), Path(sys.argv[1]) / "together", processes)
    terms = ({"name": "l1"}, {"name": "adversarial", "width": 4, "weight": 0.1})
    timed = changed("timed", steps=10_000_000, optimizer="adam", objective={"name": "sum", "terms": terms})
    fit(timed, blurred(), blurred(), Path(sys.argv[1]) / "together", processes, seconds=2)
    for name, network in states[-1].networks.items():
        save_weights(Path(sys.argv[1]) / f"{name}-{processes.rank}.safetensors", network)
"""


def plain(recipe: Recipe, examples: list[Example], runs: Path) -> PlainStack:
    network = fit(recipe, examples, examples, runs, ALONE)
    assert isinstance(network, PlainStack)
    return network


def test_training_gains_on_pictures_that_it_did_not_see(tmp_path: Path) -> None:
    examples = blurred(6)
    recipe = changed("longer", steps=300, batch=4, learning_rate=4e-3)
    network = fit(recipe, examples[:4], examples[4:], tmp_path, ALONE)
    gain = Validation(examples[4:], CPU).gain(network)
    assert gain > 0.5
    rows = list(csv.DictReader(Run(tmp_path / recipe.name).log.read_text().splitlines()))
    assert rows[-1]["step"] == "300"
    assert float(rows[-1]["valid_gain_db"]) == pytest.approx(gain, abs=1e-3)
    assert all(int(before["step"]) < int(after["step"]) for before, after in pairwise(rows))


ADVERSARIAL = {"name": "sum", "terms": ({"name": "l1"}, {"name": "adversarial", "width": 4, "weight": 0.1})}


@pytest.mark.parametrize(
    "fields",
    [{"optimizer": "adam"}, {"optimizer": "muon"}, {"optimizer": "adam", "objective": ADVERSARIAL}],
    ids=["adam", "muon", "adversarial"],
)
def test_a_run_that_was_stopped_ends_where_it_would_have(
    fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = blurred()
    recipe = changed("stopped", **fields)
    fit(recipe, examples, examples, tmp_path / "whole", ALONE)

    take, taken = Stepper.take, 0

    def interrupted(stepper: Stepper, rate: float) -> None:
        nonlocal taken
        if taken == 37:
            raise KeyboardInterrupt
        taken += 1
        take(stepper, rate)

    monkeypatch.setattr(Stepper, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, examples, examples, tmp_path / "stopped", ALONE)
    monkeypatch.setattr(Stepper, "take", take)
    whole, stopped = (Run(tmp_path / folder / recipe.name) for folder in ("whole", "stopped"))
    assert stopped.checkpoint.exists()
    assert not stopped.weights.exists()
    fit(recipe, examples, examples, tmp_path / "stopped", ALONE)

    assert whole.log.read_text() == stopped.log.read_text()
    expected = load_file(whole.weights)
    for name, value in load_file(stopped.weights).items():
        assert torch.equal(value, expected[name]), name


def test_a_run_does_not_go_on_under_another_recipe(tmp_path: Path) -> None:
    examples = blurred()
    fit(TINY, examples, examples, tmp_path, ALONE)
    before = load_file(Run(tmp_path / TINY.name).weights)
    other = changed(TINY.name, batch=4)
    with pytest.raises(ValueError, match=r"tiny was begun under another recipe; remove .*tiny to start again"):
        fit(other, examples, examples, tmp_path, ALONE)
    with pytest.raises(ValueError, match=r"tiny was begun under another recipe"):
        check_runs(other, tmp_path)  # What the command asks before it makes the material.
    check_runs(TINY, tmp_path)
    after = load_file(Run(tmp_path / TINY.name).weights)
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    Run(tmp_path / TINY.name).checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"is not a checkpoint .*; remove it to start again"):
        fit(TINY, examples, examples, tmp_path, ALONE)


def test_a_run_does_not_go_on_with_other_pictures(tmp_path: Path) -> None:
    examples = blurred(6)
    fit(TINY, examples[3:], examples[:3], tmp_path, ALONE)
    with pytest.raises(ValueError, match=r"tiny was begun with other pictures, .*; remove .*tiny to start again"):
        fit(TINY, examples[:3], examples[3:], tmp_path, ALONE)
    fit(TINY, examples[3:], examples[:3], tmp_path, ALONE)


def test_a_run_does_not_stay_when_its_start_was_trained_again(tmp_path: Path) -> None:
    examples = blurred()
    follower = changed("follower", start=TINY.name)
    for recipe in (TINY, follower, follower):
        fit(recipe, examples, examples, tmp_path, ALONE)
    shutil.rmtree(tmp_path / TINY.name)
    fit(changed(TINY.name, seed=7), examples, examples, tmp_path, ALONE)
    with pytest.raises(ValueError, match=r"follower was begun from other weights .*; remove .*follower to start again"):
        fit(follower, examples, examples, tmp_path, ALONE)


def test_damaged_files_of_a_run_are_named(tmp_path: Path) -> None:
    examples = blurred()
    fit(TINY, examples, examples, tmp_path, ALONE)
    run = Run(tmp_path / TINY.name)
    run.log.write_text("step,loss\n1,x\n")
    with pytest.raises(ValueError, match=r"log\.csv is not a log of a run"):
        fit(TINY, examples, examples, tmp_path, ALONE)
    save_weights(run.checkpoint, TINY.make_network(), TINY.digest)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors is not a checkpoint; remove it"):
        fit(TINY, examples, examples, tmp_path, ALONE)


def test_a_run_ends_with_its_schedule_when_its_time_is_over(tmp_path: Path) -> None:
    examples = blurred()
    endless = changed("endless", steps=10_000_000)
    fit(endless, examples, examples, tmp_path, ALONE, seconds=0.5)
    run = Run(tmp_path / endless.name)
    assert run.weights.exists()
    last = read_log(run.log)[-1]
    assert int(last["step"]) < endless.steps
    # Measuring takes time as well: the last part of the schedule, a twentieth, may be left out.
    assert float(last["learning_rate"]) < 0.01 * endless.learning_rate


def test_a_run_by_the_clock_is_measured_less_often_where_that_takes_long(tmp_path: Path) -> None:
    endless = changed("endless", steps=10_000_000)
    fit(endless, blurred(), blurred(40, 256), tmp_path, ALONE, seconds=1)
    rows = read_log(Run(tmp_path / endless.name).log)
    assert 1 <= len(rows) <= VALIDATIONS // 2
    assert float(rows[-1]["learning_rate"]) < 0.01 * endless.learning_rate


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stepper, "loss_of", lambda stepper, steps: float("nan"))
    examples = blurred()
    with pytest.raises(DivergedError, match="the loss is nan at step 25; lower learning_rate"):
        fit(TINY, examples, examples, tmp_path, ALONE)
    assert not Run(tmp_path / TINY.name).checkpoint.exists()


def test_a_warm_start_takes_the_weights_of_another_run(tmp_path: Path) -> None:
    examples = blurred()
    fit(TINY, examples, examples, tmp_path, ALONE)
    follower = changed("follower", steps=1, learning_rate=0.0, start=TINY.name)
    network = fit(follower, examples, examples, tmp_path, ALONE)
    for name, value in load_file(Run(tmp_path / TINY.name).weights).items():
        assert torch.equal(network.state_dict()[name], value), name


def test_kernels_of_each_level_start_from_a_plain_stack(tmp_path: Path) -> None:
    start = fit(TINY, blurred(), blurred(), tmp_path, ALONE)
    kept = fit(
        changed("kept", network={**TINY.network, "name": "interpolated"}, steps=0, start=TINY.name),
        [],
        [],
        tmp_path,
        ALONE,
    )
    luma, q = torch.rand(2, 1, 16, 24), torch.tensor([20.0, 50.0])
    torch.testing.assert_close(kept(luma, q), start(luma, q), atol=1e-5, rtol=0)


def test_kernels_of_other_levels_start_between_those_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    monkeypatch.setattr(trained_module, "RECIPES", recipes)
    network = {**TINY.network, "name": "interpolated"}
    few = changed("few", network=network)
    text = [f'name = "few"\nsteps = {few.steps}\nbatch = {few.batch}\ncrop = {few.crop}', "[network]"]
    text += [f"{key} = {json.dumps(value)}" for key, value in network.items()]
    text += ["[degradation]", *(f"{key} = {json.dumps(value)}" for key, value in few.degradation.items())]
    (recipes / "few.toml").write_text("\n".join(text))
    start = fit(few, blurred(), blurred(), tmp_path, ALONE)
    more = {**network, "levels": [10, 20, 30, 40, 50, 60]}
    kept = fit(changed("kept", network=more, steps=0, start="few"), [], [], tmp_path, ALONE)
    luma, q = torch.rand(4, 1, 16, 24), torch.tensor([12.0, 20.0, 36.0, 60.0])
    torch.testing.assert_close(kept(luma, q), start(luma, q), atol=1e-5, rtol=0)


def test_a_recipe_without_steps_keeps_what_it_starts_from(tmp_path: Path) -> None:
    expected = plain(TINY, blurred(), tmp_path)
    kept = changed("kept", steps=0, start=TINY.name)
    network = plain(kept, [], tmp_path)
    weights = load_file(Run(tmp_path / kept.name).weights)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value)
        torch.testing.assert_close(weights[name], value)


@pytest.mark.parametrize("path", sorted(STARTS.iterdir()), ids=lambda path: path.stem)
def test_every_start_has_a_recipe_and_its_form(path: Path, tmp_path: Path) -> None:
    recipe = trained_module.recipe_by_name(path.stem)
    kept = fit(changed("kept", network=recipe.network, steps=0, start=path.stem), [], [], tmp_path, ALONE)
    for name, value in load_file(path).items():
        torch.testing.assert_close(kept.state_dict()[name], value.float())
    with pytest.raises(ValueError, match="cannot be the start: it has another form"):
        plain(changed("another", steps=0, start=path.stem), [], tmp_path)


def test_final_weights_are_blended_with_those_of_another_network(tmp_path: Path) -> None:
    examples = blurred()
    first = fit(changed("first", steps=1, seed=2), examples, examples, tmp_path, ALONE).state_dict()
    alone = changed("alone", steps=2)
    trained = fit(alone, examples, examples, tmp_path, ALONE).state_dict()
    found = fit(changed("both", alone, blend="first", blend_share=0.25), examples, examples, tmp_path, ALONE)
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, 0.75 * trained[name] + 0.25 * first[name])
    saved = load_file(Run(tmp_path / "both").weights)
    assert all(torch.equal(saved[name], value) for name, value in found.state_dict().items())
    # A finished run is blended anew from its checkpoint, not from its blended weights.
    again = fit(changed("both", alone, blend="first", blend_share=0.25), examples, examples, tmp_path, ALONE)
    assert all(torch.equal(again.state_dict()[name], value) for name, value in saved.items())
    wider = changed("wider", network={**TINY.network, "channels": 4}, blend="first")
    with pytest.raises(ValueError, match="first cannot be the blend: it has another form"):
        fit(wider, examples, examples, tmp_path, ALONE)
    with pytest.raises(ValueError, match=r"nobody cannot be the blend: .*; train it first"):
        fit(changed("lost", blend="nobody"), examples, examples, tmp_path, ALONE)


def test_a_blend_of_another_form_is_found_out_before_training(tmp_path: Path) -> None:
    fit(changed("wider", steps=1, network={**TINY.network, "channels": 4}), blurred(), blurred(), tmp_path, ALONE)
    with pytest.raises(ValueError, match="wider cannot be the blend: it has another form"):
        fit(changed("both", blend="wider"), blurred(), blurred(), tmp_path, ALONE)
    assert not Run(tmp_path / "both").checkpoint.exists()


def test_a_recipe_without_steps_is_blended_too(tmp_path: Path) -> None:
    first, second = (
        fit(changed(name, steps=1, seed=seed), blurred(), blurred(), tmp_path, ALONE).state_dict()
        for seed, name in enumerate(("first", "second"))
    )
    mixed = fit(changed("mixed", steps=0, start="first", blend="second", blend_share=0.25), [], [], tmp_path, ALONE)
    for name, value in mixed.state_dict().items():
        torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name])


def test_a_run_is_not_replaced_by_a_start_under_its_name(tmp_path: Path) -> None:
    for name in ("first", "second"):
        fit(changed(name, steps=1), blurred(), blurred(), tmp_path, ALONE)
    before = Run(tmp_path / "first").weights.read_bytes()
    with pytest.raises(ValueError, match="first was begun under another recipe; remove"):
        fit(changed("first", steps=0, start="second"), [], [], tmp_path, ALONE)
    assert Run(tmp_path / "first").weights.read_bytes() == before


def test_runs_still_to_come_are_not_missing(tmp_path: Path) -> None:
    follower = changed("follower", start="first")
    check_runs(follower, tmp_path, {"first"})
    with pytest.raises(ValueError, match="first cannot be the start"):
        check_runs(follower, tmp_path, {"follower"})


def test_a_warm_start_from_another_form_is_refused(tmp_path: Path) -> None:
    examples = blurred()
    fit(changed(TINY.name, steps=1), examples, examples, tmp_path, ALONE)
    wider = changed("wider", network={**TINY.network, "channels": 4}, start=TINY.name)
    with pytest.raises(ValueError, match="tiny cannot be the start: it has another form"):
        fit(wider, examples, examples, tmp_path, ALONE)
    with pytest.raises(ValueError, match=r"nobody cannot be the start: .*; train it first"):
        fit(changed("alone", start="nobody"), examples, examples, tmp_path, ALONE)
    assert not Run(tmp_path / "alone").folder.exists()


def test_damaged_weights_of_a_start_are_reported(tmp_path: Path) -> None:
    broken = Run(tmp_path / "broken")
    broken.folder.mkdir()
    broken.weights.write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"weights\.safetensors is damaged .*; remove it and train broken again"):
        fit(changed("follower", start="broken"), blurred(), blurred(), tmp_path, ALONE)


def test_a_pupil_that_is_its_own_teacher_has_nothing_to_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = blurred()
    fit(TINY, examples, examples, tmp_path, ALONE)
    monkeypatch.setattr(earlier_runs, "recipe_by_name", lambda name: TINY)
    squared = {"name": "squared", "weighted": False}
    taught = changed("taught", start=TINY.name, teacher=TINY.name, teacher_share=1.0, steps=1, objective=squared)
    losses = []
    for recipe in (taught, changed("half", taught, teacher_share=0.5), changed("untaught", taught, teacher=None)):
        fit(recipe, examples, examples, tmp_path, ALONE)
        losses.append(float(read_log(Run(tmp_path / recipe.name).log)[0]["loss"]))
    assert losses[0] < 1e-4 < losses[2]
    # Squared error: half of the way is a quarter of the loss.
    assert losses[1] == pytest.approx(losses[2] / 4, rel=0.01)


def test_a_network_of_the_package_is_a_teacher(tmp_path: Path) -> None:
    name = "srcomp-light-2by1"
    light = trained_module.recipe_by_name(name)
    squared = {"name": "squared", "weighted": False}
    pupil = changed("pupil", network=light.network, start=name, teacher=name, teacher_share=1.0, objective=squared)
    losses = []
    for recipe in (changed("taught", pupil, steps=1), changed("untaught", pupil, steps=1, teacher=None)):
        fit(recipe, blurred(), blurred(), tmp_path, ALONE)
        losses.append(float(read_log(Run(tmp_path / recipe.name).log)[0]["loss"]))
    assert losses[0] < 1e-4 < losses[1]


def test_a_teacher_whose_recipe_is_elsewhere_is_refused_with_what_to_do(tmp_path: Path) -> None:
    elsewhere = changed("elsewhere")
    Run(tmp_path / elsewhere.name).folder.mkdir()
    save_weights(Run(tmp_path / elsewhere.name).weights, elsewhere.make_network())
    message = r"elsewhere cannot be the teacher: no recipe in \S+ has that name; copy the recipe of the run there"
    with pytest.raises(ValueError, match=message):
        earlier_runs.check_runs(changed("pupil", teacher=elsewhere.name), tmp_path)


def test_a_teacher_must_be_trained_and_of_the_same_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = blurred()
    with pytest.raises(ValueError, match=r"nobody cannot be the teacher: .*; train it first"):
        fit(changed("pupil", teacher="nobody"), examples, examples, tmp_path, ALONE)
    monkeypatch.setattr(earlier_runs, "recipe_by_name", lambda name: TINY)
    with pytest.raises(ValueError, match=r"tiny cannot be the teacher: .*; train it first"):
        fit(changed("pupil", teacher=TINY.name), examples, examples, tmp_path, ALONE)
    larger = changed("larger", network={"name": "espcn", "scale": 2})
    monkeypatch.setattr(earlier_runs, "recipe_by_name", lambda name: larger)
    Run(tmp_path / larger.name).folder.mkdir()
    save_weights(Run(tmp_path / larger.name).weights, larger.make_network())
    with pytest.raises(ValueError, match="larger cannot be the teacher: it has scale 2"):
        fit(changed("pupil", teacher=larger.name), examples, examples, tmp_path, ALONE)


def test_two_processes_train_the_same_network_as_one(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(TWO_PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([*launch, str(tmp_path)], env=environment, check=True, capture_output=True, timeout=120)
    alone = plain(TINY, blurred(), tmp_path / "alone")
    together = load_file(Run(tmp_path / "together" / TINY.name).weights)
    torch.manual_seed(TINY.seed)
    start = TINY.make_network().state_dict()
    for name, value in alone.state_dict().items():
        moved = (value - start[name]).norm()
        assert moved > 0, name
        # Each process rounds its half of the gradient on its own, in bfloat16 where the processor has it.
        assert (value - together[name]).norm() < (0.1 if has_bf16_units(CPU) else 0.02) * moved, name
    for network in ("network", "average", "discriminator"):
        of_both = [load_file(tmp_path / f"{network}-{rank}.safetensors") for rank in range(2)]
        for name, value in of_both[0].items():
            assert torch.equal(value, of_both[1][name]), f"{network}: {name}"


def test_a_batch_is_shared_evenly_or_refused() -> None:
    assert [Team(CPU, rank, 3).share(6) for rank in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    with pytest.raises(ValueError, match="a batch of 4 crops cannot be shared evenly by 3 processes"):
        Team(CPU, 0, 3).share(4)


def test_a_run_draws_its_curves(tmp_path: Path) -> None:
    fit(TINY, blurred(), blurred(), tmp_path, ALONE)
    with Image.open(Run(tmp_path / TINY.name).curves) as curves:
        assert curves.size == (480, 280)
        assert len(np.unique(np.asarray(curves.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate(TINY, step, step / TINY.steps) for step in range(TINY.steps)]
    assert rates.index(max(rates)) == 4
    assert rates[0] == pytest.approx(TINY.learning_rate / 5)
    assert rates[30] == pytest.approx(TINY.learning_rate / 2)
    assert rates[-1] < 0.01 * TINY.learning_rate
    assert learning_rate(TINY, 30, 1.0) == 0


def test_what_a_run_gains_is_called_psnr_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, shown = [], []
    monkeypatch.setattr(fit_module, "draw_curves", lambda *_, enlarges: drawn.append(enlarges))
    text = fit_module._gain_text
    monkeypatch.setattr(fit_module, "_gain_text", lambda gain, enlarges: shown.append(text(gain, enlarges=enlarges)))
    small = [Example(each.degraded[::2, ::2], each.original, each.q, each.picture) for each in blurred()]
    doubler = changed("doubler", network={"name": "fsrcnn", "scale": 2}, degradation={"name": "bicubic", "ratio": 2})
    for recipe, examples in ((TINY, blurred()), (doubler, small)):
        fit(changed(recipe.name, recipe, steps=1), examples, examples, tmp_path, ALONE)
    assert drawn == [False, True]
    assert [value.startswith("PSNR ") for value in shown] == [False, True]
