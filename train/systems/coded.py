"""All systems, and this project's own tiers, on pictures coded with AV1: 12 cells."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import vapoursynth as vs

from train.degradations.av1 import EVALUATION_SPEED, PAIRS, Pair, decode, encode, stream_path
from train.material.pictures import clip_planes, planes_to_clip, read_yuv420, some_pictures
from train.networks.network import Network
from train.systems.classic import Enlarger, Plane
from train.systems.experiments import Ground
from train.systems.learned import PEAK, device, rounded, to_tensor
from train.systems.methods import Trained
from train.systems.scores import Case, Judge
from train.trained import load_trained
from vs_srcomp.files import write_atomically
from vs_srcomp.resample import lanczos5

SYSTEMS = ("srcnn", "vdsr", "fsrcnn-2x", "espcn-2x", "edsr-2x", "fd-srcnn-2x-bicubic", "cisr-psi-2x", "esrgan-4x")
TIERS = ("light", "fast", "quality")


def av1(ground: Ground) -> Iterator[str]:
    """Kodak by ratio and level: what the networks make of decoded pictures, against Lanczos-5 and this project's tiers.

    As in playback, a network that enlarges gets the decoded picture, and its answer is brought to the size of the
    original by Lanczos-5; one that works on the enlarged picture gets what Lanczos-5 makes.
    """
    book, judge = ground.book("av1"), Judge(perceptual=False)
    folder = ground.data / "test" / "kodak"
    clips = [(path.stem, _middle(read_yuv420(path), ground.side)) for path in some_pictures(folder)[: ground.pictures]]
    streams = ground.books / f"av1-{ground.side}"
    for pair in PAIRS:
        wanted = _methods(ground.trained, ground.books.parent / "runs", pair)
        for name, clip in clips:
            case = Case("av1", "kodak", name, f"AV1 Q{pair.q}", pair.ratio.name)
            lacking = [method for method in ("Lanczos-5", *wanted) if book.lacks(case, method)]
            if not lacking:
                continue
            original = clip_planes(clip)[0]
            height, width = original.shape
            small = decode(_coded(streams, clip, pair, name))
            plane, enlarged = (clip_planes(each)[0] for each in (small, lanczos5(small, width, height)))
            for method in lacking:
                if method == "Lanczos-5":
                    restored = enlarged
                else:
                    restore, on_enlarged = wanted[method]
                    restored = restore(enlarged if on_enlarged else plane)
                    if restored.shape != original.shape:
                        large = planes_to_clip([restored], vs.GRAY8)
                        restored = clip_planes(lanczos5(large, width, height))[0]
                book.add(judge.score(case, method, restored, original, border=0))
        yield f"av1: {pair.slug}"


def _middle(clip: vs.VideoNode, side: int) -> vs.VideoNode:
    # 8:5 takes multiples of 16.
    width, height = (min(size, side) // 16 * 16 for size in (clip.width, clip.height))
    left, top = ((all_of - part) // 4 * 2 for all_of, part in ((clip.width, width), (clip.height, height)))
    return clip.std.CropAbs(width, height, left, top)


type Restore = Callable[[Plane], Plane]


def _methods(trained: Trained, runs: Path, pair: Pair) -> dict[str, tuple[Restore, bool]]:
    """By name: what makes a plane of a plane, and whether it takes the enlarged one."""
    found: dict[str, tuple[Restore, bool]] = {}
    for name in SYSTEMS:
        if name in trained:
            scale = trained.network(name).scale
            found[name] = _at(trained.enlarger(name), scale), scale == 1
    for tier in TIERS:
        try:
            network = load_trained(f"srcomp-{tier}-{pair.ratio.slug}", runs)
        except ValueError:
            continue
        found[f"{tier}, ours"] = partial(_restored, network, q=pair.q), True
    return found


def _at(enlarge: Enlarger, scale: int) -> Restore:
    return lambda plane: enlarge(plane, scale)


def _restored(network: Network, plane: Plane, *, q: int) -> Plane:
    height, width = plane.shape
    picture = to_tensor(plane)
    # As playback does it: the border that the stride needs repeats the last row and column.
    padding = (0, -width % network.stride, 0, -height % network.stride)
    picture = torch.nn.functional.pad(picture, padding, mode="replicate")
    network = network.eval().to(device())
    with torch.inference_mode():
        level = (torch.tensor([float(q)], device=device()),) if network.takes_level else ()
        made = network(picture, *level)
    answer = made[0] if isinstance(made, tuple) else made
    codes = answer[0, 0, : height * network.scale, : width * network.scale].float().cpu().numpy() * PEAK
    return rounded(codes)


def _coded(folder: Path, clip: vs.VideoNode, pair: Pair, name: str) -> bytes:
    path = stream_path(folder, pair, name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, encode(clip, pair, EVALUATION_SPEED))
    return path.read_bytes()
