"""A small photograph-like picture, and networks that change nothing or a lot."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray
from onnx import helper

from tests.helpers.networks import make_onnx, random_network
from tests.helpers.pictures import picture
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.stills.job import PictureJob

SIZE = (96, 64)

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:Make="Camera"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


@pytest.fixture(scope="session")
def rgb() -> NDArray[np.uint8]:
    """Height x width x 3."""
    channels = [picture(PlaneFormat(*SIZE, 8), seed) for seed in (1, 2, 3)]
    return np.dstack(channels).astype(np.uint8)


@pytest.fixture(scope="session")
def unchanging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that gives back what it gets."""
    weights = np.zeros((1, 1, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["r"], pads=[1] * 4),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    file = tmp_path_factory.mktemp("model") / "unchanging.onnx"
    file.write_bytes(make_onnx(nodes, {"w": weights}))
    return file


@pytest.fixture(scope="session")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights."""
    file = tmp_path_factory.mktemp("model") / "changing.onnx"
    file.write_bytes(random_network())
    return file


def as_it_is(source: Path, target: Path, model: Path, **options: Any) -> PictureJob:
    """A job that keeps the size, so that with a network that changes nothing every sample stays."""
    return PictureJob(source=source, target=target, model=model, width=options.pop("width", SIZE[0]), q=30, **options)


def luma_of(clip: vs.VideoNode) -> NDArray[Any]:
    with clip.get_frame(0) as frame:
        return np.asarray(frame[0]).copy()


def decoded(file: Path, pixel_format: str) -> NDArray[Any]:
    """The picture in ``file`` by FFmpeg."""
    import av

    with av.open(str(file)) as container:
        frame = next(container.decode(video=0)).reformat(format=pixel_format)
        if not pixel_format.startswith("ya"):
            return np.asarray(frame.to_ndarray())
        rows = np.frombuffer(frame.planes[0], np.uint8 if pixel_format == "ya8" else np.uint16)
        return rows.reshape(frame.height, -1)[:, : 2 * frame.width].reshape(frame.height, frame.width, 2).copy()
