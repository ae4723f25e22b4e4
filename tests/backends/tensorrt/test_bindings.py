"""The real libraries of NVIDIA, as far as they can be looked at or run without a card."""

import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.backends.tensorrt.signatures import check_uses, read_bindings
from tests.helpers.networks import one_of_each
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.backends.integer_graph import with_integer_planes
from vs_srcomp.backends.tensorrt import backend, cuda_queue, log
from vs_srcomp.models import load_network, network_at
from vs_srcomp.models.half import to_half

# What else than calls of the bindings gives values of their classes.
KNOWN = {"self.engine": "ICudaEngine", "context": "IExecutionContext"}

# Those marked Y in docs/operators.md of onnx/onnx-tensorrt (TensorRT 10.0, commit 96e7811) that pictures may need.
DOCUMENTED = frozenset(
    """
    Abs Add AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose DepthToSpace Div Elu Exp
    Expand Flatten Floor Gather Gelu GlobalAveragePool HardSigmoid HardSwish Identity LeakyRelu Max MaxPool Min Mish
    Mul Neg PRelu Pad Pow Reciprocal ReduceMean Relu Reshape Resize Round Shape Sigmoid Slice Softplus SpaceToDepth
    Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where
    """.split()  # noqa: SIM905 - a list of the names would be a page of quotes.
)


def test_every_call_fits_the_signatures_of_the_real_bindings(tmp_path: Path) -> None:
    members = read_bindings(tmp_path)
    calls = []
    for module in (backend, log):
        uses = check_uses(Path(str(module.__file__)).read_text("utf-8"), members, KNOWN)
        assert not uses.wrong
        calls += uses.calls
    # That they were seen at all.
    for call in (
        "trt.Builder(1, )",
        "trt.OnnxParser(2, )",
        "Builder.create_network(1, )",
        "Builder.build_serialized_network(2, )",
        "OnnxParser.parse(1, )",
        "Runtime.deserialize_cuda_engine(1, )",
        "ICudaEngine.get_tensor_shape(1, )",
        "ICudaEngine.create_execution_context(0, )",
        "IExecutionContext.set_tensor_address(2, )",
        "IExecutionContext.execute_async_v3(1, )",
        "BuilderFlag.TF32",
        "ILogger.log('self', 'severity', 'msg')",
    ):
        assert any(call in seen for seen in calls), (call, sorted(set(calls)))


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("trt.Bilder(log)", "trt.Bilder"),
        ("trt.Builder()", "trt.Builder(0, )"),
        ("builder = trt.Builder(log)\n    builder.create_network(1, 2)", "Builder.create_network(2, )"),
        ("config = trt.Builder(log).create_builder_config()\n    config.fast = 1", "IBuilderConfig.fast ="),
        ("trt.Builder(log).create_builder_config().clear_flag(1, strict=True)", "IBuilderConfig.clear_flag"),
        ("trt.BuilderFlag.FASTER", "trt.BuilderFlag.FASTER"),
        ("trt.ILogger.Severity.FATAL", "trt.ILogger.Severity.FATAL"),
    ],
)
def test_calls_that_do_not_fit_would_be_seen(code: str, wrong: str, tmp_path: Path) -> None:
    uses = check_uses(f"def f(trt, log):\n    {code}", read_bindings(tmp_path), {})
    assert any(use.startswith(wrong) for use in uses.wrong), uses


def test_calls_of_the_cuda_runtime_have_as_many_arguments_as_it_takes() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    checked = 0
    for node in ast.walk(ast.parse(Path(cuda_queue.__file__).read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=name), args=args):
                if ast.unparse(owner) in ("runtime", "_runtime()"):
                    signature = re.match(rf"{name}\((.*?)\)", getattr(runtime, name).__doc__)
                    assert signature, name
                    assert len(args) == len([part for part in signature[1].split(",") if part.strip()]), name
                    checked += 1
            case ast.Attribute(value=owner, attr=name):
                if ast.unparse(owner) in ("runtime", "_runtime()"):
                    assert hasattr(runtime, name), name
    assert checked >= 15
    assert {"cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"} <= set(runtime.cudaMemcpyKind.__members__)
    assert hasattr(runtime.cudaStreamCaptureMode, "cudaStreamCaptureModeThreadLocal")
    assert {"name", "major", "minor"} <= set(dir(runtime.cudaDeviceProp()))
    assert cuda_queue._address(runtime.cudaStream_t(77)) == 77


@pytest.mark.parametrize("model", one_of_each(), ids=lambda model: model.name)
@pytest.mark.parametrize("bits", [8, 10])
def test_graphs_use_only_operators_that_the_parser_documents(model: Any, bits: int) -> None:
    network = network_at(load_network(model), 30)
    graph = with_integer_planes(to_half(network.onnx), PlaneFormat(64, 64, bits), as_bytes=True)
    used = {node.op_type for data in (network.onnx, graph) for node in onnx.load_model_from_string(data).graph.node}
    assert used <= DOCUMENTED


LEAN = """
import sys, tensorrt_lean_libs, tensorrt_lean_bindings
sys.modules["tensorrt"] = tensorrt_lean_bindings
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.backends.tensorrt import TensorRT
from vs_srcomp.backends.tensorrt.log import log_of
log = log_of(tensorrt_lean_bindings)
with log.listening():
    log.logger.log(tensorrt_lean_bindings.ILogger.Severity.ERROR, "heard")
assert log.errors == "heard"
for damaged in (b"", b"garbage" * 100, b"ptrt" + bytes(1000)):
    try:
        TensorRT().load(damaged, PlaneFormat(8, 8, 8))
    except Exception as reason:
        sys.stderr.write(f"refused: {reason}\\n")
    else:
        sys.exit("taken")
"""


def test_lean_runtime_refuses_damaged_plans_and_prints_nothing() -> None:
    """The real library, as far as it goes without a card: it would end the process if it were asked for more."""
    if find_spec("tensorrt_lean_bindings") is None:
        pytest.skip("TensorRT's lean runtime is not installed (tensorrt-lean-cu13-bindings, tensorrt-lean-cu13-libs)")
    done = subprocess.run([sys.executable, "-c", LEAN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("refused: ") == 3
