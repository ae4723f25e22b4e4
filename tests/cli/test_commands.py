"""Help, version, and the table of models."""

import dataclasses
import importlib.resources
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import vs_srcomp
from tests.cli.conftest import Command
from vs_srcomp.cli import main
from vs_srcomp.models import Model, catalogue

ENGINES = Path(__file__).resolve().parents[2] / "engines"


def test_version(command: Command) -> None:
    done = command("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"vs-srcomp, version {vs_srcomp.__version__}\n"


def commands_of(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command}


@pytest.mark.parametrize("name", ["", *commands_of(main)])
def test_help_fits_and_has_examples(name: str) -> None:
    for option in ("--help", "-h"):
        result = CliRunner().invoke(main, [*name.split(), option], terminal_width=100)
        assert result.exit_code == 0, result.output
        assert max(map(len, result.output.splitlines())) <= 100
        assert "vs-srcomp" in result.output
    if name:
        assert f"  vs-srcomp {name}" in result.output.partition("Examples:")[2]


def examples(command: click.Command) -> Iterator[str]:
    """The commands that the help shows, and that of commands below."""
    yield from re.findall(r"^ *(vs-srcomp .*)$", (command.help or "").partition("Examples:")[2], re.MULTILINE)
    for below in commands_of(command).values() if isinstance(command, click.Group) else ():
        yield from examples(below)


@pytest.mark.parametrize("example", list(examples(main)))
def test_examples_of_the_help_are_understood(example: str) -> None:
    words = shlex.split(re.split(r" [|>] ", example)[0])[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        command = commands_of(command)[words.pop(0)]
    command.make_context("example", words)  # which raises what the command line would be refused with


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
    known = [dataclasses.asdict(model) for model in vs_srcomp.models()]
    assert json.loads(result.stdout) == json.loads(json.dumps(known))


def test_table_of_models() -> None:
    result = CliRunner().invoke(main, ["models"])
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head.split()[:7] == ["name", "tier", "size", "Q", "parameters", "kMAC/pixel", "kodak,"]
    for model, row in zip(vs_srcomp.models(), rows, strict=True):
        cells = row.replace(" to ", "-").split()
        assert cells[0] == model.name
        assert cells[4] == f"{model.parameters:,}"
        if "kodak" in model.gain_db:
            assert float(cells[6]) == pytest.approx(model.gain_db["kodak"], abs=0.006)


def test_the_table_has_levels_and_sizes(carried: Path) -> None:
    rows = [row.split() for row in CliRunner().invoke(main, ["models"]).stdout.splitlines()]
    assert ["srcomp-light-8by5-crisp", "light", "8:5", "20", "to", "50", "1,000", "0.1"] in rows
    assert ["esrgan-4x", "-", "4x", "any", "1,000", "0.1"] in rows
    listed = json.loads(CliRunner().invoke(main, ["models", "--json"]).stdout)
    assert [entry["levels"] for entry in listed if entry["name"] == "srcomp-fast-2by1"] == [[20, 50]]


def test_models_are_verified() -> None:
    result = CliRunner().invoke(main, ["models", "--verify"])
    assert (result.exit_code, result.stdout) == (0, "")
    names = [model.name for model in vs_srcomp.models()]
    assert result.stderr.splitlines() == [f"{name}: sound" for name in ("models.json", *names)]


def test_models_are_verified_without_a_schema_where_jsonschema_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    result = CliRunner().invoke(main, ["models", "--verify"])
    assert result.exit_code == 0
    head = result.stderr.splitlines()[0]
    assert head == "models.json: readable; install jsonschema to check it against its schema"


def test_a_description_that_does_not_follow_the_schema_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = json.loads((ENGINES / "models.json").read_text())
    described["models"][1]["stride"] = 0
    described["models"][0]["parameters"] = 0
    (tmp_path / "models.json").write_text(json.dumps(described))
    (tmp_path / "models.schema.json").write_bytes((ENGINES / "models.schema.json").read_bytes())
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    result = CliRunner().invoke(main, ["models", "--verify"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[:2] == [
        "models.json: $.models[0].parameters: 0 is less than the minimum of 1",
        "models.json: $.models[1].stride: 0 is less than the minimum of 1",
    ]


def test_a_damaged_model_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, *_ = vs_srcomp.models()
    other = Model(**{**vars(sound), "name": "other", "sha256": "0" * 64})
    monkeypatch.setattr(vs_srcomp, "models", lambda: (sound, other))
    catalogue._installed.cache_clear()
    result = CliRunner().invoke(main, ["models", "--verify"])
    assert result.exit_code == 1
    assert f"{sound.name}: sound" in result.stderr
    assert f"other: the model file {sound.file} is damaged" in result.stderr
