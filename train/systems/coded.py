"""All systems and this project's tiers on pictures coded with AV1: 12 pairs of ratio and level."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import vapoursynth as vs
from PIL import Image

import vs_srcomp
from train.coding import EVALUATION_SPEED, decode
from train.material.pictures import clip_planes, planes_to_clip, read_yuv420, some_pictures
from train.pairs import PAIRS, Pair
from train.streams import stream_of
from train.systems.classic import CLASSIC, Enlarger, Plane
from train.systems.experiments import Ground
from train.systems.methods import Trained
from train.systems.scores import Case, Judge
from vs_srcomp.models import TIERS
from vs_srcomp.resample import lanczos5

SYSTEMS = ("srcnn", "vdsr", "fsrcnn-2x", "espcn-2x", "edsr-2x", "fd-srcnn-2x-bicubic", "cisr-psi-2x", "esrgan-4x")
KERNELS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
DECONVOLUTIONS = ("inverse filter", "Wiener")
"""Methods for integer ratios only."""


def av1(ground: Ground) -> Iterator[str]:
    """Kodak by ratio and level: the systems on decoded pictures, against Lanczos-5 and this project's tiers.

    As in playback, a network that upscales gets the decoded picture, and Lanczos-5 resizes its output to the size of
    the original. A network of scale 1 gets the picture upscaled by Lanczos-5.
    """
    book, judge = ground.book("av1"), Judge(perceptual=False)
    folder = ground.data / "test" / "kodak"
    clips = [(path, _middle(read_yuv420(path), ground.side)) for path in some_pictures(folder)[: ground.pictures]]
    streams = ground.books / f"av1-{ground.side}"
    for pair in PAIRS:
        methods = _methods(ground.trained, pair)
        for path, clip in clips:
            case = Case("av1", "kodak", path.stem, f"AV1 Q{pair.q}", pair.ratio.name)
            lacking = [method for method in methods if book.lacks(case, method)]
            if lacking:
                original = clip_planes(clip)[0]
                small = decode(stream_of(path, clip, pair, streams, EVALUATION_SPEED))
                for method in lacking:
                    restored = methods[method](small, clip.width, clip.height)
                    book.add(judge.score(case, method, restored, original, border=0))
        yield f"av1: {pair.slug}"


def _middle(clip: vs.VideoNode, side: int) -> vs.VideoNode:
    # 8:5 needs multiples of 16.
    width, height = (min(size, side) // 16 * 16 for size in (clip.width, clip.height))
    left, top = ((all_of - part) // 4 * 2 for all_of, part in ((clip.width, width), (clip.height, height)))
    return clip.std.CropAbs(width, height, left, top)


type Restore = Callable[[vs.VideoNode, int, int], Plane]
"""Maps a decoded picture, a width and a height to luma of that size."""


def _methods(trained: Trained, pair: Pair) -> dict[str, Restore]:
    found: dict[str, Restore] = {"Lanczos-5": _lanczos5}
    found |= {name: partial(_resized, kernel=kernel) for name, kernel in KERNELS.items()}
    if pair.ratio.factor.denominator == 1:
        found |= {name: partial(_enlarged, CLASSIC[name], int(pair.ratio.factor)) for name in DECONVOLUTIONS}
    for name in SYSTEMS:
        if name in trained:
            found[name] = partial(_enlarged, trained.enlarger(name), trained.network(name).scale)
    return found | {f"{tier}, ours": partial(_ours, tier, pair) for tier in reversed(TIERS)}


def _lanczos5(small: vs.VideoNode, width: int, height: int) -> Plane:
    return clip_planes(lanczos5(small, width, height))[0]


def _resized(small: vs.VideoNode, width: int, height: int, *, kernel: Image.Resampling) -> Plane:
    return np.asarray(Image.fromarray(clip_planes(small)[0]).resize((width, height), kernel))


def _enlarged(enlarge: Enlarger, scale: int, small: vs.VideoNode, width: int, height: int) -> Plane:
    if scale == 1:
        small = lanczos5(small, width, height)
    restored = enlarge(clip_planes(small)[0], scale)
    if restored.shape == (height, width):
        return restored
    return clip_planes(lanczos5(planes_to_clip([restored], vs.GRAY8), width, height))[0]


def _ours(tier: str, pair: Pair, small: vs.VideoNode, width: int, height: int) -> Plane:
    backend = vs_srcomp.Backend.OpenVINO(precision="f32")
    return clip_planes(vs_srcomp.upscale(small, width=width, height=height, model=tier, q=pair.q, backend=backend))[0]
