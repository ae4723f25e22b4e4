"""Training material in parts of limited size."""

import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.train.photographs import write_photographs
from train.__main__ import main
from train.pack import pack


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_photographs(tmp_path / "photographs", 3)


def test_parts_of_an_earlier_pack_are_removed_and_nothing_else(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert len(pack([pictures], [], tmp_path / "work", out, 30_000)) > 1
    kept = {out / "participants.tar", out / "part1.tar.txt"}
    for path in kept:
        path.write_bytes(b"of another kind")
    (part,) = pack([pictures], [], tmp_path / "work", out, 1_000_000)
    assert set(out.iterdir()) == {part, *kept}


def test_a_file_above_the_limit_is_a_part_by_itself(pictures: Path, tmp_path: Path) -> None:
    parts = pack([pictures], [], tmp_path / "work", tmp_path / "out", 12_000)
    assert len(parts) == 3
    assert all(path.stat().st_size > 12_000 for path in parts)
    for path in parts:
        with tarfile.open(path) as archive:
            assert len(archive.getnames()) == 1


def test_the_help_tells_what_the_other_machine_needs() -> None:
    text = " ".join(CliRunner().invoke(main, ["pack", "--help"]).output.split())
    assert "for a machine without FFmpeg" in text
    assert "VapourSynth is needed there, too" in text
    assert "A file larger than --megabytes makes a larger part by itself" in text
