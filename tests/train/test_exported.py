"""Weights from exported files."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from train.exported import exported_network, is_installed, take_exported, take_installed
from train.networks import NETWORKS
from train.networks.interpolated import InterpolatedStack
from train.networks.plain import PlainStack
from train.onnx_levels import levels_to_onnx
from train.recipe import load_recipe
from vs_srcomp.models import Model, load_network, models

ROOT = Path(__file__).resolve().parents[2]
OURS = [model for model in models() if model.system == "srcomp"]


def constants(file: bytes) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(file).graph.initializer}


def of_chance[N: torch.nn.Module](network: N) -> N:
    torch.manual_seed(5)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.mark.parametrize("kind", [PlainStack, InterpolatedStack])
def test_the_weights_come_back(kind: type[PlainStack | InterpolatedStack]) -> None:
    network = of_chance(kind(stride=2, channels=8, layers=4, slope=0.1))
    assert isinstance(network, kind)
    back = kind(stride=2, channels=8, layers=4, slope=0.1)
    take_exported(back, levels_to_onnx(network, "test"))
    # Kernels of an interpolated network are stored in half precision.
    off = 1e-6 if kind is PlainStack else 1e-3
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(back.state_dict()[name], value, rtol=off, atol=off, err_msg=name)


def test_kernels_of_each_level_begin_with_those_of_a_plain_stack() -> None:
    plain = of_chance(PlainStack(stride=2, channels=8, layers=4, slope=0.1))
    network = InterpolatedStack(stride=2, channels=8, layers=4, slope=0.1)
    take_exported(network, levels_to_onnx(plain, "test"))
    luma, q = torch.rand(4, 1, 16, 24), torch.tensor(network.levels)
    torch.testing.assert_close(network(luma, q), plain(luma, q), atol=1e-5, rtol=0)


def test_other_levels_begin_with_the_kernels_between_those_of_the_file() -> None:
    exported = of_chance(InterpolatedStack(stride=2, channels=8, layers=4, slope=0.1))
    network = InterpolatedStack(stride=2, channels=8, layers=4, slope=0.1, levels=(10, 25, 40, 55))
    take_exported(network, levels_to_onnx(exported, "test"))
    luma, q = torch.rand(4, 1, 16, 24), torch.tensor(network.levels)
    torch.testing.assert_close(network(luma, q), exported(luma, q), atol=1e-3, rtol=0)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.name)
def test_every_network_of_the_package_is_a_start(model: Model) -> None:
    network = load_recipe(ROOT / model.recipe).make_network()
    assert isinstance(network, PlainStack | InterpolatedStack)
    assert is_installed(model.name)
    take_installed(network, model.name)
    check_same(network, model)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.name)
def test_a_network_of_the_package_has_its_form_without_its_recipe(model: Model) -> None:
    """A recipe may go on from it in another form."""
    network = exported_network(load_network(model).onnx)
    assert isinstance(network, type(load_recipe(ROOT / model.recipe).make_network()))
    check_same(network, model)


def check_same(network: PlainStack | InterpolatedStack, model: Model) -> None:
    """Check that ``network`` would be exported as ``model``."""
    exported, shipped = (constants(file) for file in (levels_to_onnx(network, model.name), load_network(model).onnx))
    assert exported.keys() == shipped.keys()
    for name, value in shipped.items():
        # To the rounding of float32, which half precision may round the other way.
        off = 1e-3 if value.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(
            exported[name], value, rtol=off, atol=off * np.abs(value).max(initial=0), err_msg=name
        )


def test_another_form_is_refused() -> None:
    file = levels_to_onnx(PlainStack(stride=2, channels=8, layers=4), "test")
    for other in (
        PlainStack(stride=2, channels=8, layers=4, slope=0.1),
        PlainStack(stride=2, channels=8, layers=5),
        PlainStack(stride=4, channels=8, layers=4),
        PlainStack(stride=2, channels=16, layers=4),
        InterpolatedStack(stride=2, channels=8, layers=5),
        InterpolatedStack(stride=2, channels=16, layers=4),
    ):
        with pytest.raises(ValueError, match=r"^test has another (form|slope) than the recipe: give the recipe of its"):
            take_exported(other, file)
    with pytest.raises(ValueError, match="a Srcnn has no weights in the package, and cannot be test"):
        take_exported(NETWORKS.make("srcnn"), file)


def test_a_network_of_the_package_of_another_form_is_named() -> None:
    name = OURS[0].name
    with pytest.raises(ValueError, match=f"^{name} has another (form|slope) than the recipe"):
        take_installed(PlainStack(stride=4, channels=3, layers=4), name)
