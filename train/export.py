"""A trained network as an ONNX file of plain operators."""

import onnx
from onnx import TensorProto, helper, numpy_helper

from train.networks.plain import NEGATIVE_SLOPE, PlainStack

# The oldest that has every operator used here in its present form; every backend reads it.
OPSET = 13
IR_VERSION = 8


def to_onnx(network: PlainStack, name: str) -> bytes:
    """The ONNX file of ``network``: [N, 1, H, W] float32 in and out, H and W divisible by the network's stride.

    The graph is written by hand: it is Conv, LeakyRelu, DepthToSpace and one Add, which every runtime has fast code
    for, and it has no trace of the framework's version.
    """
    stride = network.stride
    weights = network.effective_weights()
    initializers, nodes, last = [], [], "degraded"
    for index, (weight, bias) in enumerate(weights):
        is_head, is_tail = index == 0, index == len(weights) - 1
        for kind, tensor in (("weight", weight), ("bias", bias)):
            array = tensor.detach().cpu().contiguous().numpy()
            initializers.append(numpy_helper.from_array(array, f"conv{index}.{kind}"))
        step, pad, kernel = (stride, stride, 3 * stride) if is_head else (1, 1, 3)
        nodes.append(
            helper.make_node(
                "Conv",
                [last, f"conv{index}.weight", f"conv{index}.bias"],
                [f"conv{index}"],
                kernel_shape=[kernel] * 2,
                pads=[pad] * 4,
                strides=[step] * 2,
            )
        )
        last = f"conv{index}"
        if not is_tail:
            nodes.append(helper.make_node("LeakyRelu", [last], [f"{last}.active"], alpha=NEGATIVE_SLOPE))
            last = f"{last}.active"
    # Depth-column-row order is that of pixel_shuffle.
    nodes.append(helper.make_node("DepthToSpace", [last], ["residual"], blocksize=stride, mode="CRD"))
    nodes.append(helper.make_node("Add", ["degraded", "residual"], ["restored"]))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("degraded", TensorProto.FLOAT, ["N", 1, "H", "W"])],
        [helper.make_tensor_value_info("restored", TensorProto.FLOAT, ["N", 1, "H", "W"])],
        initializers,
    )
    model = helper.make_model(
        graph,
        producer_name="vs-srcomp",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
