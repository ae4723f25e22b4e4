"""A torch module that runs an ONNX graph, operator by operator. Imports torch: import it where it is used.

The file is read as data: weights are tensors of the ONNX format, and operators are looked up by their names.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
import vapoursynth as vs
from numpy.typing import NDArray
from onnx import NodeProto, numpy_helper
from torch import Tensor, nn

from vs_srcomp.backends.torch.onnx_operators import Constants, UnsupportedError, operator
from vs_srcomp.errors import error
from vs_srcomp.models.graph import hoist_constants, input_of, residual_of

# Operators whose result is never a view of an input.
_ALWAYS_NEW = frozenset(
    ("Add", "Concat", "Conv", "ConvTranspose", "Div", "LeakyRelu", "Mul", "PRelu", "Relu", "Sigmoid", "Sub", "Tanh")
)


class OnnxModule(nn.Module):
    """The network in an ONNX file; only its residual part if it ends in the addition of its input.

    Input: (N, 1, H, W), luma in 0..1, float32. Output: the same form, in the type of the arithmetic.
    """

    def __init__(self, network: bytes, dtype: torch.dtype = torch.float32) -> None:
        """Build the module.

        Args:
            network: An ONNX file with one input and one output, without external tensors.
            dtype: Type of the arithmetic, whatever the file's own. With bfloat16, operators on the picture itself
                compute in float32: rounding the picture to eight bits causes nearly all of the error, and these
                operators are little of the work.

        Raises:
            vs.Error: It has an unsupported operator, or an unsupported use of one.
        """
        super().__init__()
        graph = onnx.load_model_from_string(network).graph
        hoist_constants(graph)
        residual = residual_of(graph)
        self.has_skip = residual is not None
        """Whether the caller must add the input, in a precision of its choice."""
        self._source = input_of(graph)
        self._target = residual or graph.output[0].name
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        steps = [_step(node, constants) for node in _needed(list(graph.node), self._target)]
        self._steps = _reusing_memory(steps, {self._source, self._target, *constants})
        self.dtype = dtype
        for number, step in enumerate(steps):
            is_exact = dtype == torch.bfloat16 and self._source in step.inputs
            step.dtype = torch.float32 if is_exact else dtype
            for place, name in enumerate(step.inputs):
                if name in constants:
                    step.buffers[name] = f"constant{number}_{place}"
                    self.register_buffer(step.buffers[name], _tensor(constants[name], step.dtype), persistent=False)

    def forward(self, luma: Tensor) -> Tensor:
        """Run the graph."""
        values = {self._source: luma}
        for step in self._steps:
            inputs = (self._input(name, step, values) for name in step.inputs)
            values[step.output] = step.run(*inputs).to(self.dtype)
            for name in step.last_uses:
                del values[name]
        return values[self._target]

    def _input(self, name: str, step: "_Step", values: Mapping[str, Tensor]) -> Tensor | None:
        if not name:  # an omitted optional input
            return None
        return values[name].to(step.dtype) if name in values else self.get_buffer(step.buffers[name])


@dataclass
class _Step:
    """One operator with the names of its inputs and its output."""

    run: Callable[..., Tensor]
    in_place: Callable[..., Tensor] | None
    inputs: list[str]
    output: str
    is_new: bool
    """Whether its output has its own memory, and is not a view of an input."""
    last_uses: list[str] = field(default_factory=list)
    """Values that no later step needs, whose memory can be freed."""
    dtype: torch.dtype = torch.float32
    """Type of its arithmetic."""
    buffers: dict[str, str] = field(default_factory=dict)
    """Names of the module's buffers by the names of the constants that they hold."""


def _needed(nodes: list[NodeProto], target: str) -> list[NodeProto]:
    """The nodes that ``target`` depends on, in their order, which by the standard is topological."""
    wanted = {target}
    needed = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            needed.append(node)
    return needed[::-1]


def _step(node: NodeProto, constants: Constants) -> _Step:
    if any(node.output[1:]):
        raise _cannot(node.op_type, " with several outputs")
    try:
        if node.domain not in ("", "ai.onnx"):
            raise KeyError(node.op_type)
        found = operator(node, constants)
    except KeyError:
        raise _cannot(node.op_type, "") from None
    except UnsupportedError as reason:
        raise _cannot(node.op_type, f" with {reason}") from reason
    inputs = list(node.input)[: found.tensors]
    return _Step(found.run, found.in_place, inputs, node.output[0], node.op_type in _ALWAYS_NEW)


def _cannot(operator: str, use: str) -> vs.Error:
    return error(
        f"the network has the operator {operator}{use}, which the torch backend does not support",
        "use another backend for it, such as OpenVINO or OnnxRuntime",
    )


def _reusing_memory(steps: list[_Step], kept: set[str]) -> list[_Step]:
    """Mark values that are no longer needed, and let operators overwrite them if they can."""
    uses = Counter(name for step in steps for name in set(step.inputs))
    shared = {name for step in steps if not step.is_new for name in (*step.inputs, step.output)}
    for step in steps:
        for name in sorted(set(step.inputs) - kept - {""}):
            uses[name] -= 1
            if not uses[name]:
                step.last_uses.append(name)
        if step.in_place and step.inputs[0] in set(step.last_uses) - shared:
            step.run = step.in_place
    return steps


def _tensor(value: NDArray[Any], dtype: torch.dtype) -> Tensor:
    if value.dtype.kind == "f" or value.dtype.name == "bfloat16":
        return torch.from_numpy(np.array(value, np.float32)).to(dtype)
    return torch.from_numpy(np.array(value))
