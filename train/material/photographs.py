"""Training material of picture files: photographs, drawn pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from train.material.material import shuffled_share
from train.material.pictures import SUFFIXES, list_pictures


class Photographs:
    """Picture files, directly in the folders or given one by one; a random share is for validation."""

    def files(self, places: Iterable[Path], work: Path) -> list[Path]:
        """See `Material.files`."""
        found: list[Path] = []
        for place in places:
            found += list_pictures(place) if place.is_dir() else [place] * (place.suffix.lower() in SUFFIXES)
        return found

    def measured(self, files: Sequence[Path], share: float, seed: int) -> set[str]:
        """See `Material.measured`."""
        return shuffled_share({path.stem for path in files}, share, seed)
