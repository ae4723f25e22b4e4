"""Three ways to write one thing (Shi et al. 2016, arXiv 1609.07009): last layers of one are turned into another's.

A transposed convolution with step r; a sub-pixel convolution, which puts r - 1 zeros between samples and convolves on
the large grid; and a convolution on the small grid whose channels a pixel shuffle puts beside one another.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.espcn import Espcn
from train.networks.fsrcnn import Fsrcnn
from train.networks.interpolate import enlarge_by_deconvolution, enlarge_by_shuffle


def sub_pixel(weight: Tensor) -> Tensor:
    """Of a transposed convolution (in, out, k, k), the kernel (out, in, k, k) on the large grid: turned around."""
    return weight.flip(2, 3).transpose(0, 1)


def after_shuffle(weight: Tensor, scale: int) -> Tensor:
    """Of a kernel (out * scale**2, in, n, n) before a shuffle, the transposed one (in, out, n * scale, n * scale).

    Each of scale**2 phases has the taps that meet samples there, turned around.
    """
    given, taken, side, _ = weight.shape
    phases = weight.view(given // scale**2, scale, scale, taken, side, side).permute(3, 0, 4, 1, 5, 2)
    return phases.flip(2, 4).reshape(taken, given // scale**2, side * scale, side * scale)


def with_zeros(picture: Tensor, scale: int) -> Tensor:
    large = picture.new_zeros(*picture.shape[:2], *(scale * size for size in picture.shape[2:]))
    large[..., ::scale, ::scale] = picture
    return large


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fsrcnn_is_a_sub_pixel_convolution(scale: int) -> None:
    torch.manual_seed(scale)
    network = Fsrcnn(scale=scale, d=12, s=6, m=1, channels=3).double()
    nn.init.normal_(network.enlarge.weight)
    picture = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    large = with_zeros(network.features(picture), scale)
    on_large = F.conv2d(large, sub_pixel(network.enlarge.weight), network.enlarge.bias, padding=4)
    torch.testing.assert_close(network(picture), on_large)


@pytest.mark.parametrize("scale", [2, 3])
def test_the_last_layer_of_espcn_can_be_a_transposed_convolution(scale: int) -> None:
    torch.manual_seed(1)
    network = Espcn(scale=scale, channels=2).double()
    layer = network.reconstruct
    assert layer.bias is not None
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    picture = torch.rand(1, 2, 8, 11, dtype=torch.float64)
    features = picture
    for hidden in (network.extract, network.map, network.shrink):
        features = F.relu(hidden(features))
    enlarged = F.conv_transpose2d(features, after_shuffle(layer.weight, scale), stride=scale, padding=scale)
    # A bias for each phase is a pattern, which a transposed convolution does not have.
    pattern = F.pixel_shuffle(layer.bias[None, :, None, None].expand(1, -1, 8, 11), scale)
    torch.testing.assert_close(network(picture), enlarged + pattern)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_both_first_weights_are_the_same_interpolation(scale: int) -> None:
    before_shuffle = nn.Conv2d(1, scale**2, 3, padding=1)
    enlarge_by_shuffle(before_shuffle, scale)
    transposed = nn.ConvTranspose2d(1, 1, 3 * scale, scale, padding=scale)
    enlarge_by_deconvolution(transposed)
    torch.testing.assert_close(after_shuffle(before_shuffle.weight, scale), transposed.weight)
