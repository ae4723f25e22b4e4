"""Integer ranges of the models in the catalogue, measured on pictures coded at each level."""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from train.catalogue import Entry, read_entries, write_entries
from train.coding import TRAINING_SPEED, decode
from train.equalize import equalized
from train.material.pictures import clip_planes, read_yuv420, size_of, some_pictures
from train.pairs import Pair
from train.ranges import CROP, Plane, Ranges, Seen, channel_peaks, choose_ranges
from train.streams import stream_of
from vs_srcomp.files import write_atomically
from vs_srcomp.geometry import QUANTIZERS, ratio_by_name
from vs_srcomp.models.catalogue import SYSTEM
from vs_srcomp.models.level import at_level
from vs_srcomp.resample import lanczos5


def calibrate(
    engines: Path, images: Path, streams: Path, names: Collection[str] = (), pictures: int = 8
) -> Iterator[str]:
    """Measure the ranges of models, write them to models.json, and yield a line for each model.

    Args:
        engines: Folder of models, whose files are replaced by equalised networks.
        images: Photographs of the training set, of which evenly spaced ones are used.
        streams: Folder for their coded streams.
        names: Names of models; by default all of ours.
        pictures: Number of photographs.

    Raises:
        ValueError: There is no photograph of at least `CROP` pixels, or no model of ours has one of ``names``.
    """
    catalogue = engines / "models.json"
    ours = [entry["name"] for entry in read_entries(catalogue) if entry["system"] == SYSTEM]
    if unknown := [name for name in names if name not in ours]:
        raise ValueError(f"there is no model {', '.join(unknown)}: there are {', '.join(ours)}")
    chosen = _photographs(images, pictures)
    for name in names or ours:
        entries = read_entries(catalogue)
        (entry,) = (entry for entry in entries if entry["name"] == name)
        file = engines / entry["file"]
        found = calibrate_entry(entry, file, chosen, streams)
        write_entries(entries, catalogue)
        yield f"{name}: {found.share:.0%} in integers, {found.lost:.4f} dB lost, {found.kept:.3f} of hard edges kept"


def calibrate_entry(entry: Entry, file: Path, photographs: list[Path], streams: Path) -> Ranges:
    """Equalise one model, measure its ranges, and update ``entry`` and ``file``."""
    ratio, network = ratio_by_name(entry["ratio"]), file.read_bytes()
    material = {q: _coded(photographs, Pair(ratio, q), streams) for q in _levels(entry)}
    peaks = [channel_peaks(at_level(network, q), planes) for q, (planes, _) in material.items()]
    network = equalized(network, [np.max(of_layer, 0) for of_layer in zip(*peaks, strict=True)])
    found = choose_ranges([Seen(at_level(network, q), *planes) for q, planes in material.items()])
    write_atomically(file, network)
    entry |= {"sha256": hashlib.sha256(network).hexdigest(), "ranges": list(found.ranges)}
    return found


def _levels(entry: Entry) -> tuple[int, ...]:
    lowest, highest = entry["levels"]
    return tuple(q for q in QUANTIZERS if lowest <= q <= highest)


def _photographs(images: Path, count: int) -> list[Path]:
    found = [path for path in some_pictures(images) if min(size_of(path)) >= CROP]
    if not found:
        raise ValueError(f"no picture of {images} is {CROP} pixels wide and high: give larger ones")
    chosen = np.linspace(0, len(found), min(count, len(found)), endpoint=False).round().astype(int)
    return [found[index] for index in chosen]


def _coded(photographs: list[Path], pair: Pair, streams: Path) -> tuple[list[Plane], list[Plane]]:
    """Input planes of the network, and the originals."""
    seen, originals = [], []
    for path in photographs:
        picture = read_yuv420(path)
        stream = stream_of(path, picture, pair, streams, TRAINING_SPEED)
        up = lanczos5(decode(stream), picture.width, picture.height)
        seen.append(clip_planes(up)[0])
        originals.append(clip_planes(picture)[0])
    return seen, originals
