"""Best level for video whose level is not known: H.264, HEVC, VP9, MPEG-2, MPEG-4.

    python -m benchmarks.unknown_levels ../shared/data/train --pictures 12

Each photograph becomes a clip of nine frames with motion, which is downscaled 2:1 and coded by each encoder at several
qualities. Four of the frames are upscaled at several levels. The output is the gain in Y-PSNR over Lanczos-5 at each
level, and finally the mean loss of each level against the best one of each row.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image

import vs_srcomp
from train.clips import encode_clip
from train.material.coded import clip_frames
from train.material.pictures import Plane, clip_planes, rgb_to_yuv420
from train.metrics import psnr
from vs_srcomp.geometry import ratio_by_name
from vs_srcomp.resample import lanczos5

LEVELS = (12, 20, 25, 30, 35, 40, 45, 50, 55)

CODINGS = {
    "H.264": ("-c:v libx264 -preset medium -crf {}", (18, 23, 28, 33)),
    "HEVC": ("-c:v libx265 -preset fast -x265-params log-level=none -crf {}", (18, 23, 28, 33)),
    "VP9": ("-c:v libvpx-vp9 -cpu-used 4 -b:v 0 -crf {}", (20, 30, 40, 50)),
    "MPEG-2": ("-c:v mpeg2video -q:v {}", (2, 4, 8, 16)),
    "MPEG-4": ("-c:v mpeg4 -q:v {}", (2, 4, 8, 16)),
}

# Measured frames of the nine, without the first, a key frame.
FRAMES = (1, 3, 5, 7)


def main() -> None:
    """Print a line for each encoder and quality, and the mean loss of each level."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--model", default="fast")
    arguments = parser.parse_args()
    clips = list(some_clips(arguments.folder, arguments.pictures))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (options, qualities) in CODINGS.items():
            for quality in qualities:
                gains = measured(clips, options.format(quality), arguments.model, Path(folder, "coded.mkv"))
                rows.append(gains)
                shown = " ".join(f"{gain:6.3f}" for gain in gains)
                print(f"{name:7} {quality:3}: best at {LEVELS[int(gains.argmax())]:2}   {shown}", flush=True)
    table = np.array(rows)
    for level, loss in zip(LEVELS, (table.max(1, keepdims=True) - table).mean(0), strict=True):
        print(f"level {level}: {loss:.3f} dB below the best one of each row")


def some_clips(folder: Path, count: int) -> Iterator[list[list[Plane]]]:
    """The planes, 4:2:0, of each frame of clips that are made of photographs."""
    found = sorted(folder.glob("*.jpg"))
    given = 0
    for path in found[:: max(1, len(found) // (2 * count))]:
        with Image.open(path) as image:
            frames = clip_frames(np.asarray(image.convert("RGB")), path.stem)
        if frames and given < count:
            given += 1
            yield [clip_planes(rgb_to_yuv420(frame)) for frame in frames]


def measured(clips: Sequence[list[list[Plane]]], options: str, model: str, file: Path) -> NDArray[np.float64]:
    """The mean gain in dB over Lanczos-5 at each level."""
    gains = np.zeros(len(LEVELS))
    for frames in clips:
        encode_clip(frames, ratio_by_name("2:1"), options, file)
        coded = vs_srcomp.source(file)
        originals = {number: frames[number][0] for number in FRAMES}
        height, width = frames[0][0].shape
        plain = mean_psnr(lanczos5(coded, width, height), originals)
        for number, level in enumerate(LEVELS):
            upscaled = vs_srcomp.upscale(coded, width=width, height=height, q=level, model=model, reuse=False)
            gains[number] += (mean_psnr(upscaled, originals) - plain) / len(clips)
    return gains


def mean_psnr(clip: vs.VideoNode, originals: dict[int, Plane]) -> float:
    """Mean Y-PSNR of some frames, in dB."""
    return fmean(psnr(clip_planes(clip[number])[0], original) for number, original in originals.items())


if __name__ == "__main__":
    main()
