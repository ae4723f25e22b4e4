"""engines/models.json against its schema, and the files against models.json."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

ENGINES = Path(__file__).resolve().parents[2] / "engines"
DESCRIBED: dict[str, Any] = json.loads((ENGINES / "models.json").read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads((ENGINES / "models.schema.json").read_text("utf-8"))


def complaints(described: object) -> list[str]:
    """Where the schema is not followed."""
    return [problem.json_path for problem in Draft202012Validator(SCHEMA).iter_errors(described)]


def with_first(**changes: object) -> dict[str, Any]:
    """models.json with another first entry."""
    changed = copy.deepcopy(DESCRIBED)
    changed["models"][0] |= changes
    return changed


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_models_json_follows_its_schema() -> None:
    assert complaints(DESCRIBED) == []


def test_names_files_and_recipes_belong_together() -> None:
    entries = DESCRIBED["models"]
    assert [entry["file"] for entry in entries] == [f"{entry['name']}.onnx" for entry in entries]
    for unique in ("name", "sha256"):
        assert len({entry[unique] for entry in entries}) == len(entries)
    assert [entry["recipe"] for entry in entries if not (ENGINES.parent / entry["recipe"]).is_file()] == []


@pytest.mark.parametrize("entry", DESCRIBED["models"], ids=lambda entry: str(entry["name"]))
def test_a_file_is_the_one_that_is_described(entry: dict[str, Any]) -> None:
    assert hashlib.sha256((ENGINES / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("tier", ["fast", "light", "quality"])
def test_a_network_for_every_level_is_called_blind_and_has_no_q(tier: str) -> None:
    entry = DESCRIBED["models"][0]
    name = f"srcomp-{tier}-{entry['ratio'].replace(':', 'by')}-blind"
    blind = {"name": name, "file": f"{name}.onnx", "tier": tier, "q": None}
    assert complaints(with_first(**blind)) == []
    assert complaints(with_first(**blind | {"q": 20})) == ["$.models[0].name"]
    assert complaints(with_first(q=None)) == ["$.models[0].name"]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"q": 25}, ".q"),
        ({"q": "20"}, ".q"),
        ({"q": 50 if DESCRIBED["models"][0]["q"] != 50 else 20}, ".name"),
        ({"tier": "slow"}, ".tier"),
        ({"tier": "quality"}, ".name"),
        ({"ratio": "4:3" if DESCRIBED["models"][0]["ratio"] != "4:3" else "2:1"}, ".name"),
        ({"ratio": "3:1"}, ".ratio"),
        ({"sha256": "A" * 64}, ".sha256"),
        ({"sha256": "0" * 63}, ".sha256"),
        ({"file": "../other.onnx"}, ".file"),
        ({"parameters": 0}, ".parameters"),
        ({"parameters": 1.5}, ".parameters"),
        ({"macs_per_pixel": 0}, ".macs_per_pixel"),
        ({"stride": 0}, ".stride"),
        ({"receptive_field": "26"}, ".receptive_field"),
        ({"recipe": "/etc/passwd"}, ".recipe"),
        ({"gain_db": {"kodak": "1.0"}}, ".gain_db.kodak"),
        ({"colour": "red"}, ""),
    ],
)
def test_what_is_wrong_is_found_where_it_is(changes: dict[str, object], place: str) -> None:
    assert complaints(with_first(**changes)) == [f"$.models[0]{place}"]


@pytest.mark.parametrize("missing", sorted(SCHEMA["$defs"]["model"]["properties"]))
def test_nothing_may_be_missing(missing: str) -> None:
    changed = with_first()
    del changed["models"][0][missing]
    assert "$.models[0]" in complaints(changed)
