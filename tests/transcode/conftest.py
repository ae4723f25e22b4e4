"""Films and a way to transcode them quickly."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.transcode.films import Studio, write_model
from vs_srcomp.transcode import Job, Result, transcode

type Upscaled = Callable[..., Result]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "brighter.onnx")


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="session")
def film(studio: Studio) -> Path:
    return studio.film()


@pytest.fixture(scope="session")
def upscaled(model: Path) -> Upscaled:
    """Transcode with the tiny network and a fast preset."""

    def run(source: Path, target: Path, **options: object) -> Result:
        settings = {"model": model, "preset": 12, "crf": 50, **options}
        return transcode(Job(source=source, target=target, **settings))  # type: ignore[arg-type]

    return run
