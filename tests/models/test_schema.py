"""engines/models.json against its schema, and the files against models.json."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

ENGINES = Path(__file__).resolve().parents[2] / "engines"
DESCRIBED: dict[str, Any] = json.loads((ENGINES / "models.json").read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads((ENGINES / "models.schema.json").read_text("utf-8"))


OURS: dict[str, Any] = {
    "name": "srcomp-fast-2by1",
    "file": "srcomp-fast-2by1.onnx",
    "sha256": "0" * 64,
    "system": "srcomp",
    "tier": "fast",
    "ratio": "2:1",
    "look": "faithful",
    "levels": [20, 50],
    "parameters": 170_000,
    "macs_per_pixel": 10368.0,
    "stride": 4,
    "receptive_field": 54,
    "recipe": "train/recipes/fast-2by1.toml",
    "ranges": [0.5, 1.25],
    "gain_db": {"kodak": 0.8},
    "licence": "CC0-1.0",
}
ESPCN: dict[str, Any] = {name: value for name, value in OURS.items() if name not in ("tier", "ratio", "look")} | {
    "name": "espcn-2x",
    "file": "espcn-2x.onnx",
    "system": "espcn",
    "scale": 2,
    "levels": None,
    "ranges": [],
}


def complaints(described: object) -> list[str]:
    """Where the schema is not followed."""
    return [problem.json_path for problem in Draft202012Validator(SCHEMA).iter_errors(described)]


def about(entry: dict[str, Any], **changes: object) -> list[str]:
    """What is wrong with an entry."""
    return complaints({"models": [entry | changes]})


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


def test_both_kinds_of_entries_follow_it() -> None:
    assert about(OURS) == about(OURS, scale=1) == about(ESPCN) == []
    for tier in ("fast", "light", "quality"):
        for ratio, slug in (("2:1", "2by1"), ("8:5", "8by5"), ("4:3", "4by3")):
            for look, end in (("faithful", ""), ("crisp", "-crisp")):
                name = f"srcomp-{tier}-{slug}{end}"
                assert about(OURS, name=name, file=f"{name}.onnx", tier=tier, ratio=ratio, look=look) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"levels": [20]}, ".levels"),
        ({"levels": [20, 64]}, ".levels"),
        ({"levels": None}, ".levels"),
        ({"tier": "slow"}, ".tier"),
        ({"tier": "quality"}, ".name"),
        ({"ratio": "4:3"}, ".name"),
        ({"ratio": "3:1"}, ".ratio"),
        ({"look": "crisp"}, ".name"),
        ({"look": "soft"}, ".look"),
        ({"scale": 2}, ".scale"),
        ({"system": "espcn"}, ""),
        ({"sha256": "A" * 64}, ".sha256"),
        ({"sha256": "0" * 63}, ".sha256"),
        ({"file": "../other.onnx"}, ".file"),
        ({"parameters": 0}, ".parameters"),
        ({"parameters": 1.5}, ".parameters"),
        ({"macs_per_pixel": 0}, ".macs_per_pixel"),
        ({"stride": 0}, ".stride"),
        ({"receptive_field": "26"}, ".receptive_field"),
        ({"recipe": "/etc/passwd"}, ".recipe"),
        ({"ranges": [-1]}, ".ranges[0]"),
        ({"gain_db": {"kodak": "1.0"}}, ".gain_db.kodak"),
        ({"licence": ""}, ".licence"),
        ({"colour": "red"}, ""),
    ],
)
def test_what_is_wrong_is_found_where_it_is(changes: dict[str, object], place: str) -> None:
    assert f"$.models[0]{place}" in about(OURS, **changes)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"scale": 5}, ".scale"),
        ({"tier": "fast"}, ".tier"),
        ({"look": "crisp"}, ".look"),
        ({"system": "srcomp"}, ""),
    ],
)
def test_what_is_wrong_with_another_systems_entry_is_found(changes: dict[str, object], place: str) -> None:
    assert f"$.models[0]{place}" in about(ESPCN, **changes)


@pytest.mark.parametrize("entry", [OURS, ESPCN], ids=lambda entry: str(entry["name"]))
def test_nothing_may_be_missing(entry: dict[str, Any]) -> None:
    for missing in entry:
        assert "$.models[0]" in complaints({"models": [{k: v for k, v in entry.items() if k != missing}]}), missing
