"""Shift-tolerant LPIPS: perceptual distance in the features of a classifier."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from train.bf16 import has_bf16_units
from train.metrics.metric import Metric, Picture
from train.objectives.vgg import Vgg, read_package

# Side and overlap of tiles: features of a large picture would take gigabytes.
TILE, OVERLAP = 512, 64

# Tiles of the last original whose features are kept, 130 MB each: many methods are measured against one original.
_KEPT = 8


class StLpips(Metric):
    """Shift-tolerant LPIPS with VGG16, weights of the package ``stlpips-pytorch``; luma as a grey picture.

    Features of five stages are scaled to unit length at each position; their squared differences are weighted by
    channel, averaged over the picture, and added up. Where there are units for it, the features are computed in
    bfloat16, in half the time: scores change by less than 0.001.
    """

    paper: ClassVar[str] = "Ghildyal and Liu 2022, arXiv 2207.13686; LPIPS: Zhang et al. 2018, arXiv 1801.03924"
    larger_is_better: ClassVar[bool] = False

    def __init__(self, *, border: int = 0, device: str | None = None) -> None:
        """As for :class:`Metric`; on ``device``, by default a CUDA card if there is one.

        Raises:
            ValueError: The package is not installed.
        """
        super().__init__(border=border)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        state = read_package()
        self._vgg = Vgg(5)
        self._vgg.load_package(state)
        # The fastest layout for convolutions, by a third on processors.
        self._vgg.to(self._device).to(memory_format=torch.channels_last)
        self._has_bf16 = has_bf16_units(self._device)
        self._of_original: dict[tuple[int, int], tuple[Tensor, list[Tensor]]] = {}
        self._shares = [state[f"lin{stage}.model.1.weight"].to(self._device) for stage in range(5)]

    @torch.no_grad()
    def score(self, restored: Picture, original: Picture) -> float:
        """0 if the pictures are equal; 0.1 to 0.3 is typical of super-resolution by 4."""
        total, pixels = 0.0, 0
        for top in range(0, max(1, original.shape[0] - OVERLAP), TILE - OVERLAP):
            for left in range(0, max(1, original.shape[1] - OVERLAP), TILE - OVERLAP):
                tile = [self._tensor(picture[top : top + TILE, left : left + TILE]) for picture in (restored, original)]
                size = tile[0].shape[2] * tile[0].shape[3]
                features = self._features_of_original((top, left), tile[1])
                total += self._distance(self._features(tile[0]), features) * size
                pixels += size
        return total / pixels

    def _tensor(self, picture: Picture) -> Tensor:
        planes = torch.from_numpy(picture.reshape(*picture.shape[:2], -1).transpose(2, 0, 1).copy())
        return planes.to(self._device).float()[None] / 255

    def _features_of_original(self, place: tuple[int, int], tile: Tensor) -> list[Tensor]:
        kept = self._of_original.get(place)
        if kept is not None and torch.equal(kept[0], tile):
            return kept[1]
        if kept is not None:  # It is another original.
            self._of_original.clear()
        features = self._features(tile)
        if len(self._of_original) < _KEPT:
            self._of_original[place] = tile, features
        return features

    def _features(self, tile: Tensor) -> list[Tensor]:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._has_bf16):
            features: list[Tensor] = self._vgg(tile)
        return features

    def _distance(self, restored: list[Tensor], original: list[Tensor]) -> float:
        pairs: Any = zip(self._shares, restored, original, strict=True)
        return sum(float(((_unit(x) - _unit(y)).square() * share).sum(1).mean()) for share, x, y in pairs)


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
