"""The synthetic scene: like a photograph, moving, and reproducible."""

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.source.reference import clip_digest
from vs_srcomp.bench.scene import RATE, scene_frames, write_scene
from vs_srcomp.source import source


def test_the_same_seed_gives_the_same_frames() -> None:
    first, again, other = (list(scene_frames(96, 64, 8, 3, seed=seed)) for seed in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        assert not np.array_equal(a[0], c[0])


def test_every_frame_moves_and_has_detail() -> None:
    frames = [luma.astype(int) for luma, *_ in scene_frames(192, 128, 8, 12)]
    for before, after in pairwise(frames):
        assert 1 < np.abs(before - after).mean() < 40
        # Neither flat nor noise: neighbours differ, but far less than pixels that are far apart.
        assert 1 < np.abs(np.diff(after, axis=1)).mean() < 0.5 * np.abs(after - after[::-1, ::-1]).mean()


def test_ten_bits_are_the_same_picture_as_eight() -> None:
    eight, ten = (next(scene_frames(96, 64, bits, 1)) for bits in (8, 10))
    for coarse, fine in zip(eight, ten, strict=True):
        assert (coarse.itemsize, fine.itemsize) == (1, 2)
        # Both are rounded, to 1 and to a quarter.
        assert np.abs(coarse - fine / 4).max() <= 0.5 + 0.125
        assert fine.max() <= 940


@pytest.mark.parametrize("bits", [8, 10])
def test_the_file_has_all_frames_at_one_rate(bits: int, tmp_path: Path) -> None:
    write_scene(tmp_path / "scene.mkv", 96, 64, bits, 200)
    clip = source(tmp_path / "scene.mkv")
    assert (clip.width, clip.height, clip.format.bits_per_sample, clip.fps) == (96, 64, bits, RATE)
    assert clip.num_frames >= 200
    digests = [clip_digest(clip, number) for number in range(clip.num_frames)]
    # A codec may find nothing worth coding in a frame as small as this; what it coded is repeated exactly.
    assert 90 < len(set(digests)) <= 96
    assert all(digests[n] == digests[n + 96] for n in range(clip.num_frames - 96))
    assert 20 < clip.get_frame(0).props["SrcompQ"] < 60


def test_decoded_frames_are_those_of_the_scene(tmp_path: Path) -> None:
    write_scene(tmp_path / "scene.mkv", 96, 64, 8, 30)
    clip = source(tmp_path / "scene.mkv")
    for number, (luma, *_) in enumerate(islice(scene_frames(96, 64, 8, 30), 0, 30, 7)):
        decoded = np.asarray(clip.get_frame(7 * number)[0]).astype(int)
        assert np.abs(decoded - luma).mean() < 8
