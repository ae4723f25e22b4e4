"""Crops of more pictures than fit into memory: workers read, degrade and crop them during training."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.material.coded import Example
from train.material.crops import AT_BORDERS, CropBank, Crops, Weighting, crop_step, scale_of
from train.workers import worker_pool

# Crops per example: reading a picture costs as much as many crops.
_OF_EXAMPLE: Final = 2
# Size of the shuffle buffer, which separates crops of one picture.
_WAITING: Final = 512
# Pictures that workers prefetch.
_AHEAD: Final = 8


@dataclass(frozen=True)
class Stream:
    """Pictures that are read on demand."""

    items: Sequence[Any]
    """Arguments for ``load``, one per picture."""
    load: Callable[[Any], list[Example]]
    """Returns the examples of one item. Runs in worker processes, so it must be picklable."""
    measured: Sequence[Example]
    """Examples that give the scale, and the usual errors at each level."""
    processes: int | None = None
    """Number of workers; by default one per core."""


@dataclass(frozen=True)
class _Cut:
    """One crop, as 8-bit codes."""

    source: NDArray[np.uint8]
    targets: tuple[NDArray[np.uint8], ...]
    q: float
    weight: float


class CropStream:
    """Random crops like those of `CropBank`, from a `Stream`; memory does not grow with the number of pictures.

    Each epoch uses every picture once, in random order. A picture gives a constant number of crops per example. Order
    and crops depend only on PyTorch's seed at the first draw, not on the number of workers. A resumed run starts a new
    epoch.
    """

    def __init__(self, stream: Stream, crop: int, device: torch.device, pool: Executor) -> None:
        """Draw crops of side ``crop`` with the workers of ``pool``; ValueError if the scale does not divide it."""
        self.scale = scale_of(stream.measured[0])
        crop_step(crop, self.scale)
        self._stream, self._crop, self._device, self._pool = stream, crop, device, pool
        self._weighting = Weighting(stream.measured)
        self._ahead: deque[Future[list[_Cut]]] = deque()
        self._waiting: list[_Cut] = []
        self._rng: np.random.Generator | None = None
        self._order: list[int] = []

    def draw(self, count: int) -> Crops:
        """Draw ``count`` crops.

        Raises:
            ValueError: No picture is as large as a crop, or one cannot be read.
        """
        rng = self._rng = self._rng or np.random.default_rng(torch.initial_seed() % 2**63)
        self._fill(max(_WAITING, 4 * count), rng)
        chosen = []
        for _ in range(count):
            index = int(rng.integers(len(self._waiting)))
            self._waiting[index], self._waiting[-1] = self._waiting[-1], self._waiting[index]
            chosen.append(self._waiting.pop())
        # Of a mixture, only some parts have a clean picture: as in `CropBank`, it is a target if all have one.
        targets = zip(*(cut.targets[: min(len(cut.targets) for cut in chosen)] for cut in chosen), strict=True)
        return Crops(
            self._tensor([cut.source for cut in chosen]),
            tuple(self._tensor(of_kind) for of_kind in targets),
            torch.tensor([cut.q for cut in chosen], device=self._device),
            torch.tensor([cut.weight for cut in chosen], device=self._device),
        )

    def _fill(self, enough: int, rng: np.random.Generator) -> None:
        fruitless = 0
        while len(self._waiting) < enough:
            while len(self._ahead) < _AHEAD:
                if not self._order:
                    self._order = rng.permutation(len(self._stream.items)).tolist()
                item, seed = self._stream.items[self._order.pop()], int(rng.integers(2**63))
                self._ahead.append(
                    self._pool.submit(_cuts_of, item, self._stream.load, self._weighting, self._crop, seed)
                )
            cuts = self._ahead.popleft().result()
            self._waiting += cuts
            fruitless = 0 if cuts else fruitless + 1
            if fruitless > len(self._stream.items):
                raise ValueError(
                    f"no picture is as large as a crop of {self._crop}x{self._crop}: lower crop in the recipe"
                )

    def _tensor(self, crops: Sequence[NDArray[np.uint8]]) -> Tensor:
        planar = np.stack([np.atleast_3d(crop).transpose(2, 0, 1) for crop in crops])
        return torch.from_numpy(planar).to(self._device).float() / 255


@contextmanager
def open_crops(
    examples: Sequence[Example] | Stream, crop: int, device: torch.device
) -> Iterator[CropBank | CropStream]:
    """Crops of ``examples``, from memory or from a stream; the stream's workers end with the block."""
    if not isinstance(examples, Stream):
        yield CropBank(examples, crop, device)
        return
    with worker_pool(examples.processes) as pool:
        try:
            yield CropStream(examples, crop, device, pool)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _cuts_of(item: Any, load: Callable[[Any], list[Example]], weighting: Weighting, crop: int, seed: int) -> list[_Cut]:
    """Random crops of one picture, in a worker."""
    rng = np.random.default_rng(seed)
    large = [example for example in load(item) if min(example.original.shape[:2]) >= crop]
    return [_cut(example, weighting.of(example), crop, rng) for example in large for _ in range(_OF_EXAMPLE)]


def _cut(example: Example, weight: float, crop: int, rng: np.random.Generator) -> _Cut:
    scale = scale_of(example)
    step = crop_step(crop, scale)
    corner = [_place((size - crop) // step + 1, rng) * step for size in example.original.shape[:2]]
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def turned(picture: NDArray[np.uint8], part: int) -> NDArray[np.uint8]:
        top, left = (at // part for at in corner)
        square = np.rot90(picture[top : top + crop // part, left : left + crop // part], turns)
        return np.ascontiguousarray(np.fliplr(square) if mirrored else square)

    targets = [turned(example.original, 1)]
    if example.clean is not None:
        targets.append(turned(example.clean, scale))
    return _Cut(turned(example.degraded, scale), tuple(targets), example.q, weight)


def _place(places: int, rng: np.random.Generator) -> int:
    """A random one of so many ``places``; the first and the last come more often, as in `CropBank`."""
    beyond = (1 + 2 * AT_BORDERS) * rng.random() - AT_BORDERS
    return int(min(max(beyond, 0.0), 1 - 1e-6) * places)
