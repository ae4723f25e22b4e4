"""Every network in the registry: sizes, first weights, what it depends on, and what its paper counts."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.train.networks.small import EACH, outputs_of
from train.networks import NETWORKS
from train.networks.network import Network


@EACH
@pytest.mark.parametrize("channels", [1, 3])
def test_the_answer_is_scale_times_as_large_as_any_picture(
    name: str, parameters: dict[str, Any], scale: int, channels: int
) -> None:
    network = NETWORKS.make(name, **parameters, channels=channels)
    assert network.scale == scale
    answer = outputs_of(network, torch.rand(2, channels, 13, 18))[0]
    assert answer.shape == (2, channels, 13 * scale, 18 * scale)


@EACH
def test_before_training_the_answer_is_about_linear_interpolation(
    name: str, parameters: dict[str, Any], scale: int
) -> None:
    torch.manual_seed(1)
    network = NETWORKS.make(name, **parameters)
    # Smooth, so that linear and bicubic interpolation hardly differ, and between black and white.
    picture = 0.3 + 0.4 * F.interpolate(torch.rand(1, 1, 4, 5), (32, 40), mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        for output in outputs_of(network, picture):
            expected = F.interpolate(picture, output.shape[2:], mode="bilinear")
            inside = slice(output.shape[2] // 4, -output.shape[2] // 4)
            assert (output - expected)[..., inside, inside].abs().mean() < 0.02


@EACH
def test_an_output_pixel_depends_on_no_more_than_the_receptive_field(
    name: str, parameters: dict[str, Any], scale: int
) -> None:
    torch.manual_seed(1)
    network = NETWORKS.make(name, **parameters).requires_grad_(False)
    for parameter in network.parameters():
        # All positive, so that nothing cancels out, and small, so that nothing grows beyond a sigmoid's reach.
        nn.init.uniform_(parameter, 0.5, 1.5).div_(parameter[0].numel())
    side = network.receptive_field + 8
    picture = torch.rand(1, 1, side, side, requires_grad=True)
    answer = outputs_of(network, picture)[0]
    middle = side // 2 * scale + scale // 2
    answer[0, 0, middle, middle].backward()  # type: ignore[no-untyped-call]
    assert picture.grad is not None
    for axis in (0, 1):
        seen = picture.grad[0, 0].abs().sum(axis).nonzero()
        assert seen.max() - seen.min() < network.receptive_field


@EACH
def test_every_parameter_learns(name: str, parameters: dict[str, Any], scale: int) -> None:
    torch.manual_seed(1)
    network = NETWORKS.make(name, **parameters)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    picture = torch.rand(1, 1, 16, 16)
    # After the first step, no weight of a last layer keeps gradients from those before.
    for _ in range(2):
        optimizer.zero_grad()
        outputs = outputs_of(network, picture)
        sum(output.sub(0.3).square().mean() for output in outputs).backward()  # type: ignore[union-attr]
        optimizer.step()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


def weights(network: nn.Module) -> int:
    """Without biases and slopes, as some papers count."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.ndim == 4)


@pytest.mark.parametrize(("middle", "count"), [(1, 8_032), (3, 24_416), (5, 57_184)])
def test_srcnn_has_as_many_weights_as_the_paper_says(middle: int, count: int) -> None:
    assert weights(NETWORKS.make("srcnn", middle=middle)) == count


def test_vdsr_has_twenty_layers_of_64() -> None:
    network = NETWORKS.make("vdsr")
    assert weights(network) == 2 * 9 * 64 + 18 * 9 * 64 * 64
    assert network.receptive_field == 41


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fsrcnn_has_as_many_weights_as_the_paper_says_at_every_scale(scale: int) -> None:
    assert weights(NETWORKS.make("fsrcnn", scale=scale)) == 12_464


def test_espcn_has_as_many_parameters_at_scale_2_as_are_counted() -> None:
    assert NETWORKS.make("espcn").parameter_count == 58_212


@pytest.mark.parametrize(("scale", "count"), [(2, 1_369_859), (3, 1_554_499), (4, 1_517_571)])
def test_edsr_baseline_has_as_many_parameters_as_the_authors_code(scale: int, count: int) -> None:
    assert NETWORKS.make("edsr", scale=scale, channels=3).parameter_count == count


def test_edsr_in_its_large_form_has_43_million_parameters() -> None:
    with torch.device("meta"):
        large = NETWORKS.part("edsr").__new__(NETWORKS.part("edsr"))
        large.__init__(scale=4, blocks=32, width=256, scaling=0.1, channels=3)  # type: ignore[misc]
    assert large.parameter_count == 43_089_923


def test_the_generator_of_esrgan_has_as_many_parameters_as_the_authors_code() -> None:
    assert NETWORKS.make("rrdb", channels=3).parameter_count == 16_697_987


def test_lapsrn_gives_a_picture_at_each_level() -> None:
    network = NETWORKS.make("lapsrn", scale=8, depth=1, width=4)
    shapes = [tuple(output.shape[2:]) for output in outputs_of(network, torch.rand(1, 1, 5, 6))]
    assert shapes == [(40, 48), (20, 24), (10, 12)]


def test_fd_srcnn_gives_three_estimates_of_each_module() -> None:
    network = NETWORKS.make("fd-srcnn", scale=4, width=8)
    shapes = [tuple(output.shape[2:]) for output in outputs_of(network, torch.rand(1, 1, 5, 6))]
    assert shapes == [(20, 24)] * 3 + [(10, 12)] * 3


def test_cisr_psi_gives_large_pictures_and_clean_small_ones_of_each_round() -> None:
    network = NETWORKS.make("cisr-psi", rounds=2, blocks=1, width=4)
    shapes = [tuple(output.shape[2:]) for output in outputs_of(network, torch.rand(1, 1, 5, 6))]
    assert shapes == [(10, 12)] * 2 + [(5, 6)] * 2


def test_multiply_accumulates_are_those_of_the_layers() -> None:
    # Worked by hand: on the small picture 64 * 25 + 64 * 64 * 9 + 32 * 64 * 9 + 4 * 32 * 9, four output pixels each.
    assert NETWORKS.make("espcn").macs_per_pixel == (1600 + 36_864 + 18_432 + 1152) / 4
    # A transposed convolution does as much for each pixel that it takes.
    assert NETWORKS.make("fsrcnn", scale=3).macs_per_pixel == pytest.approx(12_464 / 9)


@pytest.mark.parametrize(("name", "scale"), [("fsrcnn", 5), ("edsr", 1), ("lapsrn", 3), ("rrdb", 3), ("fd-srcnn", 6)])
def test_a_scale_that_a_network_does_not_have_is_refused(name: str, scale: int) -> None:
    with pytest.raises(ValueError, match=f"is built for scales .*, not {scale}"):
        NETWORKS.make(name, scale=scale)


def test_an_unknown_network_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match="there is no network 'espnc'; there are plain, interpolated, srcnn"):
        NETWORKS.make("espnc")


def test_an_unknown_parameter_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="network espcn has no parameter widht; it has "):
        NETWORKS.make("espcn", widht=3)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "plain"])
def test_every_network_names_its_paper(name: str) -> None:
    assert issubclass(NETWORKS[name], Network)
    assert NETWORKS[name].paper
