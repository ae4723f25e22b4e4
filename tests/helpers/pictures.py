"""Luma planes: random codes, and pictures with edges, texture, gradients, black and white."""

from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.resample import lanczos5

WAVE = 16
"""Pixels of a wave of `red_and_blue`."""


def noise(plane: PlaneFormat, seed: int = 0) -> Luma:
    """Random codes over the whole range, so that clamping happens at both ends."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, plane.peak + 1, (plane.height, plane.width)).astype(plane.dtype)


def picture(plane: PlaneFormat, seed: int = 0) -> Luma:
    """A picture of half the size, upscaled by Lanczos-5."""
    small = PlaneFormat(-(-plane.width // 2), -(-plane.height // 2), plane.bits)
    codes = np.clip(np.rint(_scene(small.width, small.height, seed) * plane.code_scale), 0, plane.peak)
    up = np.asarray(
        lanczos5(_clip_of(codes.astype(plane.dtype), plane.bits), plane.width, plane.height).get_frame(0)[0]
    )
    return up.astype(plane.dtype)


def hard_edges(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Discs of any grey with jagged edges over a gradient, drawn at half the size, and upscaled by Lanczos-5.

    As many for the area as in the picture of benchmarks/precisions.py.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: height // 2, : width // 2]
    scene = 60 + 180 * x / width + rng.normal(0, 2, x.shape)
    for _ in range(x.size // 2592):
        inside = np.hypot(x - rng.uniform(0, width / 2), y - rng.uniform(0, height / 2)) < rng.uniform(1, 60)
        scene[inside] = rng.uniform(0, 255)
    small = np.rint(scene.clip(0, 255)).astype(np.uint8)
    return np.array(lanczos5(_clip_of(small, 8), width, height).get_frame(0)[0])


def _scene(width: int, height: int, seed: int) -> NDArray[np.float64]:
    """Discs over a gradient and a grating, averaged over 4x4 points a pixel; most of it in 0..1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: 4 * height, : 4 * width] / 4
    scene = 0.2 + 0.5 * x / width + 0.1 * np.sin(0.02 * (x + 0.7 * y) ** 1.5)
    for _ in range(40):
        inside = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height)) < rng.uniform(1, 0.2 * height)
        scene[inside] = rng.uniform(-0.1, 1.1)
    pixels = scene.reshape(height, 4, width, 4).mean((1, 3))
    return np.asarray(pixels + rng.normal(0, 0.01, pixels.shape))


def _clip_of(codes: Luma, bits: int) -> vs.VideoNode:
    kind = vs.core.query_video_format(vs.GRAY, vs.INTEGER, bits)
    blank = vs.core.std.BlankClip(width=codes.shape[1], height=codes.shape[0], format=kind.id, length=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        filled = f.copy()
        np.copyto(np.asarray(filled[0]), codes)
        return filled

    return blank.std.ModifyFrame(blank, fill)


def red_and_blue(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """RGB whose red and blue are waves of opposite phase, `WAVE` pixels long: nearly all that changes is chroma."""
    wave = (1 + np.sin(2 * np.pi * np.arange(width) / WAVE)) / 2
    row = np.stack([60 + 150 * wave, np.full(width, 100.0), 210 - 150 * wave], axis=1)
    return np.broadcast_to(np.rint(row).astype(np.uint8), (height, width, 3)).copy()


def place_of_waves(values: NDArray[Any], length: float) -> float:
    """Where the waves along the rows of ``values`` begin, in pixels."""
    row = values.astype(np.float64).mean(axis=0)
    turns = np.exp(-2j * np.pi * np.arange(len(row)) / length)
    # A sine begins a quarter of a wave before its crest.
    return float((-np.angle(((row - row.mean()) * turns).sum()) / (2 * np.pi) - 0.25) * length)
