"""Training material of picture files: photographs, drawn pictures."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from train.material.material import shuffled_share
from train.material.pictures import SUFFIXES, checksum, list_pictures


class Photographs:
    """Picture files, directly in the folders or given one by one; a random share is for validation."""

    def files(self, places: Iterable[Path], work: Path) -> list[Path]:
        """See `Material.files`."""
        found: list[Path] = []
        for place in places:
            found += list_pictures(place) if place.is_dir() else [place] * (place.suffix.lower() in SUFFIXES)
        # A place may be given twice.
        of_file: dict[Path, Path] = {}
        for path in found:
            of_file.setdefault(path.resolve(), path)
        _check_contents(of_file.values())
        return list(of_file.values())

    def measured(self, files: Sequence[Path], share: float, seed: int) -> set[str]:
        """See `Material.measured`."""
        return shuffled_share({path.stem for path in files}, share, seed)


def _check_contents(files: Iterable[Path]) -> None:
    """Check that no two files have the same content: one could be for training, and the other for validation."""
    by_size: defaultdict[int, list[Path]] = defaultdict(list)
    for path in files:
        by_size[path.stat().st_size].append(path)
    # Most files differ in size, and need not be read.
    for alike in by_size.values():
        by_content: dict[str, Path] = {}
        for path in alike if len(alike) > 1 else []:
            if (other := by_content.setdefault(checksum(path), path)) is not path:
                raise ValueError(f"{other} and {path} are the same picture: remove one")
