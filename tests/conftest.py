"""Fixtures for all tests: the real material, and a fresh VapourSynth environment."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import vapoursynth as vs

from tests.helpers.films import Studio, Upscaled, write_model
from tests.shared_data import pytest_terminal_summary, shared_data
from vs_srcomp import log
from vs_srcomp.errors import PREFIX

__all__ = ["pytest_terminal_summary", "shared_data"]


@pytest.fixture(scope="session", autouse=True)
def engines_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of compiled engines that is not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRCOMP_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """This package's lines in the core's log, without the prefix, as in a new process."""
    monkeypatch.setattr(log, "_reported", set())
    found: list[str] = []

    def note(_: vs.MessageType, message: str) -> None:
        # VapourSynth also logs every handler.
        if message.startswith(PREFIX):
            found.append(message.removeprefix(PREFIX))

    handle = vs.core.add_log_handler(note)
    yield found
    vs.core.remove_log_handler(handle)


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of models with random weights, which replaces the package's own."""
    from tests.helpers.carried import write_models
    from vs_srcomp.models import catalogue

    folder = tmp_path / "carried"
    folder.mkdir()
    write_models(folder)
    monkeypatch.setattr(catalogue, "_engines", lambda: folder)
    for known in (catalogue._catalogue, catalogue._installed):
        known.cache_clear()
    yield folder
    for known in (catalogue._catalogue, catalogue._installed):
        known.cache_clear()


@pytest.fixture(scope="session")
def vapoursynth_configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration folder in which vspipe finds this interpreter, made as by users."""
    folder = tmp_path_factory.mktemp("config")
    program = Path(sys.executable).with_name("vapoursynth")
    done = subprocess.run(
        [program, "config"],
        env={**os.environ, "XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if not (folder / "vapoursynth" / "vapoursynth.toml").exists():
        pytest.skip(f"vspipe cannot be set up for this Python: {done.stdout}{done.stderr}")
    return folder


@pytest.fixture
def configured_vapoursynth(vapoursynth_configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let vspipe find this interpreter, not the user's own configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(vapoursynth_configuration))


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
    from vs_srcomp.transcode import Job, Result, transcode

    def run(source: Path, target: Path, **options: object) -> Result:
        settings = {"model": model, "preset": 12, "crf": 50, **options}
        return transcode(Job(source=source, target=target, **settings))  # type: ignore[arg-type]

    return run
