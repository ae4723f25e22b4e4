"""The convolutions of VGG16 with shift-tolerant pooling."""

from collections.abc import Container
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

# Channels of the convolutions by stage (Simonyan and Zisserman 2014, arXiv 1409.1556).
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# Mean and deviation of ImageNet's colours in 0..1, for which the weights were trained.
MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)
# Default file of the weights.
DEFAULT_WEIGHTS = "work/vgg16-conv.safetensors"
PACKAGE = "stlpips_pytorch"


class Vgg(nn.Module):
    """VGG16 up to a convolution, with blurred pooling (Zhang 2019, arXiv 1904.11486), as in shift-tolerant LPIPS
    (Ghildyal and Liu 2022, arXiv 2207.13686). Its parameters are fixed.
    """

    def __init__(self, stages: int = 4) -> None:
        """Make the network up to the last convolution of stage number ``stages``, 1 to 5."""
        super().__init__()
        layers, taken = [], 3
        for stage in STAGES[:stages]:
            layers.append(nn.ModuleList())
            for given in stage:
                layers[-1].append(nn.Conv2d(taken, given, 3, padding=1))
                taken = given
        self.stages = nn.ModuleList(layers)
        taps = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("blur", torch.outer(taps, taps)[None, None])
        self.register_buffer("mean", torch.tensor(MEAN)[None, :, None, None])
        self.register_buffer("spread", torch.tensor(SPREAD)[None, :, None, None])
        self.requires_grad_(False)

    def forward(self, picture: Tensor, *, active: bool = True) -> list[Tensor]:
        """Features of each stage for RGB or luma (N, 3 or 1, H, W) in 0..1: (N, channels, H / 2**k, W / 2**k).

        Args:
            picture: At least 32x32.
            active: Whether to return features after ReLU, or those before it.
        """
        assert isinstance(self.mean, Tensor)
        assert isinstance(self.spread, Tensor)
        features = (picture.expand(-1, 3, -1, -1) - self.mean) / self.spread
        made = []
        for index, stage in enumerate(self.stages):
            if index:
                features = self._pool(features)
            assert isinstance(stage, nn.ModuleList)
            for layer in stage:
                before = layer(features)
                features = F.relu(before)
            made.append(features if active else before)
        return made

    @torch.no_grad()
    def load_package(self, state: dict[str, Tensor]) -> None:
        """Load the weights of :func:`read_package`."""
        # The package has one list of layers, which includes activations and pools.
        number = 0
        for stage, layers in enumerate(self.stages, 1):
            assert isinstance(layers, nn.ModuleList)
            for layer in layers:
                assert isinstance(layer, nn.Conv2d)
                assert layer.bias is not None
                layer.weight.copy_(state[f"net.slice{stage}.{number}.weight"])
                layer.bias.copy_(state[f"net.slice{stage}.{number}.bias"])
                number += 2
            number += 2

    def _pool(self, features: Tensor) -> Tensor:
        assert isinstance(self.blur, Tensor)
        largest = F.pad(F.max_pool2d(features, 2, 1), (2, 2, 2, 2), mode="reflect")
        channels = features.shape[1]
        return F.conv2d(largest, self.blur.to(features.dtype).expand(channels, -1, -1, -1), stride=2, groups=channels)


def load_vgg(path: Path, stages: int = 4) -> Vgg:
    """The network with the weights of ``python -m train vgg-weights``, whose file may have more stages.

    Raises:
        ValueError: There is no such file, or it has other content or fewer stages.
    """
    if not path.exists():
        raise ValueError(f"{path}: no weights of VGG16 there; python -m train vgg-weights {path} writes them")
    network = Vgg(stages)
    beyond = tuple(f"stages.{stage}." for stage in range(stages, len(STAGES)))
    try:
        stored = load_file(path)
    except SafetensorError as reason:
        raise ValueError(f"{path} is damaged ({reason}); remove it, and write it again") from reason
    if (found := _stages_in(stored)) < stages:
        raise ValueError(
            f"{path} has {found} whole stages of VGG16, not {stages}: give `share` no more numbers than it has, or "
            f"remove it, and python -m train vgg-weights {path} writes 4"
        )
    state = {name: tensor.float() for name, tensor in stored.items() if not name.startswith(beyond)}
    try:
        # The file has only the convolutions.
        network.load_state_dict(dict(network.named_buffers()) | state)
    except RuntimeError as reason:
        raise ValueError(f"{path}: not the weights of VGG16: {reason}") from reason
    return network


def _stages_in(stored: Container[str]) -> int:
    """How many stages, from the first, the tensors named ``stored`` have whole."""
    for number, stage in enumerate(STAGES):
        names = (f"stages.{number}.{layer}.{kind}" for layer in range(len(stage)) for kind in ("weight", "bias"))
        if not all(name in stored for name in names):
            return number
    return len(STAGES)


def write_vgg_weights(path: Path, stages: int = 4) -> None:
    """Write the weights of the installed package ``stlpips-pytorch`` in half precision.

    The file has only the convolutions, 15 MB for 4 stages. The package's code is not run, and a pickle with more than
    tensors is refused.

    Raises:
        ValueError: The package is not installed.
    """
    from vs_srcomp.files import write_atomically  # The network itself needs no VapourSynth.

    network = Vgg(stages)
    network.load_package(read_package())
    state = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items() if "stages" in name}
    write_atomically(path, save(state))


def read_package() -> dict[str, Tensor]:
    """The state of the shift-tolerant VGG of ``stlpips-pytorch``, with its weights for LPIPS."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ValueError("the package stlpips-pytorch is not installed: pip install --no-deps stlpips-pytorch==0.0.2")
    weights = Path(spec.origin).parent / "weights" / "vST0.0" / "vgg_shift_tolerant.pth"
    state: dict[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
    return state
