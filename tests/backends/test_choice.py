"""The choice in interpreters that lack libraries, in which nothing has been chosen yet."""

import ast
import hashlib
import subprocess
import sys
from collections.abc import Collection
from importlib.util import find_spec

import onnx
import pytest

from tests.helpers.processes import HIDDEN
from vs_srcomp.backends import OpenVINO, choice, registry
from vs_srcomp.backends.base import BackendConfig

CHOOSE = (
    HIDDEN
    + """
import ctypes
import vapoursynth as vs
from vs_srcomp.backends import choice

messages = []
vs.core.add_log_handler(lambda kind, message: messages.append(message))
{change}
try:
    chosen = [repr(choice.default_backend()), choice.default_backend() == choice.default_backend()]
except vs.Error as reason:
    chosen = [str(reason)]
print([chosen, [message for message in messages if "srcomp" in message], sorted(sys.modules)])
"""
)

NO_CARD = registry.no_card() is not None


def choose(hidden: Collection[str], change: str = "") -> tuple[list[object], list[str], list[str]]:
    """What is chosen, or the error; what the log says; the modules that were loaded for it."""
    script = CHOOSE.format(hidden=set(hidden), change=change)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    chosen, messages, modules = ast.literal_eval(done.stdout)
    return chosen, messages, modules


@pytest.mark.skipif(not NO_CARD, reason="with a graphics card, something else may go first")
def test_openvino_is_the_choice_without_a_card_and_no_other_library_is_loaded() -> None:
    chosen, messages, modules = choose(())
    assert chosen == [repr(OpenVINO()), True]
    (message,) = messages
    assert message.startswith("srcomp: OpenVINO runs the networks (TensorRT: no NVIDIA")
    assert "PyTorch on a graphics card: no NVIDIA" in message
    assert not {"torch", "onnxruntime", "onnx", "tensorrt"} & set(modules)


@pytest.mark.skipif(not NO_CARD, reason="with a graphics card, something else may go first")
def test_onnx_runtime_is_the_choice_without_openvino() -> None:
    chosen, messages, modules = choose({"openvino"})
    assert str(chosen[0]).startswith("OnnxRuntime(")
    assert "OpenVINO: not installed" in messages[0]
    assert "torch" not in modules


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.skipif(not NO_CARD, reason="with a graphics card, something else may go first")
def test_pytorch_on_the_processor_comes_last() -> None:
    chosen, messages, _ = choose({"openvino", "onnxruntime"})
    assert str(chosen[0]).startswith("Torch(device='cpu'")
    assert "ONNX Runtime: not installed" in messages[0]


def test_without_any_library_the_error_names_each_and_ends_in_a_command() -> None:
    (message,), messages, _ = choose({"openvino", "onnxruntime", "torch", "tensorrt"})
    lines = str(message).splitlines()
    assert lines[0] == "srcomp: no backend works here"
    assert lines[-1] == "pip install openvino"
    assert [line.partition(":")[0] for line in lines[1:-1]] == [entry.title for entry in registry.BACKENDS]
    assert not messages


@pytest.mark.skipif(not NO_CARD, reason="with a graphics card, something else may go first")
def test_a_backend_that_gives_wrong_codes_or_fails_is_passed_over() -> None:
    broken = """
from vs_srcomp.backends.openvino import OpenVINOWorker
def restore(self, source, target):
    {body}
OpenVINOWorker.restore = restore
"""
    for body, reason in (("target[:] = source", "off by 85 codes"), ("raise OSError('lost')", "does not work: lost")):
        chosen, messages, _ = choose((), broken.format(body=body))
        assert str(chosen[0]).startswith("OnnxRuntime(")
        assert f"OpenVINO: it {'is ' if 'off' in reason else ''}{reason}" in messages[0]


def test_a_card_is_looked_for_before_a_library_is_loaded() -> None:
    looked = []

    def look() -> str:
        looked.append(True)
        return "no card"

    def make() -> OpenVINO:
        raise AssertionError("loaded")

    entry = registry.Entry(title="x", kind=OpenVINO, package="numpy", remedy=lambda: "", make=make, has_device=look)
    assert choice.why_not(entry) == "no card"
    assert looked


def test_the_network_of_the_trial_is_what_its_comment_says() -> None:
    model = onnx.load_model_from_string(choice._BRIGHTEN.onnx)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Add"]
    (weight,) = model.graph.initializer
    assert onnx.numpy_helper.to_array(weight).tolist() == [[[[0, 0, 0], [0, 0.5, 0], [0, 0, 0]]]]
    assert choice._BRIGHTEN.sha256 == hashlib.sha256(choice._BRIGHTEN.onnx).hexdigest()


def test_every_backend_is_registered_in_the_order_of_the_documentation() -> None:
    names = [entry.title for entry in registry.BACKENDS]
    assert names == ["TensorRT", "PyTorch on a graphics card", "OpenVINO", "ONNX Runtime", "PyTorch"]
    chosen: BackendConfig = choice.default_backend()
    assert chosen == choice.default_entry().make()
