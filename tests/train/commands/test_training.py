"""Commands about training, and the parts that recipes name."""

import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.train.material.test_patches import RECIPE, write_pairs
from train.__main__ import main
from train.listing import KINDS
from train.objectives.vgg import load_vgg
from train.run import Run


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_listed(kind: str) -> None:
    result = CliRunner().invoke(main, ["list", kind])
    assert result.exit_code == 0, result.output
    named = [line.partition(":")[0] for line in result.output.splitlines() if not line.startswith(" ")]
    assert named == list(KINDS[kind])


def test_networks_are_listed_with_parameters_cost_and_paper() -> None:
    lines = CliRunner().invoke(main, ["list", "networks"]).output.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("espcn:"))
    assert lines[at + 1 : at + 4] == [
        "    58,212 parameters, 14.5 kMAC per output pixel, scale 2",
        "    takes scale = 2, tanh = False, channels = 1",
        "    Shi et al. 2016, arXiv 1609.05158",
    ]


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    result = CliRunner().invoke(main, ["list", "losses"])
    assert result.exit_code == 2
    assert "'networks', 'degradations', 'objectives', 'materials', 'metrics'" in result.output


def test_weights_of_the_classifier_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    pytest.importorskip("stlpips_pytorch")
    file = tmp_path / "vgg.safetensors"
    result = CliRunner().invoke(main, ["vgg-weights", str(file)])
    assert result.exit_code == 0, result.output
    assert len(load_vgg(file).stages) == 4


def test_weights_of_a_package_that_is_not_installed_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.objectives.vgg.PACKAGE", "stlpips_pytorch_of_nobody")
    result = CliRunner().invoke(main, ["vgg-weights", str(tmp_path / "vgg.safetensors")])
    assert result.exit_code == 1
    assert result.output == (
        "Error: the package stlpips-pytorch is not installed: pip install --no-deps stlpips-pytorch==0.0.2\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("has_checkpoint", "message"),
    [
        (True, "Error: stopped; the same command goes on from the last checkpoint of of-patches\n"),
        (False, "Error: stopped before the first checkpoint of of-patches; the same command begins this run again\n"),
    ],
)
def test_a_stopped_run_says_how_to_go_on(
    has_checkpoint: bool, message: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        run = Run(tmp_path / "work" / "runs" / "of-patches")
        if has_checkpoint:
            run.folder.mkdir()
            run.checkpoint.touch()
        signal.raise_signal(number)

    monkeypatch.setattr("train.fit.fit", stopped)
    before = signal.getsignal(signal.SIGTERM)
    for kind in ("train", "valid"):
        write_pairs(tmp_path, kind, 40, 8)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    arguments = ["fit", str(tmp_path / "recipe.toml"), "--images", str(tmp_path), "--work", str(tmp_path / "work")]
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.output) == (1, message)
    assert signal.getsignal(signal.SIGTERM) is before
