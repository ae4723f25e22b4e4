"""Three ways to write one thing (Shi et al. 2016, arXiv 1609.07009): weights of each are turned into the others'.

A transposed convolution with step r; a sub-pixel convolution, which puts r - 1 zeros between samples and convolves on
the large grid; and a convolution on the small grid whose channels a pixel shuffle puts beside one another.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sub_pixel(weight: Tensor) -> Tensor:
    """Of a transposed convolution (in, out, k, k), the kernel (out, in, k, k) on the large grid: turned around."""
    return weight.flip(2, 3).transpose(0, 1)


def before_shuffle(weight: Tensor, scale: int) -> Tensor:
    """Of a transposed convolution (in, out, n * scale, n * scale), the small grid's kernel (out * scale**2, in, n, n).

    Each of scale**2 phases has the taps that meet samples there, turned around.
    """
    taken, given, side, _ = weight.shape
    phases = weight.view(taken, given, side // scale, scale, side // scale, scale).flip(2, 4)
    return phases.permute(1, 3, 5, 0, 2, 4).reshape(given * scale**2, taken, side // scale, side // scale)


def after_shuffle(weight: Tensor, scale: int) -> Tensor:
    """The inverse of `before_shuffle`."""
    given, taken, side, _ = weight.shape
    phases = weight.view(given // scale**2, scale, scale, taken, side, side).permute(3, 0, 4, 1, 5, 2)
    return phases.flip(2, 4).reshape(taken, given // scale**2, side * scale, side * scale)


def with_zeros(picture: Tensor, scale: int) -> Tensor:
    large = picture.new_zeros(*picture.shape[:2], *(scale * size for size in picture.shape[2:]))
    large[..., ::scale, ::scale] = picture
    return large


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("taps", [1, 2, 3])
def test_transposed_sub_pixel_and_shuffled_convolution_are_one(scale: int, taps: int) -> None:
    torch.manual_seed(scale + taps)
    picture = torch.randn(2, 5, 7, 9, dtype=torch.float64)
    side = taps * scale
    transposed = nn.ConvTranspose2d(5, 3, side, scale, dtype=torch.float64)
    expected = transposed(picture)
    height, width = 7 * scale + side - scale, 9 * scale + side - scale
    assert expected.shape[2:] == (height, width)

    padded = F.pad(with_zeros(picture, scale), [side - 1] * 4)
    on_large = F.conv2d(padded, sub_pixel(transposed.weight), transposed.bias)[..., :height, :width]
    torch.testing.assert_close(on_large, expected)

    assert transposed.bias is not None
    bias = transposed.bias.repeat_interleave(scale**2)
    on_small = F.conv2d(F.pad(picture, [taps - 1] * 4), before_shuffle(transposed.weight, scale), bias)
    torch.testing.assert_close(F.pixel_shuffle(on_small, scale), expected)


@pytest.mark.parametrize("scale", [2, 3])
def test_the_last_layer_of_espcn_can_be_a_transposed_convolution(scale: int) -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(32, scale**2, 3, padding=1, dtype=torch.float64)
    features = torch.randn(1, 32, 8, 11, dtype=torch.float64)
    weight = after_shuffle(layer.weight, scale)
    torch.testing.assert_close(before_shuffle(weight, scale), layer.weight)
    enlarged = F.conv_transpose2d(features, weight, stride=scale, padding=scale)
    assert layer.bias is not None
    # A bias for each phase is a pattern, which a transposed convolution does not have.
    pattern = F.pixel_shuffle(layer.bias[None, :, None, None].expand(1, -1, 8, 11), scale)
    torch.testing.assert_close(enlarged + pattern, F.pixel_shuffle(layer(features), scale))
