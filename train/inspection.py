"""Inspection of a file of patch pairs, from this project or another."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.metrics.fidelity import decibels
from train.npz import Member, list_members, read_array, read_blocks
from vs_srcomp.files import atomic_path

DEGRADED_NAMES = frozenset({"lr", "low", "lq", "input", "inputs", "x", "degraded", "compressed", "decoded", "data"})
ORIGINAL_NAMES = frozenset(
    {"hr", "high", "hq", "gt", "target", "targets", "label", "labels", "y", "original", "originals", "reference"}
)

# Patches in memory at a time.
BLOCK = 1024

SHEET_COLUMNS = 4
SHEET_PAIRS = 48
DIFFERENCE_GAIN = 4
"""Factor of the differences in the sheet, around middle grey."""


@dataclass(frozen=True)
class Stacks:
    """The two stacks of patches in a file."""

    path: Path
    degraded: Member
    original: Member
    distinguished_by: str
    """Criterion by which they were distinguished."""

    @property
    def count(self) -> int:
        """Number of pairs."""
        return self.degraded.shape[0]

    @property
    def size(self) -> int:
        """Side of a patch."""
        return max(self.degraded.shape[1:])

    def blocks(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Degraded and original patches, (n, p, p) each, in blocks."""
        shape = -1, self.size, self.size
        both = (read_blocks(self.path, member, BLOCK) for member in (self.degraded, self.original))
        for degraded, original in zip(*both, strict=True):
            yield degraded.reshape(shape), original.reshape(shape)


@dataclass(frozen=True)
class Statistics:
    """Statistics of all pairs of a file, in codes unless another unit is given."""

    degraded_range: tuple[int, int]
    original_range: tuple[int, int]
    least_contrast: int
    """Lightest minus darkest code of an original patch, the minimum over all patches."""
    mean_difference: float
    """Degraded minus original."""
    mean_absolute_difference: float
    psnr: float
    """PSNR of all samples together, in dB."""


def find_stacks(path: Path) -> Stacks:
    """Find the degraded and the original patches in a file.

    They are two arrays of 8-bit samples of the same shape, (N, p, p), (N, p, p, 1) or (N, 1, p, p). If their names do
    not tell which is which, the sharper one is the original.

    Raises:
        ValueError: The file cannot be read, or has no two such arrays; the message lists its arrays.
    """
    members = list_members(path)
    stacks = [member for member in members if member.dtype == np.uint8 and _is_stack(member.shape)]
    degraded = [member for member in stacks if _words(member.key) & DEGRADED_NAMES]
    original = [member for member in stacks if _words(member.key) & ORIGINAL_NAMES]
    if len(degraded) == len(original) == 1 and degraded != original:
        distinguished_by = "their names"
    elif len(stacks) == 2:
        degraded, original = ([member] for member in sorted(stacks, key=lambda member: _sharpness(path, member)))
        distinguished_by = "sharpness: not given by the names"
    else:
        raise ValueError(f"{path.name} has no two stacks of 8-bit square patches, but {_contents(members)}")
    if _patches(degraded[0]) != _patches(original[0]):
        raise ValueError(f"{path.name} has stacks that do not belong together: {_contents(degraded + original)}")
    return Stacks(path, degraded[0], original[0], distinguished_by)


def _is_stack(shape: tuple[int, ...]) -> bool:
    return (
        len(shape) in (3, 4)
        and shape[0] > 0
        and sorted(shape[1:])[-2:] == 2 * [max(shape[1:])]
        and (len(shape) == 3 or 1 in (shape[1], shape[3]))
    )


def _patches(member: Member) -> tuple[int, int]:
    return member.shape[0], max(member.shape[1:])


def _words(key: str) -> set[str]:
    return set(re.split(r"[^a-z]+", key.lower()))


def _sharpness(path: Path, member: Member) -> float:
    """Mean absolute difference of neighbours in the first patches."""
    first = next(read_blocks(path, member, BLOCK)).reshape(-1, max(member.shape[1:]), max(member.shape[1:]))
    return float(np.abs(np.diff(first.astype(np.int16), axis=-1)).mean())


def _contents(members: list[Member]) -> str:
    if not members:
        return "no arrays"
    return ", ".join(
        f"{member.key}: Python objects, which could run code and are not loaded"
        if member.dtype.hasobject
        else f"{member.key}: {member.dtype} {member.shape}"
        for member in members
    )


def measure(stacks: Stacks) -> Statistics:
    """The statistics of a file, which is read in blocks."""
    total = absolute = squared = samples = 0
    lows, highs = [255, 255], [0, 0]
    contrast = 255
    for pair in stacks.blocks():
        for index, patches in enumerate(pair):
            lows[index] = min(lows[index], int(patches.min()))
            highs[index] = max(highs[index], int(patches.max()))
        degraded, original = pair
        contrast = min(contrast, int((original.max(axis=(1, 2)) - original.min(axis=(1, 2))).min()))
        difference = degraded.astype(np.int32) - original
        total += int(difference.sum())
        absolute += int(np.abs(difference).sum())
        squared += int((difference * difference).sum(dtype=np.int64))
        samples += difference.size
    return Statistics(
        (lows[0], highs[0]),
        (lows[1], highs[1]),
        contrast,
        total / samples,
        absolute / samples,
        decibels(squared / samples),
    )


def describe(path: Path) -> str:
    """Describe the content of a file in lines of text.

    Raises:
        ValueError: As :func:`find_stacks`.
    """
    stacks = find_stacks(path)
    seen = measure(stacks)
    lines = [
        f"{path.name}: {stacks.count} pairs of {stacks.size}x{stacks.size}",
        f"  {_contents(list_members(path))}",
        f"  degraded: {stacks.degraded.key}, original: {stacks.original.key}, by {stacks.distinguished_by}",
        f"  range: degraded {_range(seen.degraded_range)}, original {_range(seen.original_range)}",
        f"  least contrast of an original patch: {seen.least_contrast}",
        f"  difference: {seen.mean_difference:+.3f} mean, {seen.mean_absolute_difference:.3f} mean absolute",
        f"  PSNR: {seen.psnr:.2f} dB",
    ]
    for member in list_members(path):
        if member.key == "meta" and not member.dtype.hasobject:
            lines += _describe_meta(str(read_array(path, member.key)))
    return "\n".join(lines)


def _range(ends: tuple[int, int]) -> str:
    return f"{ends[0]}..{ends[1]}"


def _describe_meta(meta: str) -> list[str]:
    try:
        record = json.loads(meta)
    except ValueError:
        return [f"  meta: {meta}"]
    if not isinstance(record, dict):
        return [f"  meta: {meta}"]
    lines = []
    for key, value in record.items():
        if key == "sources" and isinstance(value, list):
            names = [str(source.get("name")) if isinstance(source, dict) else str(source) for source in value]
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            lines.append(f"  sources: {len(names)} pictures: {shown}")
        elif key == "argv" and isinstance(value, list):
            lines.append(f"  argv: {' '.join(map(str, value))}")
        elif isinstance(value, list):
            lines += [f"  {key}:", *(f"    {item}" for item in value)]
        else:
            lines.append(f"  {key}: {value}")
    return lines


def write_sheet(path: Path, target: Path) -> None:
    """Write a PNG of evenly spaced pairs, doubled in size: degraded, original, and fourfold difference on grey.

    Raises:
        ValueError: As :func:`find_stacks`, or the target's suffix is another.
    """
    from PIL import Image

    if target.suffix.lower() != ".png":
        raise ValueError(f"{target} is no PNG file; end its name with .png")
    stacks = find_stacks(path)
    wanted = np.unique(np.linspace(0, stacks.count - 1, min(SHEET_PAIRS, stacks.count)).astype(int))
    cells = []
    start = 0
    for degraded, original in stacks.blocks():
        here = wanted[(wanted >= start) & (wanted < start + len(degraded))] - start
        cells += [_cell(degraded[index], original[index]) for index in here]
        start += len(degraded)
    white = np.full_like(cells[0], 255)
    cells += [white] * (-len(cells) % SHEET_COLUMNS)
    rows = [np.hstack(cells[at : at + SHEET_COLUMNS]) for at in range(0, len(cells), SHEET_COLUMNS)]
    sheet = np.vstack(rows).repeat(2, axis=0).repeat(2, axis=1)
    with atomic_path(target) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")


def _cell(degraded: NDArray[np.uint8], original: NDArray[np.uint8]) -> NDArray[np.uint8]:
    difference = 128 + DIFFERENCE_GAIN * (degraded.astype(np.int16) - original)
    planes = np.hstack([degraded, original, difference.clip(0, 255).astype(np.uint8)])
    return np.pad(planes, ((0, 4), (0, 8)), constant_values=255)
