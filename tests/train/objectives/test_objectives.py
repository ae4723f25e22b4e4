"""Every objective in the registry: values by hand, gradients, stages, schedules, and who learns."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from train.material.crops import Crops
from train.metrics import ssim
from train.objectives import OBJECTIVES
from train.objectives.adversarial import PatchDiscriminator
from train.objectives.objective import Objective, matched
from train.objectives.vgg import STAGES, Vgg, load_vgg, write_vgg_weights


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("stlpips_pytorch", reason="weights of VGG16 are not installed: pip install stlpips-pytorch")
    path = tmp_path_factory.mktemp("vgg") / "vgg16-conv.safetensors"
    write_vgg_weights(path)
    return path


def photograph(side: int = 64) -> Tensor:
    """Luma with edges and texture, (1, 1, side, side) in 0..1."""
    down, right = np.mgrid[:side, :side] / side
    luma = 0.5 + 0.2 * np.sin(40 * down * right) + 0.2 * (right > 0.4) - 0.1 * ((down * 20).astype(int) % 2)
    return torch.from_numpy(luma).float()[None, None]


def crops_of(*targets: Tensor, source: Tensor | None = None, weight: Tensor | None = None) -> Crops:
    even = torch.ones(len(targets[0]))
    return Crops(targets[0] if source is None else source, targets, 30 * even, even if weight is None else weight)


def loss(
    objective: Objective, output: Tensor, target: Tensor, done: float = 0.0, source: Tensor | None = None
) -> Tensor:
    value: Tensor = objective((output,), crops_of(target, source=source), done)
    return value


@pytest.mark.parametrize(
    ("name", "expected"), [("l1", 0.1), ("squared", 25 * 0.01), ("charbonnier", (0.01 + 1e-6) ** 0.5)]
)
def test_losses_of_pixels_are_those_worked_out_by_hand(name: str, expected: float) -> None:
    target = torch.full((2, 1, 4, 4), 0.5)
    assert loss(OBJECTIVES.make(name), target + 0.1, target).item() == pytest.approx(expected, rel=1e-4)


def test_crops_count_by_their_weights_unless_set_otherwise() -> None:
    target = torch.zeros(2, 1, 4, 4)
    output = torch.stack((torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.3)))
    weights = torch.tensor([1.5, 0.5])
    assert OBJECTIVES.make("l1")((output,), crops_of(target, weight=weights), 0).item() == pytest.approx(
        (0.15 + 0.15) / 2
    )
    plain = OBJECTIVES.make("l1", weighted=False)
    assert plain((output,), crops_of(target, weight=weights), 0).item() == pytest.approx(0.2)


def test_squared_error_can_count_by_level() -> None:
    objective = OBJECTIVES.make("faithful", l1_share=0.0, by_level=[[30, 1], [40, 2], [50, 6]])
    target = torch.zeros(6, 1, 4, 4)
    for level, weight in ((10, 1), (30, 1), (35, 1.5), (40, 2), (45, 4), (60, 6)):
        crops = dataclasses.replace(crops_of(target), q=torch.full((6,), float(level)))
        assert objective((target + 0.1,), crops, 0.5).item() == pytest.approx(25 * 0.01 * weight, rel=1e-5)
    # Each crop counts by its own level.
    levels, errors = torch.tensor([30.0, 40, 50, 50, 30, 30]), torch.tensor([0.1, 0.2, 0.3, 0.0, 0.0, 0.0])
    mixed = dataclasses.replace(crops_of(target), q=levels)
    expected = 25 * (0.01 * 1 + 0.04 * 2 + 0.09 * 6) / 6
    assert objective((target + errors.view(6, 1, 1, 1),), mixed, 0.5).item() == pytest.approx(expected, rel=1e-5)
    for wrong in ([], [[30, 1], [30, 2]], [[30, -1]], [[30, float("nan")]], [[30]], [30, 1], "high", 30, None):
        with pytest.raises(ValueError, match="by_level is a list of"):
            OBJECTIVES.make("faithful", by_level=wrong)


def test_other_outputs_count_together_as_much_as_stages_says() -> None:
    target = torch.zeros(2, 1, 8, 8)
    outputs = (target + 0.1, target + 0.2, torch.full((2, 1, 4, 4), 0.4))
    for stages, expected in ((0.0, 0.1), (1.0, 0.1 + 0.3), (0.5, 0.1 + 0.15)):
        objective = OBJECTIVES.make("l1", stages=stages)
        assert objective(outputs, crops_of(target), 0).item() == pytest.approx(expected, rel=1e-4)


def test_an_output_is_compared_with_the_target_of_its_size_or_the_original_made_smaller() -> None:
    original, clean = photograph(32), torch.full((1, 1, 16, 16), 0.25)
    outputs = (original, torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 8, 8))
    targets = [target for _, target in matched(outputs, (original, clean))]
    assert targets[0] is original
    assert targets[1] is clean
    assert targets[2].shape == (1, 1, 8, 8)
    # Made smaller, a picture keeps its mean.
    assert targets[2].mean().item() == pytest.approx(original.mean().item(), abs=0.01)


def test_perceptual_distance_grows_with_blur_and_is_zero_for_the_same_picture(vgg_file: Path) -> None:
    objective = OBJECTIVES.make("perceptual", weights=str(vgg_file))
    original = photograph()
    once = nn.functional.avg_pool2d(original, 3, 1, 1, count_include_pad=False)
    twice = nn.functional.avg_pool2d(once, 3, 1, 1, count_include_pad=False)
    same, little, much = (loss(objective, picture, original).item() for picture in (original, once, twice))
    assert same == 0
    assert 0 < little < much


def test_perceptual_distance_sees_what_pixels_do_not(vgg_file: Path) -> None:
    # The same squared error, as a grey veil and as stripes.
    objective, original = OBJECTIVES.make("perceptual", weights=str(vgg_file)), photograph()
    veil = original + 0.03
    stripes = original + 0.03 * torch.where(torch.arange(64) % 4 < 2, 1.0, -1.0)
    assert loss(objective, stripes, original) > 1.5 * loss(objective, veil, original)


def test_the_classifier_does_not_learn_but_the_picture_gets_gradients(vgg_file: Path) -> None:
    objective = OBJECTIVES.make("perceptual", weights=str(vgg_file))
    picture = (photograph() * 0.9).requires_grad_()
    loss(objective, picture, photograph()).backward()  # type: ignore[no-untyped-call]
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in objective.parameters())


def test_damaged_weights_of_the_classifier_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "vgg.safetensors"
    file.write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"vgg\.safetensors is damaged .*; remove it, and write it again"):
        load_vgg(file)


def test_the_file_of_weights_is_half_precision_and_small_enough_to_carry(vgg_file: Path) -> None:
    assert vgg_file.stat().st_size < 16_000_000
    network = load_vgg(vgg_file)
    shapes = [features.shape[1:] for features in network(torch.rand(1, 1, 64, 64))]
    assert [shape[0] for shape in shapes] == [stage[-1] for stage in STAGES[:4]]
    assert shapes[0][1:] == (64, 64)


def test_fewer_stages_than_the_file_has_are_those_from_the_first(vgg_file: Path) -> None:
    picture = torch.rand(1, 1, 64, 64)
    few, all_of_it = load_vgg(vgg_file, 2)(picture), load_vgg(vgg_file)(picture)
    assert len(few) == 2
    assert all(torch.equal(one, other) for one, other in zip(few, all_of_it, strict=False))


def test_trained_weights_answer_to_structure_more_than_random_ones(vgg_file: Path) -> None:
    # Stripes and an edge against noise of the same mean.
    trained, untrained = load_vgg(vgg_file), Vgg()
    noise = torch.rand(1, 1, 64, 64) * 0.4 + 0.3

    def difference(network: Vgg) -> float:
        made, other = network(photograph())[-1], network(noise)[-1]
        return float((made - other).abs().mean() / made.abs().mean())

    assert difference(trained) > 2 * difference(untrained)


def test_a_missing_file_of_weights_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no weights of VGG16 there; python -m train vgg-weights .*none.safetensors"):
        OBJECTIVES.make("perceptual", weights=str(tmp_path / "none.safetensors"))


def test_stages_that_the_file_of_weights_lacks_are_not_left_to_chance(tmp_path: Path) -> None:
    file = tmp_path / "vgg.safetensors"
    weights = {name: tensor for name, tensor in Vgg(2).state_dict().items() if "stages" in name}
    save_file(weights, file)
    assert len(load_vgg(file, 2).stages) == 2
    lacking = r"vgg\.safetensors has {} whole stages of VGG16, not {}: .*python -m train vgg-weights .*vgg\.safetensors"
    with pytest.raises(ValueError, match=lacking.format(2, 3)):
        OBJECTIVES.make("perceptual", weights=str(file), share=(0.1, 0.2, 1.0))
    weights.pop("stages.0.1.bias")
    save_file(weights, file)
    with pytest.raises(ValueError, match=lacking.format(0, 2)):
        load_vgg(file, 2)
    # There are only five.
    save_file({name: tensor for name, tensor in Vgg(5).state_dict().items() if "stages" in name}, file)
    with pytest.raises(ValueError, match=lacking.format(5, 6)):
        load_vgg(file, 6)


def test_a_score_of_the_discriminator_is_of_the_patch_that_it_says() -> None:
    side = 120
    picture = torch.rand(1, 1, side, side, requires_grad=True)
    PatchDiscriminator(width=4)(picture)[0, 0, 7, 7].backward()
    assert picture.grad is not None
    reached = picture.grad[0, 0].abs().sum(0).nonzero()
    seen = int(reached.max() - reached.min()) + 1
    assert f"{seen}x{seen}" in str(PatchDiscriminator.__doc__)


def test_the_discriminator_learns_to_distinguish_both_kinds_and_the_network_is_punished() -> None:
    torch.manual_seed(1)
    objective = OBJECTIVES.make("adversarial", width=8)
    assert objective.discriminator is not None
    optimizer = torch.optim.Adam(objective.discriminator.parameters(), 2e-3)
    original = photograph().repeat(2, 1, 1, 1)
    blurred = nn.functional.avg_pool2d(original, 5, 1, 2, count_include_pad=False)
    before = loss(objective, blurred, original).item()
    assert before == pytest.approx(np.log(2), abs=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        discriminator_loss = objective.discriminator_loss((blurred,), (original,))
        discriminator_loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert discriminator_loss.item() < 0.5
    assert loss(objective, blurred, original).item() > before + 0.2


def test_the_discriminators_loss_does_not_reach_the_network_nor_the_networks_the_discriminator() -> None:
    objective = OBJECTIVES.make("adversarial", width=8)
    assert objective.discriminator is not None
    output, original = photograph().requires_grad_(), photograph()
    objective.discriminator_loss((output,), (original,)).backward()  # type: ignore[no-untyped-call]
    assert output.grad is None
    objective.discriminator.zero_grad()
    loss(objective, output, original).backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    assert all(parameter.grad is None for parameter in objective.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in objective.discriminator.parameters())


def test_vmaf_neg_is_that_of_libvmaf() -> None:
    pytest.importorskip("vmaf_torch", reason="VMAF-NEG is not installed: pip install vmaf-torch")
    from train.metrics import vmaf

    original = (photograph(256)[0, 0] * 219 + 16).round().byte().numpy()
    small = Image.fromarray(original).resize((128, 128), Image.Resampling.BICUBIC)
    blurred = np.asarray(small.resize((256, 256), Image.Resampling.BICUBIC))
    objective = OBJECTIVES.make("vmaf-neg")
    restored, target = (torch.from_numpy(plane.copy()).float()[None, None] / 255 for plane in (blurred, original))
    score = 100 - 100 * loss(objective, restored, target).item()
    # The library works with integers.
    assert score == pytest.approx(vmaf([blurred], [original], stills=True)[0].neg, abs=0.5)


def test_vmaf_neg_refuses_crops_that_are_too_small() -> None:
    pytest.importorskip("vmaf_torch", reason="VMAF-NEG is not installed: pip install vmaf-torch")
    with pytest.raises(ValueError, match="luma crops of 192 pixels and more, not 1x64x64: raise crop"):
        loss(OBJECTIVES.make("vmaf-neg"), photograph(), photograph())


def weave(amplitude: float, side: int = 68) -> Tensor:
    """Stripes of ``amplitude`` codes with a period of four pixels, (1, 1, side, side)."""
    return (amplitude / 255) * torch.where(torch.arange(side) % 4 < 2, 1.0, -1.0).expand(1, 1, side, side)


def test_a_pattern_on_a_flat_source_costs_its_squared_detail() -> None:
    source = torch.full((1, 1, 68, 68), 0.5)
    cost = [loss(OBJECTIVES.make("flat"), source + weave(size), source, source=source).item() for size in (0, 1, 2)]
    assert cost[0] == pytest.approx(0, abs=1e-9)
    # The mean over 17 pixels is a seventeenth of the amplitude, on the pixel's own side; less at the borders.
    assert cost[1] == pytest.approx(25 * (16 / 17 / 255) ** 2, rel=0.03)
    assert cost[2] == pytest.approx(4 * cost[1], rel=1e-4)
    # What the original has there does not matter: the network cannot know it.
    assert loss(OBJECTIVES.make("flat"), source + weave(1), source + weave(20), source=source).item() == cost[1]
    # The narrower the limit, the less a source with some detail counts.
    uneven = source + weave(1)
    narrow, wide = (
        loss(OBJECTIVES.make("flat", limit=limit), uneven + weave(1), uneven, source=uneven).item() for limit in (1, 4)
    )
    assert narrow < 0.6 * wide


def test_a_pattern_on_detail_of_the_source_and_a_change_of_brightness_cost_nothing() -> None:
    flat, objective = torch.full((1, 1, 68, 68), 0.5), OBJECTIVES.make("flat")
    textured = flat + weave(8)
    on_texture = loss(objective, textured + weave(2), textured, source=textured)
    assert on_texture < 1e-4 * loss(objective, flat + weave(2), flat, source=flat)
    slope = flat + torch.arange(68) / 255
    assert loss(objective, slope + 0.1 + weave(2), slope, source=slope) > 0.5 * loss(
        objective, flat + weave(2), flat, source=flat
    )
    assert loss(objective, flat + 0.1, flat, source=flat).item() == pytest.approx(0, abs=1e-9)


def test_flat_refuses_networks_that_change_the_size() -> None:
    with pytest.raises(ValueError, match="flat is for networks that restore a picture of the original's size"):
        loss(OBJECTIVES.make("flat"), photograph(64), photograph(64), source=photograph(32))


def test_a_shift_of_brightness_costs_its_square_and_detail_costs_nearly_nothing() -> None:
    objective, target = OBJECTIVES.make("tone"), photograph(68)
    assert loss(objective, target, target).item() == 0
    assert loss(objective, target + 2 / 255, target).item() == pytest.approx(25 * (2 / 255) ** 2, rel=1e-4)
    # One pixel, far from the borders, is a part of 17x17 means.
    point = torch.zeros_like(target)
    point[..., 34, 34] = 1
    assert loss(objective, target + point, target).item() == pytest.approx(25 / 17**2 / 68**2, rel=1e-4)


def test_the_tone_of_each_crop_counts_by_its_weight() -> None:
    target = photograph(64).expand(2, -1, -1, -1)
    output = target + torch.tensor([0.0, 0.1]).view(2, 1, 1, 1)
    costs = [
        OBJECTIVES.make("tone")((output,), crops_of(target, weight=torch.tensor(weights)), 0).item()
        for weights in ((1.0, 1.0), (9.0, 1.0), (1.0, 3.0))
    ]
    assert costs[1] == costs[0]
    assert costs[2] == pytest.approx(3 * costs[0])


def test_tone_refuses_networks_whose_output_is_not_as_large_as_the_original() -> None:
    with pytest.raises(ValueError, match="tone is for networks whose output has the original's size"):
        loss(OBJECTIVES.make("tone"), photograph(32), photograph(64))


def test_ssim_is_that_of_the_measurements_at_each_scale() -> None:
    target = (photograph(88) * 255).round()
    output = (target + 8 * torch.randn(target.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 255).round()
    expected = []
    for scales in (1, 2, 3, 4):
        smaller = [F.avg_pool2d(plane, 2 ** (scales - 1))[0, 0].numpy() for plane in (output, target)]
        expected.append(ssim(*smaller))
        with torch.autocast("cpu", torch.bfloat16):
            measured = 1 - loss(OBJECTIVES.make("ssim", scales=scales), output / 255, target / 255).item()
        assert measured == pytest.approx(np.mean(expected), abs=2e-5)


def test_ssim_refuses_crops_in_which_its_window_does_not_fit_and_other_sizes() -> None:
    with pytest.raises(ValueError, match="SSIM at 4 scales needs crops of 88 and more"):
        loss(OBJECTIVES.make("ssim", scales=4), photograph(87), photograph(87))
    with pytest.raises(ValueError, match="ssim is for networks whose output has the original's size"):
        loss(OBJECTIVES.make("ssim"), photograph(32), photograph(64))
    with pytest.raises(ValueError, match="scales is a whole number of 1 or more, not 0"):
        OBJECTIVES.make("ssim", scales=0)


def test_a_sum_adds_its_terms_by_their_weights_at_the_time() -> None:
    terms = [{"name": "l1", "weight": 2}, {"name": "squared", "weight": [[0.5, 0.0], [1.0, 4.0]]}]
    objective = OBJECTIVES.make("sum", terms=terms)
    target = torch.full((2, 1, 4, 4), 0.5)
    for done, expected in ((0.0, 0.2), (0.5, 0.2), (0.75, 0.2 + 2 * 0.25), (1.0, 0.2 + 4 * 0.25)):
        assert loss(objective, target + 0.1, target, done).item() == pytest.approx(expected, rel=1e-4)
    assert objective.discriminator is None


def test_a_sum_has_the_discriminator_of_its_term() -> None:
    objective = OBJECTIVES.make("sum", terms=[{"name": "l1"}, {"name": "adversarial", "width": 8}])
    assert objective.discriminator is not None
    objective.discriminator_loss((photograph(),), (photograph(),)).backward()  # type: ignore[no-untyped-call]
    assert any(parameter.grad is not None for parameter in objective.discriminator.parameters())


@pytest.fixture(params=["l1", "adversarial", "sum"])
def simple(request: pytest.FixtureRequest) -> Objective:
    parameters: dict[str, Any] = {"terms": [{"name": "squared"}]} if request.param == "sum" else {}
    return OBJECTIVES.make(request.param, **parameters)


def test_half_precision_outputs_give_a_loss_in_full_precision(simple: Objective) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(simple, photograph().bfloat16(), photograph()).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("l2", {}, "there is no objective 'l2'; there are faithful, l1, squared"),
        ("l1", {"weigthed": True}, "objective l1 has no parameter weigthed; it has weighted, stages"),
        ("sum", {"terms": []}, "a sum needs terms"),
        ("sum", {"terms": [{"weight": 1}]}, "a term of a sum needs a name"),
        (
            "sum",
            {"terms": [{"name": "l1", "weight": [[0.5, 1], [0.2, 1]]}]},
            "the term l1: weight is a number, or a schedule",
        ),
        ("sum", {"terms": [{"name": "adversarial"}, {"name": "adversarial"}]}, "one adversarial term"),
    ],
)
def test_what_cannot_be_is_refused(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OBJECTIVES.make(name, **parameters)
