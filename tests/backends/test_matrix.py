"""Every backend against the ONNX standard's reference evaluator, which none of them uses."""

import dataclasses
from functools import cache

import numpy as np
import onnx.reference
import pytest

from tests.helpers.networks import as_network, random_doubler, random_network
from tests.helpers.pictures import noise, picture
from tests.tolerances import ONE_CODE
from vs_srcomp.backends import OnnxRuntime, OpenVINO, TensorRT, Torch
from vs_srcomp.backends.base import BackendConfig, Luma, PlaneFormat
from vs_srcomp.backends.openvino import BFLOAT16_CODES
from vs_srcomp.models import Network, load_network, models, network_at

EXACT: dict[str, BackendConfig] = {
    "openvino": OpenVINO(precision="f32"),
    "onnxruntime": OnnxRuntime(provider="CPUExecutionProvider"),
    "torch": Torch(device="cpu", precision="f32"),
    "openvino on graphics": OpenVINO(device="GPU", precision="f32"),
    "onnxruntime on cuda": OnnxRuntime(provider="CUDAExecutionProvider"),
    "torch on cuda": Torch(device="cuda", precision="f32"),
    "tensorrt": TensorRT(precision="f32"),
}
DEFAULTS: dict[str, BackendConfig] = {
    "openvino": OpenVINO(),
    "onnxruntime": OnnxRuntime(),
    "torch": Torch(device="cpu"),
    "openvino on graphics": OpenVINO(device="GPU"),
    "torch on cuda": Torch(device="cuda"),
    "tensorrt": TensorRT(),
}

NETWORKS = {
    "stride 2": as_network(random_network()),
    "stride 3": as_network(random_network(3), stride=3),
    "doubler": as_network(random_doubler(), stride=1, scale=2),
}

SIZES = [(96, 64), (95, 63), (257, 5), (3, 40), (2, 2), (1, 1)]

# Of the crops of a large picture that are compared, and of what is left out at their edges.
CROP, MARGIN = 96, 24


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("backend", EXACT)
def test_float32_is_within_one_code_of_the_reference(
    backend: str, network: str, bits: int, width: int, height: int
) -> None:
    plane = PlaneFormat(width, height, bits)
    expected = expected_of(network, plane)
    assert (
        largest_difference(restore(usable(EXACT[backend]), NETWORKS[network], plane, noise(plane)), expected)
        <= ONE_CODE
    )


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("ratio", ["2:1", "8:5", "4:3"])
@pytest.mark.parametrize("backend", DEFAULTS)
def test_default_precision_is_near_the_reference_on_pictures(backend: str, ratio: str, bits: int) -> None:
    if ratio not in {model.ratio for model in models()}:
        pytest.skip(f"the package carries no model for {ratio}")
    plane = PlaneFormat(127, 95, bits)
    expected = expected_of_model(ratio, plane)
    codes = picture(plane)
    assert largest_difference(expected, codes) > 10 * (1 << (bits - 8))
    network = network_at(load_network(next(model for model in models() if model.ratio == ratio)), 30)
    # The contract is that of floating point: 8-bit integers, the default on some processors, are another form.
    network = dataclasses.replace(network, ranges=None)
    # Two codes in 8 bits: half precision on other devices.
    most = max(2, BFLOAT16_CODES[bits])
    assert largest_difference(restore(usable(DEFAULTS[backend]), network, plane, codes), expected) <= most


@pytest.mark.parametrize("backend", EXACT)
def test_8k_is_within_one_code_of_the_reference(backend: str) -> None:
    plane = PlaneFormat(7680, 4320, 8)
    runs = usable(EXACT[backend])
    network = as_network(random_network(4, channels=8), stride=4)
    codes = noise(plane)
    restored = restore(runs, network, plane, codes)
    for top in (0, 2160, plane.height - CROP):
        for left in (0, 3840, plane.width - CROP):
            crop = np.s_[top : top + CROP, left : left + CROP]
            expected = reference(network, codes[crop], 8)
            # At edges of the crop that are none of the picture, the reference lacks what lies beyond.
            kept = np.s_[
                MARGIN * (top > 0) : CROP - MARGIN * (top + CROP < plane.height),
                MARGIN * (left > 0) : CROP - MARGIN * (left + CROP < plane.width),
            ]
            assert largest_difference(restored[crop][kept], expected[kept]) <= ONE_CODE


# Looking can take seconds, and is asked for by many tests.
_why_not: dict[BackendConfig, str | None] = {}


def usable(backend: BackendConfig) -> BackendConfig:
    if backend not in _why_not:
        _why_not[backend] = backend.why_not()
    reason = _why_not[backend]
    if reason is not None:
        pytest.skip(f"{backend}: {reason}")
    if isinstance(backend, Torch):
        import torch

        torch.set_num_threads(1)
    return backend


def restore(backend: BackendConfig, network: Network, plane: PlaneFormat, codes: Luma) -> Luma:
    restored = np.zeros((plane.height * network.scale, plane.width * network.scale), plane.dtype)
    backend.compile(network, plane).worker().restore(codes, restored)
    return restored


@cache
def expected_of(network: str, plane: PlaneFormat) -> Luma:
    return reference(NETWORKS[network], noise(plane), plane.bits)


@cache
def expected_of_model(ratio: str, plane: PlaneFormat) -> Luma:
    network = network_at(load_network(next(model for model in models() if model.ratio == ratio)), 30)
    return reference(network, picture(plane), plane.bits)


def reference(network: Network, codes: Luma, bits: int) -> Luma:
    """What the network makes of a plane: padding and rounding in NumPy, the network by the standard's evaluator."""
    height, width = codes.shape
    white = 255.0 * 2 ** (bits - 8)
    padded = np.pad(codes, ((0, -height % network.stride), (0, -width % network.stride)), mode="edge")
    evaluator = onnx.reference.ReferenceEvaluator(onnx.load_model_from_string(network.onnx))
    (name,) = evaluator.input_names
    (restored,) = map(np.asarray, evaluator.run(None, {name: (padded / white).astype(np.float32)[None, None]}))
    values = restored[0, 0, : height * network.scale, : width * network.scale].astype(np.float64) * white
    result: Luma = np.clip(np.rint(values), 0, 2**bits - 1).astype(codes.dtype)
    return result


def largest_difference(a: Luma, b: Luma) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())
