"""Backends by name and settings."""

import pytest
import vapoursynth as vs

from vs_srcomp import Backend
from vs_srcomp.backends.from_text import backend_from_text


def test_settings_get_the_type_of_their_default() -> None:
    assert backend_from_text("openvino") == Backend.OpenVINO()
    assert backend_from_text("OpenVINO:threads=2,precision=f32") == Backend.OpenVINO(threads=2, precision="f32")
    assert backend_from_text("onnxruntime") == Backend.OnnxRuntime()
    assert backend_from_text("openvino:device=AUTO:GPU,CPU,threads=2") == Backend.OpenVINO(
        device="AUTO:GPU,CPU", threads=2
    )
    assert backend_from_text("torch:device=0,1,tile=64") == Backend.Torch(device=[0, 1], tile=64)
    assert backend_from_text("torch:device=1") == Backend.Torch(device=1)
    assert backend_from_text("tensorrt:device=0,2") == Backend.TensorRT(device=[0, 2])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("abacus", "no backend 'abacus'"),
        ("openvino:beads=3", "no setting 'beads'"),
        ("openvino:threads=1,threads=2", "threads is there twice"),
        ("openvino:threads", "threads= is not a whole number"),
        ("onnxruntime:device=0,1", r"device=\(0, 1\) is not a whole number"),
        ("openvino:threads=two", "is not a whole number"),
        ("openvino:threads=-1", "threads=-1: it cannot be negative"),
        ("openvino:threads=1025", "threads=1025 is too many"),
        ("onnxruntime:streams=257", "streams=257 is too many"),
        ("torch:tile=-3", "tile=-3: it cannot be negative"),
        ("openvino:precision=f8", "precision"),
        ("auto:threads=2", "auto has no settings"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(text: str, wrong: str) -> None:
    with pytest.raises(vs.Error, match=wrong) as caught:
        backend_from_text(text)
    assert len(str(caught.value).splitlines()) == 2
