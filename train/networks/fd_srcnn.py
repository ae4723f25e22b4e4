"""FD-SRCNN: repeated upscaling and downscaling, with an estimate after each upscale."""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.interpolate import carry, enlarge_by_deconvolution, quiet
from train.networks.network import Network, check_scale

MAPS = 32
SERIES = 3
# Knots of the initial piecewise linear function, which inverts the sigmoid of the output.
MIDDLE = 0.5
KNOTS = (0.1, 0.2, 0.35, 0.65, 0.8, 0.9)


class Series(nn.Module):
    """A block of convolutions, a transposed convolution for upsampling, a reconstruction layer for an estimate."""

    def __init__(self, scale: int, depth: int, width: int, channels: int, pictures: int) -> None:
        """Make the series: ``depth`` 3x3 convolutions to ``width`` maps, and 32 maps ``scale`` times as large.

        Initially the input is the sum of ``pictures`` copies, by the shortcuts before; the series passes on their mean.
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
        knots = fitting_knots(width, channels)
        parts = len(knots) + 1
        offset, *slopes = straightening(knots)
        with torch.no_grad():
            for part in range(channels * parts):
                for layer in self.block:
                    assert isinstance(layer, nn.Conv2d)
                    carry(layer, part, part)
                first = self.block[0]
                assert isinstance(first, nn.Conv2d)
                first.weight[part] /= pictures
                self.upsample.weight[:, part] = 0
                enlarge_by_deconvolution(self.upsample, part, part)
                self.reconstruct.weight[part // parts, part, 1, 1] = slopes[part % parts]
            self.reconstruct.bias[:] = offset

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The maps ``scale`` times as large, and the estimate from them."""
        for layer in self.block:
            maps = F.relu(layer(maps))
        maps = F.relu(self.upsample(maps))
        # In full precision: one code is a small step of the estimate.
        return maps, torch.sigmoid(self.reconstruct(maps).float())


class Module(nn.Module):
    """Three series, each deeper and wider than the last, with max-pooling down between them."""

    def __init__(self, scale: int, width: int, channels: int, *, shortcuts: bool, pictures: int) -> None:
        """Make the module. The blocks have 1, 2 and 3 convolutions of 1, 5/4 and 3/2 times ``width`` channels."""
        super().__init__()
        self.scale = scale
        self.series = nn.ModuleList(
            Series(scale, depth, width + width * (depth - 1) // 4, channels, pictures + (depth - 1) * (1 + shortcuts))
            for depth in range(1, SERIES + 1)
        )

    def forward(self, maps: Tensor, shortcut: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """The maps ``scale`` times as large, and the estimates, the last first.

        Args:
            maps: Input of the module.
            shortcut: Global shortcut, of the size of ``maps``, added to the input of each series after the first.
        """
        estimates: list[Tensor] = []
        for index, series in enumerate(self.series):
            up, estimate = series(maps)
            estimates.insert(0, estimate)
            if index < len(self.series) - 1:
                # The local shortcut skips a series.
                maps = maps + F.max_pool2d(up, self.scale)
                if shortcut is not None:
                    maps = maps + shortcut
        return up, estimates


def fitting_knots(width: int, channels: int) -> tuple[float, ...]:
    """``KNOTS``, or none if ``width`` maps are too few for one per channel and piece."""
    return KNOTS if min(width, MAPS) >= channels * (len(KNOTS) + 1) else ()


def straightening(knots: tuple[float, ...]) -> list[float]:
    """Offset, slope, and slopes of the parts beyond ``knots``, whose sum approximates the inverse sigmoid.

    It minimises the squared error after the sigmoid, over the range of 8-bit video luma.
    """
    luma = torch.linspace(16 / 255, 235 / 255, 220, dtype=torch.float64)
    bends = [F.relu(luma - knot) if knot > MIDDLE else F.relu(knot - luma) for knot in knots]
    parts = torch.stack([torch.ones_like(luma), luma, *bends], 1)
    # Slope of the sigmoid, by which it scales an error.
    slope = (luma * (1 - luma))[:, None]
    found: list[float] = torch.linalg.lstsq(parts * slope, luma.logit()[:, None] * slope).solution[:, 0].tolist()
    return found


class FdSrcnn(Network):
    """A 9x9 input layer of 32 maps and one or two upscaling modules of three series each.

    Scales 2 and 3 have one module, scale 4 has two. Local shortcuts go from series to series, global ones from the
    input layer to the series and from the first module's maps to the second. ``shortcuts=False`` is the variant without
    global ones. Returns the estimates of all series, the last first; those of the first of two modules are twice as
    large as the picture.
    """

    paper: ClassVar[str] = "FD-SRCNN, for NTIRE 2017 (Timofte et al., CVPRW 2017)"

    def __init__(self, *, scale: int = 2, width: int = 32, shortcuts: bool = True, channels: int = 1) -> None:
        """Make the network, which starts as linear interpolation; ``scale`` is 2, 3 or 4."""
        check_scale(scale, (2, 3, 4), "fd-srcnn")
        super().__init__(scale=scale, channels=channels)
        self.shortcuts = shortcuts
        self.head = nn.Conv2d(channels, MAPS, 9, padding=4)
        nn.init.kaiming_normal_(self.head.weight)
        assert self.head.bias is not None
        with torch.no_grad():
            knots = fitting_knots(width, channels)
            for part in range(channels * (len(knots) + 1)):
                channel, bend = divmod(part, len(knots) + 1)
                carry(self.head, channel, part)
                if bend:
                    # The part beyond a knot, on the side away from the middle.
                    knot = knots[bend - 1]
                    side = 1.0 if knot > MIDDLE else -1.0
                    self.head.weight[part] *= side
                    self.head.bias[part] = -side * knot
        steps = (2, 2) if scale == 4 else (scale,)
        self.parts = nn.ModuleList(
            Module(step, width, channels, shortcuts=shortcuts, pictures=1 + (shortcuts and index))
            for index, step in enumerate(steps)
        )

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """All estimates of the upscaled ``picture``, the last first."""
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
            # Convolutions of the blocks, and one more pixel on each side per upsampling and pooling.
            radius += grid * (sum(range(1, SERIES + 1)) + 2 * SERIES)
            grid /= part.scale
        return int(2 * (radius + 1) + 1)
