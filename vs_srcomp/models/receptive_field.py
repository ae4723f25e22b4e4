"""The receptive field of a network, computed from its graph.

For each supported operator it is known on which input samples an output sample depends; the output's samples are
traced back through the graph (as in Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks",
Distill). Any other operator counts as depending on the whole picture.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

type Shapes = Mapping[str, tuple[int, ...]]
"""Sizes of values in a graph, by name; values of unknown size are missing."""


@dataclass(frozen=True)
class Reach:
    """The input pixels that an output pixel depends on."""

    field: int | None
    """Side in input pixels of the square around a pixel that contains them; None if the whole plane may count."""
    grid: int
    """A shift of the input by a multiple of this many pixels shifts every value in the network by whole samples."""
    obstacle: str = ""
    """The operator that may depend on the whole plane."""
    margin: int = 0
    """Input pixels around a cell (a square of ``grid`` pixels) on which its result may depend: less than half of
    ``field``, because not all pixels of a cell reach equally far on the same side."""


def find_reach(graph: GraphProto, shapes: Shapes, scale: int) -> Reach:
    """The input pixels that an output pixel of ``graph`` depends on.

    Args:
        graph: A graph with one input and one output besides the weights, [N, C, H, W], nodes in topological order, and
            constants folded.
        shapes: Sizes of all values, for an input whose sides are multiples of the network's stride.
        scale: Output size over input size.
    """
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    (source,) = (value.name for value in graph.input if value.name not in initializers)
    target = graph.output[0].name
    reader = _Reader(source, initializers, shapes)
    try:
        for node in graph.node:
            reader.read(node)
        if reader.rates.get(target) != (Fraction(1, scale), Fraction(1, scale)):
            raise _MayLookAnywhereError(graph.node[-1].op_type if graph.node else "nothing")
    except _MayLookAnywhereError as reason:
        return Reach(None, 1, str(reason))
    grid = math.lcm(*(rate.numerator for rates in reader.rates.values() for rate in rates))
    sides, margins = [], [0]
    for axis in (0, 1):
        for sample in range(scale * grid):
            first, last = _trace_back(reader.steps, axis, source, target, sample)
            pixel = sample // scale
            sides.append(max(2 * (pixel - first), 2 * (last - pixel), last - first + 1))
            margins += [-first, last - (grid - 1)]
    return Reach(max(sides), grid, margin=max(margins))


type _Samples = tuple[int, int]
"""First and last of a run of samples on one axis."""


@dataclass(frozen=True)
class _Along:
    """The effect of an operator on one axis."""

    step: Fraction
    """Input samples per output sample."""
    back: Callable[[int, int], _Samples]
    """Maps a run of output samples to the run of input samples that it depends on."""


@dataclass(frozen=True)
class _Step:
    """An operator on the picture's path."""

    pictures: list[str]
    outputs: list[str]
    axes: tuple[_Along, _Along]
    """Vertically and horizontally."""


def _trace_back(steps: list[_Step], axis: int, source: str, target: str, sample: int) -> _Samples:
    """The run of samples of ``source`` that one sample of ``target`` depends on."""
    needed = {target: (sample, sample)}
    for step in reversed(steps):
        runs = [needed[name] for name in step.outputs if name in needed]
        if not runs:
            continue
        run = step.axes[axis].back(min(first for first, _ in runs), max(last for _, last in runs))
        for name in step.pictures:
            known = needed.get(name, run)
            needed[name] = min(known[0], run[0]), max(known[1], run[1])
    return needed[source]


class _MayLookAnywhereError(Exception):
    """An operator that may not be local; the message names it."""


_SAMPLE_BY_SAMPLE = (
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh Cast CastLike Ceil Celu Clip Cos Cosh Div Dropout Elu Equal Erf Exp "
    "Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity LeakyRelu Less LessOrEqual Log Max Mean Min Mish "
    "Mod Mul Neg Not Or Pow PRelu Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub "
    "Sum Swish Tan Tanh ThresholdedRelu Where Xor"
)
# Operators whose output size may come from another value.
_SIZED = frozenset(("Resize", "Upsample", "Slice"))
# Half widths of interpolation kernels in samples; nearest uses one of the samples of linear.
_TAPS = {b"nearest": 1, b"linear": 1, b"cubic": 2}
# Position of samples within their cells, by the name of the rule. Before version 11 the rule was always the first one;
# since then the second one is the default.
_SHIFTS = {
    b"asymmetric": (Fraction(0),),
    b"half_pixel": (Fraction(1, 2),),
    b"half_pixel_symmetric": (Fraction(1, 2),),
    b"pytorch_half_pixel": (Fraction(1, 2),),
    b"": (Fraction(0), Fraction(1, 2)),
}


def _along(stride: int, span: int = 1, begin: int = 0) -> _Along:
    """A window of ``span`` samples that starts ``begin`` samples before the picture and moves by ``stride``."""
    return _Along(Fraction(stride), lambda first, last: (first * stride - begin, last * stride - begin + span - 1))


def _spread(size: int) -> _Along:
    """Each sample becomes a run of ``size``."""
    return _Along(Fraction(1, size), lambda first, last: (first // size, last // size))


_SAME = _along(1)


class _Reader:
    """Reads operators in topological order and keeps those on the picture's path."""

    def __init__(self, source: str, initializers: Mapping[str, TensorProto], shapes: Shapes) -> None:
        self.steps: list[_Step] = []
        self.rates = {source: (Fraction(1), Fraction(1))}
        """Input pixels per sample, vertically and horizontally, of values that depend on the picture."""
        self._shapes = {**shapes, **{name: tuple(tensor.dims) for name, tensor in initializers.items()}}
        self._tensors = dict(initializers)
        # Values that depend neither on the picture nor on its size. Values in neither set depend on the size.
        self._constants = set(initializers)

    def read(self, node: NodeProto) -> None:
        """Process the next operator."""
        if any(attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for attribute in node.attribute):
            raise _MayLookAnywhereError(node.op_type)  # Branches use values that are not among its inputs.
        pictures = [name for name in node.input if name in self.rates]
        if node.op_type in ("Shape", "Size"):
            return
        if not pictures:
            if all(name in self._constants for name in node.input if name):
                self._constants.update(node.output)
            return
        vertical, horizontal = self._axes(node, pictures)
        rates = self.rates[pictures[0]]
        if any(self.rates[name] != rates for name in pictures):
            raise _MayLookAnywhereError(node.op_type)
        outputs = [name for name in node.output if name]
        self.steps.append(_Step(pictures, outputs, (vertical, horizontal)))
        self.rates.update(dict.fromkeys(outputs, (rates[0] * vertical.step, rates[1] * horizontal.step)))

    def _axes(self, node: NodeProto, pictures: list[str]) -> tuple[_Along, _Along]:
        """The vertical and horizontal effect of an operator whose inputs are ``pictures``."""
        if node.op_type in _SAMPLE_BY_SAMPLE.split():
            self._check_broadcast(node, pictures)
            return _SAME, _SAME
        if node.op_type == "Concat":
            self._check(node, _attribute(node, "axis", 1) in (1, -3) and len(pictures) == len(node.input))
            return _SAME, _SAME
        # All others have one picture among their inputs.
        self._check(node, pictures == [node.input[0]] and len(self._shape(node, pictures[0])) == 4)
        if node.op_type not in _SIZED:
            self._check(node, all(name in self._constants for name in node.input[1:] if name))
        match node.op_type:
            case "Conv":
                return self._window(node, self._shape(node, node.input[1])[2:])
            case "ConvTranspose":
                return self._transposed(node)
            case "MaxPool" | "AveragePool" | "LpPool":
                self._check(node, len(node.output) == 1)
                return self._window(node, _attribute(node, "kernel_shape", ()))
            case "DepthToSpace":
                along = _spread(_attribute(node, "blocksize", 1))
                return along, along
            case "SpaceToDepth":
                size = _attribute(node, "blocksize", 1)
                along = _along(size, size)
                return along, along
            case "Resize" | "Upsample":
                return self._resized(node)
            case "Pad":
                return self._padded(node)
            case "Slice":
                return self._sliced(node)
        self._check(node, self._is_of_channels(node))
        return _SAME, _SAME

    def _is_of_channels(self, node: NodeProto) -> bool:
        """Whether an operator is pointwise."""
        match node.op_type:
            case "BatchNormalization":
                return not _attribute(node, "training_mode", 0)
            case "QuantizeLinear" | "DequantizeLinear":
                return True
            case "Split":
                return _attribute(node, "axis", 0) in (1, -3)
            case "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin":
                return self._numbers(node, 1, "axes") in ([1], [-3]) and bool(_attribute(node, "keepdims", 1))
        return False

    def _check_broadcast(self, node: NodeProto, pictures: list[str]) -> None:
        """Refuse operands that are not the same at every place of the picture."""
        sizes = {self._shape(node, name)[-2:] for name in pictures}
        others = [name for name in node.input if name and name not in pictures]
        self._check(node, len(sizes) == 1 and all(name in self._constants for name in others))
        self._check(node, all(side == 1 for name in others for side in self._shape(node, name)[-2:]))

    def _window(self, node: NodeProto, kernel: tuple[int, ...]) -> tuple[_Along, _Along]:
        """Convolution and pooling."""
        self._check(node, len(kernel) == 2)
        strides = _attribute(node, "strides", (1, 1))
        dilations = _attribute(node, "dilations", (1, 1))
        spans = [(side - 1) * dilation + 1 for side, dilation in zip(kernel, dilations, strict=True)]
        begins = list(_attribute(node, "pads", (0, 0, 0, 0))[:2])
        automatic = _attribute(node, "auto_pad", b"NOTSET")
        if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
            before, after = (self._shape(node, name)[2:] for name in (node.input[0], node.output[0]))
            for axis in (0, 1):
                total = max((after[axis] - 1) * strides[axis] + spans[axis] - before[axis], 0)
                begins[axis] = total // 2 if automatic == b"SAME_UPPER" else -(-total // 2)
        vertical, horizontal = (_along(strides[axis], spans[axis], begins[axis]) for axis in (0, 1))
        return vertical, horizontal

    def _transposed(self, node: NodeProto) -> tuple[_Along, _Along]:
        """Transposed convolution: output sample j takes input samples i with j = i * stride - pad + tap * dilation."""
        self._check(node, _attribute(node, "auto_pad", b"NOTSET") in (b"NOTSET", b"VALID"))
        self._check(node, _attribute(node, "output_shape", None) is None)
        kernel = self._shape(node, node.input[1])[2:]
        self._check(node, len(kernel) == 2)
        strides = _attribute(node, "strides", (1, 1))
        dilations = _attribute(node, "dilations", (1, 1))
        pads = _attribute(node, "pads", (0, 0, 0, 0))

        def along(axis: int) -> _Along:
            stride, pad, reach = strides[axis], pads[axis], (kernel[axis] - 1) * dilations[axis]
            return _Along(
                Fraction(1, stride), lambda first, last: (-((reach - pad - first) // stride), (last + pad) // stride)
            )

        return along(0), along(1)

    def _resized(self, node: NodeProto) -> tuple[_Along, _Along]:
        """Interpolation by an integer factor; with other factors, rounding could depend on the place."""
        before, after = (self._shape(node, name) for name in (node.input[0], node.output[0]))
        self._check(node, before[:2] == after[:2] and _attribute(node, "mode", b"nearest") in _TAPS)
        self._check(node, _attribute(node, "keep_aspect_ratio_policy", b"stretch") == b"stretch")
        taps = _TAPS[_attribute(node, "mode", b"nearest")]
        smooth = bool(_attribute(node, "antialias", 0))
        mode = _attribute(node, "coordinate_transformation_mode", b"")
        self._check(node, mode in _SHIFTS)

        def along(factor: Fraction) -> _Along:
            self._check(node, 1 in (factor.numerator, factor.denominator))
            reach = taps / factor if smooth and factor < 1 else taps

            def back(first: int, last: int) -> _Samples:
                low = min((first + shift) / factor - shift for shift in _SHIFTS[mode])
                high = max((last + shift) / factor - shift for shift in _SHIFTS[mode])
                # The outermost tap of the kernel has no weight.
                return math.floor(low - reach) + 1, math.ceil(high + reach) - 1

            return _Along(1 / factor, back)

        return along(Fraction(after[2], before[2])), along(Fraction(after[3], before[3]))

    def _padded(self, node: NodeProto) -> tuple[_Along, _Along]:
        # A reflected sample is no further away than the padding that it replaces.
        self._check(node, _attribute(node, "mode", b"constant") in (b"constant", b"reflect", b"edge"))
        pads = self._numbers(node, 1, "pads") or []
        axes = [axis % 4 for axis in self._numbers(node, 3, "axes") or range(4)]
        self._check(node, len(pads) == 2 * len(axes))
        begins = dict(zip(axes, pads, strict=False))
        return _along(1, begin=begins.get(2, 0)), _along(1, begin=begins.get(3, 0))

    def _sliced(self, node: NodeProto) -> tuple[_Along, _Along]:
        starts = self._numbers(node, 1, "starts") or []
        axes = [axis % 4 for axis in self._numbers(node, 3, "axes") or range(len(starts))]
        steps = self._numbers(node, 4, "steps") or [1] * len(axes)
        self._check(node, len(starts) == len(axes) == len(steps))
        cuts = {axis: (start, step) for axis, start, step in zip(axes, starts, steps, strict=True) if axis >= 2}
        self._check(node, all(start >= 0 and step > 0 for start, step in cuts.values()))
        vertical, horizontal = (cuts.get(axis, (0, 1)) for axis in (2, 3))
        return _along(vertical[1], begin=-vertical[0]), _along(horizontal[1], begin=-horizontal[0])

    def _numbers(self, node: NodeProto, index: int, attribute: str) -> list[int] | None:
        """Integers that are a constant input in newer versions of an operator, and an attribute in older ones."""
        if len(node.input) <= index or not node.input[index]:
            found = _attribute(node, attribute, None)
            return None if found is None else list(found)
        tensor = self._tensors.get(node.input[index])
        if tensor is None:
            raise _MayLookAnywhereError(node.op_type)
        return [int(number) for number in numpy_helper.to_array(tensor).reshape(-1)]

    def _shape(self, node: NodeProto, name: str) -> tuple[int, ...]:
        self._check(node, name in self._shapes)
        return self._shapes[name]

    def _check(self, node: NodeProto, is_local: bool) -> None:
        if not is_local:
            raise _MayLookAnywhereError(node.op_type)


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default
