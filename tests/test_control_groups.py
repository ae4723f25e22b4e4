"""Limits of control groups, in trees of files like those of Linux."""

from pathlib import Path

import pytest

from vs_srcomp.control_groups import group_settings
from vs_srcomp.processor import cores_of


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/box/job\n", {"box/job/memory.max": "max\n", "box/memory.max": "1000\n"}, ["max", "1000", ""]),
        ("0::/job\n", {"job/memory.max": "2000", "memory.max": "3000"}, ["2000", "3000"]),
        ("9:cpu,memory:/box\n3:pids:/\n", {"memory/box/memory.limit_in_bytes": "4000"}, ["4000", ""]),
        ("0::/../outside\n", {}, [""] * 3),
        ("3:pids:/\n", {}, []),
    ],
)
def test_settings_of_the_group_and_its_parents(
    group: str, files: dict[str, str], expected: list[str], tmp_path: Path
) -> None:
    found = _settings("memory", "memory.max", "memory.limit_in_bytes", group, files, tmp_path)
    assert found == expected


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/box\n", {"box/cpu.max": "200000 100000\n"}, [2, None]),
        ("0::/box\n", {"box/cpu.max": "250000 100000\n", "cpu.max": "max 100000\n"}, [3, None]),
        ("0::/box\n", {"box/cpu.max": "1000 100000\n"}, [1, None]),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, [2]),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, [None]),
    ],
)
def test_cores_of_a_quota(group: str, files: dict[str, str], expected: list[int | None], tmp_path: Path) -> None:
    found = _settings("cpu", "cpu.max", "cpu.cfs_quota_us cpu.cfs_period_us", group, files, tmp_path)
    assert [cores_of(text) for text in found] == expected


def test_other_systems_have_none(tmp_path: Path) -> None:
    assert list(group_settings("memory", "memory.max", "", tmp_path, tmp_path / "nothing")) == []


def _settings(kind: str, unified: str, separate: str, group: str, files: dict[str, str], folder: Path) -> list[str]:
    (folder / "cgroup").write_text(group)
    for name, text in files.items():
        file = folder / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return list(group_settings(kind, unified, separate, folder / "fs", folder / "cgroup"))
