"""FSRCNN: convolutions on the small picture, and a transposed convolution at the end."""

from typing import ClassVar

from torch import Tensor, nn

from train.networks.interpolate import carry, enlarge_by_deconvolution, quiet
from train.networks.network import Network, check_scale


class Fsrcnn(Network):
    """FSRCNN(d, s, m): 5x5 to d, 1x1 to s, m times 3x3, 1x1 to d, PReLU after each, and a 9x9 transposed convolution.

    The paper's (56, 12, 4), the defaults, has 12,464 weights at every scale, without biases and slopes.
    """

    paper: ClassVar[str] = "Dong, Loy, Tang 2016, arXiv 1608.00367"

    def __init__(self, *, scale: int = 2, d: int = 56, s: int = 12, m: int = 4, channels: int = 1) -> None:
        check_scale(scale, (2, 3, 4), "fsrcnn")
        super().__init__(scale=scale, channels=channels)
        extract = nn.Conv2d(channels, d, 5, padding=2)
        shrink, expand = nn.Conv2d(d, s, 1), nn.Conv2d(s, d, 1)
        mapping = [nn.Conv2d(s, s, 3, padding=1) for _ in range(m)]
        convolutions = [extract, shrink, *mapping, expand]
        stages: list[nn.Module] = []
        for layer in convolutions:
            nn.init.kaiming_normal_(layer.weight, a=0.25)
            for channel in range(channels):
                carry(layer, channel, channel)
            stages += [layer, nn.PReLU(layer.out_channels)]
        self.features = nn.Sequential(*stages)
        self.enlarge = nn.ConvTranspose2d(d, channels, 9, scale, padding=4, output_padding=scale - 1)
        quiet(self.enlarge, 1e-4)
        for channel in range(channels):
            enlarge_by_deconvolution(self.enlarge, channel, channel)

    def forward(self, picture: Tensor) -> Tensor:
        """Upscale ``picture``."""
        enlarged: Tensor = self.enlarge(self.features(picture))
        return enlarged

    @property
    def receptive_field(self) -> int:
        """Side of the square, in input pixels, that an output pixel depends on, at most."""
        mapping = sum(layer.kernel_size[0] // 2 for layer in self.features if isinstance(layer, nn.Conv2d))
        return 2 * mapping + -(-9 // self.scale)
