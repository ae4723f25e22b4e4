"""Best level of the networks for JPEG and WebP: the figures in vs_srcomp/stills/level.py.

    python benchmarks/still_levels.py ../shared/data/train --pictures 12

Each photograph is downscaled 2:1 and coded at several qualities. It is read as by `vs-srcomp upscale`, and upscaled at
several levels. The best one is at the maximum of a parabola through the three highest means of Y-PSNR.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image

import vs_srcomp
from vs_srcomp.quality.luma import psnr, squared_error
from vs_srcomp.stills.colour import clip_of
from vs_srcomp.stills.level import jpeg_scale
from vs_srcomp.stills.reading import read_picture
from vs_srcomp.stills.vp8 import quantizer_index

LEVELS = (12, 18, 24, 30, 36, 42, 48, 57)
QUALITIES = {"JPEG": (10, 25, 50, 75, 85, 92, 97), "WEBP": (5, 30, 50, 75, 85, 95)}
SIDE = 256


def main() -> None:
    """Print, for each quality, the quantizer of the file and the best level."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--model", default="fast")
    arguments = parser.parse_args()
    found = sorted(arguments.folder.glob("*.jpg"))
    chosen = found[:: max(1, len(found) // arguments.pictures)][: arguments.pictures]
    originals = [square(path) for path in chosen]
    with tempfile.TemporaryDirectory() as folder:
        for kind, qualities in QUALITIES.items():
            for quality in qualities:
                quantizer, gains = measured(originals, kind, quality, arguments.model, Path(folder))
                best = top(LEVELS, gains)
                shown = " ".join(f"{gain:.3f}" for gain in gains)
                print(
                    f"{kind} quality {quality}: quantizer {quantizer:.1f}, best level {best:.1f}   ({shown})",
                    flush=True,
                )


def square(path: Path) -> Image.Image:
    """The middle of a photograph."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    left, upper = (max(0, (size - SIDE) // 4 * 2) for size in rgb.size)
    return rgb.crop((left, upper, left + min(SIDE, rgb.width // 2 * 2), upper + min(SIDE, rgb.height // 2 * 2)))


def measured(
    originals: list[Image.Image], kind: str, quality: int, model: str, folder: Path
) -> tuple[float, list[float]]:
    """The mean quantizer of the files, and the mean Y-PSNR at each level."""
    quantizers = []
    gains = np.zeros(len(LEVELS))
    for original in originals:
        file = folder / f"picture.{kind.lower()}"
        small = original.resize((original.width // 2, original.height // 2), Image.Resampling.LANCZOS)
        small.save(file, kind, quality=quality)
        with Image.open(file) as opened:
            quantizers.append(jpeg_scale(opened) if kind == "JPEG" else quantizer_index(file) or 0)
        clip = read_picture(file).clip
        full = clip.get_frame(0).props["_Range"] == vs.RANGE_FULL
        reference = luma(original, "full" if full else "limited")
        for number, level in enumerate(LEVELS):
            out = vs_srcomp.upscale(clip, q=level, model=model, reuse=False)
            with out.get_frame(0) as frame:
                squares = squared_error(np.asarray(frame[0]), reference)
            gains[number] += psnr(squares, reference.size, 255) / len(originals)
    return float(np.mean(quantizers)), gains.tolist()


def luma(image: Image.Image, range_name: str) -> NDArray[np.uint8]:
    """8-bit BT.601 luma."""
    array = np.asarray(image)
    clip = clip_of([array[:, :, channel] for channel in range(3)], vs.RGB24, {"_Matrix": 0})
    with clip.resize.Point(format=vs.YUV444P8, matrix_s="470bg", range_s=range_name).get_frame(0) as frame:
        return np.asarray(frame[0]).copy()


def top(levels: tuple[int, ...], values: list[float]) -> float:
    """Maximum of the parabola through the highest value and its neighbours."""
    at = min(max(int(np.argmax(values)), 1), len(levels) - 2)
    a, b, _ = np.polyfit(levels[at - 1 : at + 2], values[at - 1 : at + 2], 2)
    return float(np.clip(-b / (2 * a) if a < 0 else levels[int(np.argmax(values))], levels[0], levels[-1]))


if __name__ == "__main__":
    main()
