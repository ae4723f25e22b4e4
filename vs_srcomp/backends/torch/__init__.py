"""PyTorch: graphics cards of NVIDIA (CUDA), AMD (ROCm) and Apple (MPS), and processors."""

from vs_srcomp.backends.torch.backend import INSTALL, Torch

__all__ = ["INSTALL", "Torch"]
