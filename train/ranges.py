"""Ranges for 8-bit integers: the magnitudes of the layers' inputs, measured on pictures.

A range is the largest magnitude on photographs and drawn edges, times a factor. A factor below 1 makes steps finer and
clips the strongest corrections; of the factors that keep hard edges, those that lose least are chosen: first one for
all layers, then each layer's by itself. Layers whose rounding still costs too much are not quantised, those with the
highest loss per operation first: as a rule the last layers, whose errors no later layer averages.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.backends.loading import load_openvino
from vs_srcomp.backends.openvino.first_layer import first_layer_in_integers
from vs_srcomp.backends.openvino.graph import residual_of
from vs_srcomp.backends.openvino.integers import hidden_convolutions, with_integers
from vs_srcomp.resample import lanczos5

if TYPE_CHECKING:
    import openvino as ov

type Plane = NDArray[np.uint8]

CROP: Final = 256
"""Side of the crops that are measured, a multiple of every stride."""

MOST_LOST: Final = 0.022
"""Limit of the PSNR loss in dB, over the middles of all pictures."""

MOST_ADDED_IN_QUIET: Final = 0.1
"""Limit of the squared error that rounding adds, in 8-bit codes, over the smoothest part of each picture, where the
same noise matters most: clean pictures have an error of about 4 there (42 dB)."""

LIMITS: Final = ((0.98, 0.85), (0.97, 0.7), (0.96, 0.48))
"""Least share of the float32 correction of hard edges, by projection, of drawn pictures and of discs, with VNNI and
without; and the least factor, as larger pictures have harder edges: with 0.7 some lost 7 % of it. Later pairs count
only where they put more of the work into integers. The goal is 0.95."""

_FACTORS: Final = (1.15, 1.0, 0.92, 0.85, 0.78, 0.7, 0.62, 0.55, 0.48)
# Enough that some have edges as hard as a player will meet: of the first two, an earlier network kept 0.98, of others
# down to 0.90, and of discs 0.94.
_DRAWN: Final = 6
_DISCS: Final = 2

# Every ratio repeats after eight pixels.
_PHASES: Final = 8
_STEP: Final = 64

# Assumed squared error in codes if the original is unknown: 38.5 dB.
_ASSUMED: Final = 9.0


@dataclass(frozen=True)
class Seen:
    """A network for one level, and pictures of that level."""

    onnx: bytes
    """ONNX file with one plane as input and output."""
    planes: Sequence[Plane]
    """Luma after Lanczos-5, at least `CROP` pixels wide and high."""
    originals: Sequence[Plane] = ()
    """The originals of ``planes``; without them, a PSNR of 38.5 dB is assumed."""


@dataclass(frozen=True)
class Ranges:
    """The chosen ranges and their cost."""

    ranges: tuple[float, ...]
    """Ranges as in `vs_srcomp.models.Network`."""
    lost: float
    """PSNR loss in dB for `MOST_LOST`; the error added in the smoothest parts is scaled to this limit."""
    kept: float
    """Share of the correction of hard edges."""
    share: float
    """Share of multiply-accumulates in integers."""


def choose_ranges(forms: Sequence[Seen]) -> Ranges:
    """One set of ranges for all ``forms``, which are one network at several levels.

    Raises:
        ValueError: A picture is too small, or the network is not a stack of convolutions with a global skip.
    """
    levels = _Levels(forms)
    whole = levels.highest()
    found: list[Ranges] = []
    for least, smallest in LIMITS:
        factors = [factor for factor in _FACTORS if factor >= smallest]
        found.append(_within_limits(levels, whole * _best(factors, levels, whole, least)))
        if found[-1].share == 1:
            break
    # Of equal shares the first, which keeps more.
    return max(found, key=lambda ranges: ranges.share)


def _best(factors: Sequence[float], levels: "_Levels", whole: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """For each layer one of the ``factors``, with which all together lose least and keep ``least``, or else most."""

    def lost(places: Sequence[int]) -> float:
        ranges = whole * np.take(factors, places)
        return levels.lost(ranges) if levels.kept(ranges) >= least else np.inf

    layers = len(whole)
    least = min(least, max(levels.kept(whole * factor) for factor in factors))
    best_loss, place = min((lost([place] * layers), place) for place in range(len(factors)))
    best = [place] * layers
    for layer in range(layers):
        # Downhill one way, and if that is uphill, the other way.
        for way in (1, -1):
            moved = False
            while 0 <= best[layer] + way < len(factors):
                places = [*best[:layer], best[layer] + way, *best[layer + 1 :]]
                if (loss := lost(places)) >= best_loss:
                    break
                best, best_loss, moved = places, loss, True
            if moved:
                break
    return np.take(factors, best)


def _within_limits(levels: "_Levels", ranges: NDArray[np.float64]) -> Ranges:
    """``ranges`` without the layers that lose too much in integers."""
    costs = levels.costs()
    # Loss of each layer by itself: rounding errors add like noise.
    alone = [levels.lost(np.where(np.arange(len(ranges)) == index, ranges, 0)) for index in range(len(ranges))]
    floor = levels.lost(np.zeros_like(ranges))
    own = np.maximum(np.array(alone) - floor, 0)
    order = list(np.argsort(-own / costs[1:]))
    # The estimate keeps slightly too many layers in integers; measurement decides.
    while order and floor + own[ranges > 0].sum() > 1.2 * MOST_LOST:
        ranges[order.pop(0)] = 0
    while order and levels.lost(ranges) > MOST_LOST:
        ranges[order.pop(0)] = 0
    share = (costs[0] + costs[1:][ranges > 0].sum()) / costs.sum()
    rounded = tuple(float(f"{limit:.4g}") for limit in ranges)
    return Ranges(rounded, levels.lost(ranges), levels.kept(ranges), float(share))


def middle(plane: Plane) -> tuple[int, int]:
    """Top and left of the crop in the middle of ``plane``."""
    if min(plane.shape) < CROP:
        raise ValueError(f"a picture of {plane.shape[1]}x{plane.shape[0]} is smaller than {CROP}x{CROP}")
    top, left = ((size - CROP) // (2 * _PHASES) * _PHASES for size in plane.shape)
    return top, left


def smoothest(plane: Plane) -> tuple[int, int]:
    """Top and left of the crop of ``plane`` whose neighbouring pixels differ least."""
    steps = np.abs(np.diff(plane.astype(np.int16), axis=1))
    places = [
        (top, left)
        for top in range(0, plane.shape[0] - CROP + 1, _STEP)
        for left in range(0, plane.shape[1] - CROP + 1, _STEP)
    ]
    return min(places, key=lambda at: float(cut(steps, at).mean()))


def cut[T: np.generic](plane: NDArray[T], corner: tuple[int, int]) -> NDArray[T]:
    """A square of `CROP` pixels."""
    top, left = corner
    return np.ascontiguousarray(plane[top : top + CROP, left : left + CROP])


def hard_edges() -> Iterator[Plane]:
    """Drawn pictures and discs of half the size, upscaled by Lanczos-5."""
    import vapoursynth as vs

    from train.material.drawn import SIZE, draw, draw_discs
    from train.material.pictures import clip_planes, planes_to_clip

    top = (SIZE - CROP) // 2
    box = (top, top, top + CROP, top + CROP)
    drawn = [np.asarray(draw(seed).convert("L").crop(box).reduce(2)) for seed in range(_DRAWN)]
    for small in [*drawn, *(draw_discs(seed, CROP // 2) for seed in range(_DISCS))]:
        yield clip_planes(lanczos5(planes_to_clip([small], vs.GRAY8), CROP, CROP))[0]


def channel_peaks(onnx: bytes, planes: Sequence[Plane]) -> list[NDArray[np.float32]]:
    """The largest magnitude of each input channel of each convolution but the first."""
    return _Level(Seen(onnx, planes)).peaks()


class _Levels:
    """A network at several levels, which remembers what it has measured: for each of `LEAST_KEPT` much comes again."""

    def __init__(self, forms: Sequence[Seen]) -> None:
        self._levels = [_Level(form) for form in forms]
        self._lost: dict[bytes, float] = {}
        self._kept: dict[bytes, float] = {}

    def highest(self) -> NDArray[np.float64]:
        return np.max([level.highest() for level in self._levels], 0).astype(np.float64)

    def costs(self) -> NDArray[np.float64]:
        return self._levels[0].costs()

    def lost(self, ranges: NDArray[np.float64]) -> float:
        key = ranges.tobytes()
        if key not in self._lost:
            self._lost[key] = float(np.mean([level.lost(ranges) for level in self._levels]))
        return self._lost[key]

    def kept(self, ranges: NDArray[np.float64]) -> float:
        key = ranges.tobytes()
        if key not in self._kept:
            self._kept[key] = min(level.kept(ranges) for level in self._levels)
        return self._kept[key]


class _Level:
    """A network at one level, and its float32 results."""

    def __init__(self, form: Seen) -> None:
        self._onnx = form.onnx
        windows = [(middle(plane), smoothest(plane)) for plane in form.planes]
        # The middles of all pictures, then their smoothest parts.
        corners = [pair[0] for pair in windows] + [pair[1] for pair in windows]
        self.photographs = [cut(plane, at) for plane, at in zip([*form.planes] * 2, corners, strict=True)]
        originals = [
            cut(plane, at).astype(np.float64)
            for plane, at in zip([*form.originals] * 2, corners[: 2 * len(form.originals)], strict=True)
        ]
        self.missing = [originals[index] - plane if originals else None for index, plane in enumerate(self.photographs)]
        self.edges = list(hard_edges())
        exact = self._compiled(None)
        self.exact = [exact(plane) for plane in self.photographs]
        self.exact_edges = [exact(plane) for plane in self.edges]

    def peaks(self) -> list[NDArray[np.float32]]:
        ov = load_openvino()
        from openvino import opset13 as op

        model = self._read()
        seen = [op.result(layer.input_value(0)) for layer in hidden_convolutions(model)]
        run = _run(ov.Model(seen, model.get_parameters(), "features"))
        of_planes = [
            [np.abs(features).max((0, 2, 3)) for features in run(plane)] for plane in self.photographs + self.edges
        ]
        return [np.max(of_layer, 0) for of_layer in zip(*of_planes, strict=True)]

    def highest(self) -> NDArray[np.float64]:
        return np.array([peaks.max() for peaks in self.peaks()], np.float64)

    def costs(self) -> NDArray[np.float64]:
        """Multiply-accumulates of each convolution."""
        convolutions = [node for node in self._read().get_ordered_ops() if node.get_type_name() == "Convolution"]
        return np.array(
            [
                float(np.prod(list(node.get_output_shape(0)))) * np.prod(list(node.get_input_shape(1))[1:])
                for node in convolutions
            ]
        )

    def lost(self, ranges: NDArray[np.float64]) -> float:
        run = self._compiled(ranges)
        added, lost = [], []
        for plane, exact, missing in zip(self.photographs, self.exact, self.missing, strict=True):
            rounded = run(plane)
            added.append(np.square(rounded - exact).mean())
            before, after = (
                (_ASSUMED, _ASSUMED + added[-1])
                if missing is None
                else (np.square(missing - exact).mean(), np.square(missing - rounded).mean())
            )
            lost.append(10 * np.log10(after / before))
        middles = len(added) // 2
        return float(max(np.mean(lost[:middles]), np.mean(added[middles:]) * MOST_LOST / MOST_ADDED_IN_QUIET))

    def kept(self, ranges: NDArray[np.float64]) -> float:
        found: list[float] = []
        for pairs_overflow in (False, True):
            run = self._compiled(ranges, pairs_overflow=pairs_overflow)
            pairs = list(zip((run(plane) for plane in self.edges), self.exact_edges, strict=True))
            found += [_projected(pairs[:_DRAWN]), _projected(pairs[_DRAWN:])]
        return min(found)

    def _compiled(self, ranges: NDArray[np.float64] | None, *, pairs_overflow: bool = False) -> Any:
        """A function from a plane to the residual in codes; in float32 for None."""
        ov = load_openvino()
        from openvino import opset13 as op

        model = self._read()
        (parameter,), (result,) = model.get_parameters(), model.get_results()
        residual = residual_of(result.input_value(0), parameter)
        if residual is None:
            raise ValueError("the network does not add to its input")
        model = ov.Model([op.result(residual)], [parameter], "residual")
        if ranges is not None:
            with_integers(model, [float(limit) for limit in ranges], pairs_overflow=pairs_overflow)
            first_layer_in_integers(model, pairs_overflow=pairs_overflow)
        run = _run(model)
        return lambda plane: 255 * run(plane)[0].astype(np.float64)

    def _read(self) -> "ov.Model":
        model = load_openvino().Core().read_model(self._onnx, b"")
        model.reshape([1, 1, CROP, CROP])
        return model


def _projected(pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    """How much of the second of each pair is in the first, over all."""
    return float(sum((own * exact).sum() for own, exact in pairs) / sum((exact * exact).sum() for _, exact in pairs))


def _run(model: "ov.Model") -> Any:
    # Integers are computed in float32, on every processor: sums of their products are exact in it.
    how = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}
    compiled = load_openvino().Core().compile_model(model, "CPU", how)
    return lambda plane: list(compiled([(plane / np.float32(255)).astype(np.float32)[None, None]]).values())
