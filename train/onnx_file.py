"""ONNX files, in a version that every backend reads."""

from typing import Final

import onnx
from onnx import GraphProto, helper

# The oldest version with the current form of all operators that networks use.
_OPSET: Final = 13
_IR_VERSION: Final = 8


def onnx_file(graph: GraphProto) -> bytes:
    """The file of ``graph``, whose operators are those of opset 13.

    Raises:
        onnx.checker.ValidationError: The graph is wrong.
    """
    model = helper.make_model(
        graph, producer_name="vs-srcomp", ir_version=_IR_VERSION, opset_imports=[helper.make_opsetid("", _OPSET)]
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
