"""Networks as OpenVINO graphs, with integer planes as input and output."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.errors import error, last_line
from vs_srcomp.models.network import Network

if TYPE_CHECKING:
    import openvino as ov

# Operators that do nearly all of the work: reduced precision makes these faster.
HEAVY = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"})


def read(core: "ov.Core", network: Network, plane: PlaneFormat) -> "ov.Model":
    """The network for ``plane`` padded to its stride, [1, 1, H, W] as input and output.

    Raises:
        vs.Error: OpenVINO cannot read it, or its input or output is not one luma plane of the right size.
    """
    try:
        model = core.read_model(network.onnx, b"")
    except RuntimeError as reason:
        raise error(
            f"OpenVINO cannot read the network: {last_line(reason)}",
            "use another backend, such as onnxruntime, or export the network with an older opset",
        ) from reason
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        shape = ports[0].partial_shape
        if len(ports) != 1 or shape.rank.is_dynamic or len(shape) != 4 or shape[1] not in (1, -1):
            raise error(
                f"the network's {kind} is not one luma plane [N, 1, H, W] but {[str(p.partial_shape) for p in ports]}",
                "give a network that takes and gives luma",
            )
    bottom, right = plane.padding(network.stride)
    height, width = plane.height + bottom, plane.width + right
    try:
        model.reshape([1, 1, height, width])
    except RuntimeError as reason:
        raise error(
            f"the network does not take a plane of {width}x{height}: {last_line(reason)}",
            "give a fully convolutional network with dynamic height and width",
        ) from reason
    given = list(model.output(0).partial_shape)
    if given != [1, 1, height * network.scale, width * network.scale]:
        raise error(
            f"the network does not give a plane of {network.scale} times the size that it takes: {given} for "
            f"{[1, 1, height, width]}",
            "give a fully convolutional network with dynamic height and width, [N, 1, H, W] to [N, 1, H, W]",
        )
    return model


def with_integer_planes(model: "ov.Model", network: Network, plane: PlaneFormat) -> "ov.Model":
    """Wrap ``model`` (luma 0..1 in float32) so that its input and output are integer codes of ``plane``.

    If the network ends in an addition of its own input (a global skip), codes are added instead, so that reduced
    precision cannot affect the skip path.
    """
    import openvino as ov
    from openvino import opset13 as op

    bottom, right = plane.padding(network.stride)
    codes = op.parameter([1, 1, plane.height, plane.width], ov.Type(plane.dtype), name="codes")
    exact = op.convert(codes, "f32")
    luma = op.multiply(exact, np.float32(1 / plane.code_scale))
    if bottom or right:
        luma = op.pad(luma, np.zeros(4, np.int64), np.array([0, 0, bottom, right]), "edge")

    (parameter,) = model.get_parameters()
    (result,) = model.get_results()
    restored = result.input_value(0)
    residual = residual_of(restored, parameter)
    for port in parameter.output(0).get_target_inputs():
        port.replace_source_output(luma.output(0))

    output = restored if residual is None else residual
    if bottom or right:
        size, axes = np.array([plane.height, plane.width]) * network.scale, np.array([2, 3])
        output = op.slice(output, np.zeros(2, np.int64), size, np.ones(2, np.int64), axes).output(0)
    values = op.multiply(output, np.float32(plane.code_scale))
    if residual is not None:
        values = op.add(exact, values)
    return ov.Model([to_codes(values, plane)], [codes], "srcomp")


def to_codes(values: "ov.Node", plane: PlaneFormat) -> "ov.Node":
    """``values``, in float32, clamped and rounded to integer codes of ``plane``."""
    import openvino as ov
    from openvino import opset13 as op

    rounding: Literal["half_away_from_zero"] = "half_away_from_zero"
    return op.convert(op.round(op.clamp(values, 0, plane.peak), rounding), ov.Type(plane.dtype))


def has_skip(model: "ov.Model") -> bool:
    """Whether the network ends in an addition of its own input."""
    (parameter,) = model.get_parameters()
    (result,) = model.get_results()
    return residual_of(result.input_value(0), parameter) is not None


def residual_of(restored: "ov.Output", parameter: "ov.Node") -> "ov.Output | None":
    """The residual that the network adds to its input; None if it has no global skip."""
    addition = restored.get_node()
    if addition.get_type_name() != "Add":
        return None
    inputs = [addition.input_value(index) for index in range(2)]
    from_input = [source.get_node() == parameter for source in inputs]
    return inputs[from_input.index(False)] if from_input.count(True) == 1 else None


def geometry(convolution: "ov.Node") -> list[Any]:
    """The attributes of a convolution, as arguments for another one."""
    how = convolution.get_attributes()
    return [how[name] for name in ("strides", "pads_begin", "pads_end", "dilations", "auto_pad")]
