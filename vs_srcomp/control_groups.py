"""Limits of this process's control groups, by which containers share a computer (Linux, both versions)."""

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def group_settings(kind: str, unified: str, separate: str, root: Path = _ROOT, group: Path = _OWN) -> Iterator[str]:
    """The texts of a setting in this process's control group and its parents.

    Args:
        kind: The controller, such as ``"memory"``.
        unified: Name of its file in version 2, where all controllers share one tree.
        separate: Names of its files, with spaces between them, in version 1: their texts come with spaces, too.
        root: Where the trees are mounted.
        group: The file that states the groups of the process.
    """
    try:
        lines = group.read_text().splitlines()
    except OSError:  # another system
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            start, names = root, [unified]
        elif kind in kinds.split(","):
            start, names = root / kind, separate.split()
        else:
            continue
        inside = start / path.lstrip("/")
        for folder in (inside, *inside.parents):
            yield " ".join(_text_of(folder / name) for name in names)
            if folder == start:
                break


def _text_of(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:  # a namespace hides what is outside
        return ""
