"""Help, version, and the table of models."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

import vs_srcomp
from tests.cli.conftest import Command
from vs_srcomp.cli import main
from vs_srcomp.models import Model, load_network


def test_version(command: Command) -> None:
    done = command("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"vs-srcomp, version {vs_srcomp.__version__}\n"


@pytest.mark.parametrize("name", ["", *main.commands])
def test_help_fits_and_has_examples(name: str) -> None:
    for option in ("--help", "-h"):
        result = CliRunner().invoke(main, [*name.split(), option], terminal_width=100)
        assert result.exit_code == 0
        assert max(map(len, result.output.splitlines())) <= 100
        assert "vs-srcomp" in result.output
    if name:
        assert f"  vs-srcomp {name}" in result.output.partition("Examples:")[2]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from vs_srcomp.cli import main;"
        "CliRunner().invoke(main, ['upscale', '--help']);"
        "sys.exit([name for name in ('av', 'openvino', 'onnx', 'rich.progress') if name in sys.modules] or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_commands_are_wrong_usage(command: Command) -> None:
    done = command("upscal")
    assert (done.returncode, done.stdout) == (2, "")


def test_models_as_json() -> None:
    result = CliRunner().invoke(main, ["models", "--json"])
    assert result.exit_code == 0
    assert [Model(**entry) for entry in json.loads(result.stdout)] == list(vs_srcomp.models())


def test_table_of_models() -> None:
    result = CliRunner().invoke(main, ["models"])
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head.split()[:7] == ["name", "tier", "ratio", "Q", "parameters", "kMAC/pixel", "kodak,"]
    for model, row in zip(vs_srcomp.models(), rows, strict=True):
        name, tier, ratio, q, parameters, _, kodak, *_ = row.split()
        assert [name, tier, ratio, q, parameters] == [
            model.name,
            model.tier,
            model.ratio,
            str(model.q),
            f"{model.parameters:,}",
        ]
        assert float(kodak) == pytest.approx(model.gain_db["kodak"], abs=0.006)


def test_models_are_verified() -> None:
    result = CliRunner().invoke(main, ["models", "--verify"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [model.name for model in vs_srcomp.models()]


def test_a_damaged_model_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, *_ = vs_srcomp.models()
    other = Model(**{**vars(sound), "name": "other", "sha256": "0" * 64})
    monkeypatch.setattr(vs_srcomp, "models", lambda: (sound, other))
    load_network.cache_clear()
    result = CliRunner().invoke(main, ["models", "--verify"])
    assert result.exit_code == 1
    assert f"{sound.name}: sound" in result.stderr
    assert f"other: the model file {sound.file} is damaged" in result.stderr
