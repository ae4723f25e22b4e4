"""FD-SRCNN: up and down again, an estimate after each way up."""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.interpolate import carry, enlarge_by_deconvolution, quiet
from train.networks.network import Network, check_scale

MAPS = 32
SERIES = 3
# Of a sigmoid's slope where it is steepest: a quarter of what goes in comes out.
STEEPNESS = 4.0


class Series(nn.Module):
    """A block of convolutions, a transposed convolution that learns to upsample, a reconstructor for an estimate."""

    def __init__(self, scale: int, depth: int, width: int, channels: int, pictures: int) -> None:
        """Make the series: ``depth`` 3x3 convolutions to ``width`` maps, and 32 maps ``scale`` times as large.

        The shortcuts before have added up to so many ``pictures`` in what it takes: it begins by passing on one.
        """
        super().__init__()
        sizes = [MAPS] + [width] * depth
        self.block = nn.ModuleList(nn.Conv2d(taken, given, 3, padding=1) for taken, given in pairwise(sizes))
        self.upsample = nn.ConvTranspose2d(width, MAPS, scale + 2, scale, padding=1)
        self.reconstruct = nn.Conv2d(MAPS, channels, 3, padding=1)
        for layer in self.block:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.upsample.weight, std=(2 / (width * (1 + 2 / scale) ** 2)) ** 0.5)
        quiet(self.reconstruct)
        assert self.reconstruct.bias is not None
        with torch.no_grad():
            for channel in range(channels):
                for layer in (*self.block, self.reconstruct):
                    assert isinstance(layer, nn.Conv2d)
                    carry(layer, channel, channel)
                first = self.block[0]
                assert isinstance(first, nn.Conv2d)
                first.weight[channel] /= pictures
                self.upsample.weight[:, channel] = 0
                enlarge_by_deconvolution(self.upsample, channel, channel)
                # The sigmoid is steep in the middle and near the picture's own value there.
                self.reconstruct.weight[channel] *= STEEPNESS
                self.reconstruct.bias[channel] = -STEEPNESS / 2

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The maps ``scale`` times as large, and the estimate made of them."""
        for layer in self.block:
            maps = F.relu(layer(maps))
        maps = F.relu(self.upsample(maps))
        # In full precision: a code of the picture is a small step of it.
        return maps, torch.sigmoid(self.reconstruct(maps).float())


class Module(nn.Module):
    """Three series, each deeper and wider than the one before; max-pooling goes back down between them."""

    def __init__(self, scale: int, width: int, channels: int, *, shortcuts: bool, pictures: int) -> None:
        """Make the module; the blocks have 1, 2 and 3 convolutions of ``width``, 5/4 and 3/2 of it."""
        super().__init__()
        self.scale = scale
        self.series = nn.ModuleList(
            Series(scale, depth, width + width * (depth - 1) // 4, channels, pictures + (depth - 1) * (1 + shortcuts))
            for depth in range(1, SERIES + 1)
        )

    def forward(self, maps: Tensor, shortcut: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """The maps ``scale`` times as large, and the estimates, the last first.

        Args:
            maps: What the module takes.
            shortcut: Of the size of ``maps``; the global shortcut, added to what each series takes after the first.
        """
        estimates: list[Tensor] = []
        for index, series in enumerate(self.series):
            up, estimate = series(maps)
            estimates.insert(0, estimate)
            if index < len(self.series) - 1:
                # The local shortcut goes around a series.
                maps = maps + F.max_pool2d(up, self.scale)
                if shortcut is not None:
                    maps = maps + shortcut
        return up, estimates


class FdSrcnn(Network):
    """A 9x9 input layer of 32 maps and one or two upscaling modules of three series each.

    Scales 2 and 3 come out of the first module, 4 out of the second. Local shortcuts go from series to series, global
    ones from the input layer to the series and from the first module's maps to the second. ``shortcuts=False`` is the
    variant without the global ones. Gives the estimates of all series, the last first; those of the first of two
    modules are twice as large as the picture.
    """

    paper: ClassVar[str] = "FD-SRCNN, for NTIRE 2017 (Timofte et al., CVPRW 2017)"

    def __init__(self, *, scale: int = 2, width: int = 32, shortcuts: bool = True, channels: int = 1) -> None:
        """Make the network, which begins as a rough interpolation; ``scale`` is 2, 3 or 4."""
        check_scale(scale, (2, 3, 4), "fd-srcnn")
        super().__init__(scale=scale, channels=channels)
        self.shortcuts = shortcuts
        self.head = nn.Conv2d(channels, MAPS, 9, padding=4)
        nn.init.kaiming_normal_(self.head.weight)
        for channel in range(channels):
            carry(self.head, channel, channel)
        steps = (2, 2) if scale == 4 else (scale,)
        self.parts = nn.ModuleList(
            Module(step, width, channels, shortcuts=shortcuts, pictures=1 + (shortcuts and index))
            for index, step in enumerate(steps)
        )

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Enlarge ``picture``: all estimates, the last first."""
        head = F.relu(self.head(picture))
        maps, estimates = self.parts[0](head, head if self.shortcuts else None)
        for part in self.parts[1:]:
            shortcut = F.interpolate(head, scale_factor=2.0, mode="nearest") if self.shortcuts else None
            maps, later = part(maps if shortcut is None else maps + shortcut, shortcut)
            estimates = later + estimates
        return tuple(estimates)

    @property
    def receptive_field(self) -> int:
        """Side of the square, in input pixels, that an output pixel depends on, at most."""
        radius, grid = 4.0, 1.0
        for part in self.parts:
            assert isinstance(part, Module)
            # Convolutions of the blocks, and of each way up and down one more pixel to either side.
            radius += grid * (sum(range(1, SERIES + 1)) + 2 * SERIES)
            grid /= part.scale
        return int(2 * (radius + 1) + 1)
