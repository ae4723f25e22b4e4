"""Networks in bfloat16, where it costs no accuracy."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from vs_srcomp.backends.openvino.graph import HEAVY
from vs_srcomp.backends.openvino.weights import nearest_bfloat16

if TYPE_CHECKING:
    import openvino as ov

# Their outputs depend on the shape of their input, not on its values.
_SHAPE_ONLY = frozenset({"ShapeOf"})


def to_bfloat16(network: "ov.Model", but: Collection[str] = ()) -> None:
    """Run ``network`` in bfloat16, except its first layer and operators on the picture itself.

    Args:
        network: The network, which is changed.
        but: Names of other operators that stay as they are.

    The eight bits of bfloat16 are too few for luma. OpenVINO's own hint would round the first layer, too, so types are
    set explicitly. See ``openvino.first_layer`` for that layer.
    """
    import openvino as ov
    from openvino import opset13 as op

    # Names of operators: those before any heavy one, those after one, and those in bfloat16.
    picture = {network.get_parameters()[0].get_name()}
    features, low = set[str](), set[str]()
    for node in network.get_ordered_ops():
        name, kind = node.get_name(), node.get_type_name()
        sources = [node.input_value(index) for index in range(node.get_input_size())]
        names = [source.get_node().get_name() for source in sources]
        sees_features = any(source in features for source in names)
        if kind in _SHAPE_ONLY or not (sees_features or any(source in picture for source in names)):
            continue
        (features if sees_features or kind in HEAVY else picture).add(name)
        if name in but or not sees_features or not (kind in HEAVY or any(source in low for source in names)):
            continue
        if kind == "Result" or (kind not in HEAVY and any(source in picture for source in names)):
            for index, source in enumerate(sources):
                if names[index] in low:
                    node.input(index).replace_source_output(op.convert(source, "f32").output(0))
            continue
        for index, source in enumerate(sources):
            if names[index] not in low and source.get_element_type() == ov.Type.f32:
                node.input(index).replace_source_output(op.convert(_rounded(source), "bf16").output(0))
        low.add(name)
    network.validate_nodes_and_infer_types()


def _rounded(source: "ov.Output") -> Any:
    """``source``; constants rounded to the nearest bfloat16, because OpenVINO itself truncates them."""
    from openvino import opset13 as op

    node = source.get_node()
    return op.constant(nearest_bfloat16(node.data)) if node.get_type_name() == "Constant" else source
