"""A plain stack of convolutions on a coarser grid, which predicts what Lanczos and the codec lost."""

from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NEGATIVE_SLOPE = 0.1
# Mean and spread of photographic luma, about: the first layer's weights are kept for values centred and scaled by them.
MEAN, SPREAD = 0.45, 0.25
# The residual is small against the picture: this keeps the last layer's weights of the same order as the others'.
RESIDUAL_SCALE = 0.1
# Of a layer that is added to a trained network, against a layer of a new one.
GROWN_NOISE = 0.05


class PlainStack(nn.Module):
    """``layers`` convolutions of ``channels`` channels on a grid ``stride`` times coarser, with a global skip.

    The first convolution steps by ``stride`` (it equals space-to-depth and a 3x3 convolution), the last is followed by
    depth-to-space (sub-pixel convolution, Shi et al. 2016, arXiv 1609.05158). Activations are LeakyReLU: ReLU networks
    of this size die at useful learning rates.

    Input and output: (N, 1, H, W), luma in 0..1, H and W divisible by ``stride``.
    """

    def __init__(self, stride: int, channels: int, layers: int) -> None:
        """Make the network; the last layer starts small but not zero."""
        super().__init__()
        self.stride = stride
        self.head = nn.Conv2d(1, channels, 3 * stride, stride, padding=stride)
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(layers - 2))
        self.tail = nn.Conv2d(channels, stride * stride, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=NEGATIVE_SLOPE)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.tail.weight, std=0.02)

    def forward(self, luma: Tensor) -> Tensor:
        """Restore ``luma``."""
        *hidden, (weight, bias) = self.effective_weights()
        # None is kept for longer than the next layer needs it.
        (features,) = deque(self._through(luma, hidden), maxlen=1)
        residual = F.pixel_shuffle(F.conv2d(features, weight, bias, padding=1), self.stride)
        return luma + residual.float()

    def features(self, luma: Tensor) -> Iterator[Tensor]:
        """What each layer but the last makes of ``luma``: (N, channels, H / stride, W / stride)."""
        return self._through(luma, self.effective_weights()[:-1])

    def _through(self, luma: Tensor, hidden: list[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
        (weight, bias), *body = hidden
        features = F.leaky_relu(F.conv2d(luma, weight, bias, self.stride, self.stride), NEGATIVE_SLOPE)
        yield features
        for weight, bias in body:
            features = F.leaky_relu(F.conv2d(features, weight, bias, padding=1), NEGATIVE_SLOPE)
            yield features

    def effective_weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each convolution as the exported graph has them.

        Centring, scaling and the residual's scale are folded in, so that the graph takes and gives plain luma and
        costs nothing for them; the border is padded with zeros, in training too.
        """
        convolutions = [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]
        weights = [(layer.weight, layer.bias) for layer in convolutions if layer.bias is not None]
        head, head_bias = weights[0]
        tail, tail_bias = weights[-1]
        weights[0] = (head / SPREAD, head_bias - head.sum(dim=(1, 2, 3)) * (MEAN / SPREAD))
        weights[-1] = (tail * RESIDUAL_SCALE, tail_bias * RESIDUAL_SCALE)
        return weights

    @torch.no_grad()
    def grow_from(self, other: "PlainStack") -> None:
        """Take the weights of ``other``, which may have fewer layers: those that it lacks change little at first.

        They pass on what they get, but for the part below zero, and some noise (after Chen et al. 2016, Net2Net, arXiv
        1511.05641).

        Raises:
            ValueError: It has another stride, other channels or more layers.
        """
        same_form = other.stride == self.stride and other.tail.weight.shape == self.tail.weight.shape
        if not same_form or len(other.body) > len(self.body):
            raise ValueError("it has another stride, other channels or more layers")
        self.head.load_state_dict(other.head.state_dict())
        self.tail.load_state_dict(other.tail.state_dict())
        for mine, taken in zip(self.body, other.body, strict=False):
            mine.load_state_dict(taken.state_dict())
        for new in self.body[len(other.body) :].parameters():
            # Biases are zero already.
            if new.ndim == 4:
                noise = GROWN_NOISE * new
                nn.init.dirac_(new).add_(noise)

    @torch.no_grad()
    def shift_residual(self, luma: float) -> None:
        """Add ``luma`` to everything that the network gives."""
        assert self.tail.bias is not None
        self.tail.bias += luma / RESIDUAL_SCALE

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates per output pixel."""
        return sum(p.numel() for p in self.parameters() if p.ndim == 4) / self.stride**2

    @property
    def parameter_count(self) -> int:
        """Weights and biases."""
        return sum(p.numel() for p in self.parameters())

    @property
    def receptive_field(self) -> int:
        """Side, in pixels, of the square around an output pixel that it can see, wherever it lies in its cell."""
        layers = len(self.body) + 2
        return 2 * (self.stride * layers + self.stride - 1)


def to_working_format(network: PlainStack, device: torch.device) -> PlainStack:
    """Move to ``device`` in the memory layout that convolutions are fastest in."""
    return network.to(device).to(memory_format=torch.channels_last)
