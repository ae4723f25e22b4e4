"""PyTorch: graphics cards of NVIDIA (CUDA), AMD (ROCm) and Apple (MPS), and processors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vs_srcomp.backends.base import Engine, PlaneFormat, check_counts
from vs_srcomp.backends.device_pipeline import STREAMS_PER_DEVICE
from vs_srcomp.backends.loading import missing_package
from vs_srcomp.errors import check_flags, error
from vs_srcomp.models.network import Network

if TYPE_CHECKING:
    import torch

INSTALL = 'pip install "vs-srcomp[torch]"'


@dataclass(frozen=True, kw_only=True)
class Torch:
    """Run networks with PyTorch. Only the processor has been tried."""

    device: str | int | Sequence[str | int] = "auto"
    """Where: ``"cuda"`` (the first card, of AMD too), ``"cuda:1"`` or 1 for another, ``"mps"``, ``"cpu"``; a list of
    cards takes frames in turn. ``"auto"`` takes the first that there is of CUDA, MPS and the processor."""
    precision: Literal["auto", "fp16", "bf16", "f32"] = "auto"
    """Of the residual path; the skip path is always exact. ``"auto"`` takes float16 on cards, bfloat16 on processors
    that have it, and float32 on others. For networks without a skip path, it takes float32 in place of bfloat16, and
    beyond 10 bits in place of float16."""
    streams: int = 0
    """Frames in work at the same time on each device; 0 takes three on a card, and one on the processor, whose threads
    share one frame, and on MPS, whose operators may not run in two threads (pytorch issue 197805)."""
    cuda_graph: bool = True
    """Record what a frame does on the card once and replay it: less work for the processor. Takes more memory."""
    tile: int = 0
    """Largest side of the tiles that a plane is divided into, in pixels of the network's input; 0 takes whole planes
    and makes tiles only where the device's memory is too small."""

    def __post_init__(self) -> None:
        """Refuse values that torch would report in its own words, much later."""
        if self.precision not in ("auto", "fp16", "bf16", "f32"):
            raise error(f"precision {self.precision!r} is unknown", 'use precision="auto", "fp16", "bf16" or "f32"')
        check_counts(streams=self.streams, tile=self.tile)
        check_flags(cuda_graph=self.cuda_graph)
        if not isinstance(self.device, Sequence) or isinstance(self.device, str):
            object.__setattr__(self, "device", _device_name(self.device))
        else:
            names = tuple(_device_name(device) for device in self.device)
            if not names or any(not name.startswith("cuda") for name in names):
                raise error(f"device={list(self.device)} is not a list of graphics cards", "use device=[0, 1] for two")
            object.__setattr__(self, "device", names)

    @property
    def workers(self) -> int:
        """One a stream."""
        devices = self._devices()
        each = STREAMS_PER_DEVICE if devices[0].type == "cuda" else 1
        return (self.streams or each) * len(devices)

    def why_not(self) -> str | None:
        """See ``BackendConfig``."""
        return missing_package("torch", "onnx") or self._missing_device()

    def identity(self) -> Mapping[str, str]:
        """Version, devices and the precision that they are fastest in; see ``BackendConfig``."""
        devices = self._devices()
        import torch

        from vs_srcomp.backends.torch.pipeline import fastest_dtype

        return {
            "torch": torch.__version__,
            "device": ", ".join(map(str, devices)),
            "fastest precision": str(fastest_dtype(devices[0])).removeprefix("torch."),
        }

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        """Make the network ready; see ``BackendConfig``."""
        devices = self._devices()
        import torch

        from vs_srcomp.backends.torch.pipeline import make_engine

        dtypes = {"fp16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}
        return make_engine(network, plane, devices, dtypes.get(self.precision), record=self.cuda_graph)

    def _devices(self) -> "list[torch.device]":
        missing = missing_package("torch", "onnx")
        if missing:
            raise error(missing, INSTALL)
        missing = self._missing_device()
        if missing:
            raise error(missing, 'use device="auto", or run vs-srcomp doctor for the reason')
        import torch

        names = (self.device,) if isinstance(self.device, str | int) else self.device
        return [torch.device(_best_device() if name == "auto" else name) for name in names]

    def _missing_device(self) -> str | None:
        import torch

        for name in (self.device,) if isinstance(self.device, str | int) else self.device:
            device = torch.device(_best_device() if name == "auto" else name)
            if device.type == "cuda":
                if not torch.cuda.is_available():
                    return f"torch {torch.__version__} finds no graphics card that it can use"
                count = torch.cuda.device_count()
                if (device.index or 0) >= count:
                    return f"there is no device {device}: torch finds {count}"
            if device.type == "mps" and not torch.backends.mps.is_available():
                return f"torch {torch.__version__} has no Metal device (MPS) here"
        return None


def _device_name(device: str | int) -> str:
    """The canonical name of a device, so that equal backends compare equal."""
    name = f"cuda:{device}" if str(device).isdecimal() else str(device)
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise error(f"device {device!r} is unknown", 'use device="auto", "cuda", "cuda:1", "mps", "cpu" or [0, 1]')
    return "cuda:0" if name == "cuda" else name


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"
