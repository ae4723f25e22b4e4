"""CISR-PSI: alternating artefact removal and resolution enhancement."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.edsr import MEAN, Residual
from train.networks.interpolate import enlarge_by_shuffle, quiet
from train.networks.network import Network


class Part(nn.Module):
    """A convolution, residual blocks with a long skip, and a last convolution, which outputs a residual."""

    def __init__(self, taken: int, given: int, blocks: int, width: int) -> None:
        """``taken``: input channels. ``given``: output channels."""
        super().__init__()
        self.head = nn.Conv2d(taken, width, 3, padding=1)
        self.body = nn.ModuleList(Residual(width) for _ in range(blocks))
        self.tail = nn.Conv2d(width, given, 3, padding=1)
        nn.init.kaiming_normal_(self.head.weight)
        quiet(self.tail)

    def forward(self, pictures: Tensor) -> Tensor:
        """The residual, of the size of ``pictures``."""
        head = F.relu(self.head(pictures))
        features = head
        for block in self.body:
            features = block(features)
        change: Tensor = self.tail(features + head)
        return change.float()


class CisrPsi(Network):
    """The artefact removal module (ARM) and the resolution enhancement module (REM), unfolded ``rounds`` times.

    In parallel, both take the compressed small picture. In series, the ARM also takes the REM's output, brought to the
    small grid by space-to-depth, and the REM also takes the ARM's output. All rounds share their weights. Before the
    first round, the compressed picture replaces the REM's output. The ARM adds its residual to the compressed picture,
    the REM to a learned upscale of the ARM's output, initially linear. The last output of the REM is the result.

    Returns the upscaled pictures of all rounds, the last first, then their clean small pictures, the last first.
    """

    paper: ClassVar[str] = "Luo, Zhou, Liao, Qiu 2023, arXiv 2103.01698"

    def __init__(self, *, scale: int = 2, rounds: int = 3, blocks: int = 4, width: int = 48, channels: int = 1) -> None:
        """Make the network, which starts as linear interpolation.

        Args:
            scale: Output size over input size.
            rounds: Number of rounds.
            blocks: Residual blocks of each module.
            width: Channels of the blocks.
            channels: 1 for luma, 3 for RGB.
        """
        super().__init__(scale=scale, channels=channels)
        self.rounds = rounds
        finer = channels * scale**2
        self.remove = Part(channels + finer, channels, blocks, width)
        self.enhance = Part(2 * channels, finer, blocks, width)
        self.enlarge = nn.Conv2d(channels, finer, 3, padding=1, bias=False)
        enlarge_by_shuffle(self.enlarge, scale, channels)

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """The upscaled pictures of all rounds, then the clean small pictures."""
        compressed = picture - MEAN
        # For each channel, the scale**2 sub-pixel channels of its upscale, in depth-to-space order.
        made = torch.repeat_interleave(compressed, self.scale**2, dim=1)
        answers: list[Tensor] = []
        cleans: list[Tensor] = []
        for _ in range(self.rounds):
            clean = compressed + self.remove(torch.cat((compressed, made), 1))
            made = self.enlarge(clean).float() + self.enhance(torch.cat((compressed, clean), 1))
            answers.insert(0, F.pixel_shuffle(made, self.scale) + MEAN)
            cleans.insert(0, clean + MEAN)
        return *answers, *cleans

    @property
    def receptive_field(self) -> int:
        """Side of the square, in input pixels, that an output pixel depends on, at most."""
        of_each = 2 + 2 * len(self.remove.body)
        return 2 * (2 * of_each * self.rounds) + 1
