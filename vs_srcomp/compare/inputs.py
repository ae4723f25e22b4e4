"""Inputs of a comparison: files, or the results of networks for one file."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import vapoursynth as vs

from vs_srcomp.colour_guess import keep_assumed_colours
from vs_srcomp.errors import error
from vs_srcomp.geometry import ratio_by_name, scaled_size
from vs_srcomp.models import Model, ModelName, find, is_file
from vs_srcomp.resample import lanczos5
from vs_srcomp.source import source
from vs_srcomp.source.media import codec_of, fraction, local_file, open_container, video_stream
from vs_srcomp.stills.colour import rgb_to_yuv
from vs_srcomp.stills.formats import SUFFIXES_READ, is_pattern
from vs_srcomp.stills.opening import is_single, opened
from vs_srcomp.stills.orientation import turned
from vs_srcomp.stills.picture import Picture
from vs_srcomp.stills.reading import read_picture
from vs_srcomp.upscale import upscale

LANCZOS = "lanczos5"


@dataclass(frozen=True, kw_only=True)
class Side:
    """A candidate or the reference."""

    name: str
    """Name on buttons and in tables."""
    clip: vs.VideoNode
    """YUV or GRAY in integers, of constant format and size."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Its entry in the report: ``file``, ``bytes``, ``bits_per_second`` of the video stream, ``codec``,
    ``command`` that makes such a file, and ``models``, SHA-256 by name."""
    tick: Fraction = Fraction(0)
    """Resolution of its file's timestamps, in seconds."""


def candidate_from_file(path: Path, name: str | None = None) -> Side:
    """The first video track of a file, or a picture as it is shown. RGB, as in PNG, becomes YUV 4:4:4 of 16 bits.

    Raises:
        vs.Error: It cannot be read, or its pictures have no luma.
    """
    given, picture = _read(path)
    return replace(_upright(given, picture), name=name or given.name)


def _read(path: Path) -> tuple[Side, Picture | None]:
    """A file as it is stored, and what `upscale_picture` would read from it if it is one picture."""
    picture = read_picture(path) if _is_one_picture(path) else None
    if picture:
        level = {} if picture.q is None else {"SrcompQ": picture.q}
        clip = picture.clip.std.SetFrameProps(**level)
    else:
        clip = source(local_file(path))
    if clip.format.color_family == vs.RGB:
        clip = rgb_to_yuv(clip)
    if clip.format.color_family not in (vs.YUV, vs.GRAY) or clip.format.sample_type != vs.INTEGER:
        raise error(f"{path.name} is {clip.format.name}, which has no luma codes", "convert it to YUV first")
    facts, tick = _facts_of_file(path)
    return Side(name=path.stem, clip=clip, facts=facts, tick=tick), picture


def _is_one_picture(path: Path) -> bool:
    """Whether it is a picture of a kind that is upscaled as such, and no animation."""
    if path.suffix.lower() not in SUFFIXES_READ or is_pattern(path):
        return False
    with opened(path) as image:
        return is_single(image)


def _upright(side: Side, picture: Picture | None) -> Side:
    """``side``, which was made of ``picture``, as it is shown."""
    if picture is None or picture.orientation == 1:
        return side
    # In 4:4:4, where chroma lies on luma however the picture is turned.
    full = side.clip.format.replace(subsampling_w=0, subsampling_h=0)
    return replace(side, clip=turned(side.clip.resize.Bicubic(format=full.id), picture.orientation))


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A short name for each file; equal names get their suffix or folder."""
    for name_of in (lambda path: path.stem, lambda path: path.name, lambda path: f"{path.parent.name}/{path.name}"):
        names = [name_of(path) for path in paths]
        if len({*names}) == len(names):
            return names
    return [f"{number} {path.name}" for number, path in enumerate(paths, 1)]


def made_candidates(
    path: Path,
    models: Sequence[ModelName],
    *,
    ratio: str = "2:1",
    q: float | Literal["auto"] = "auto",
    look: str = "faithful",
) -> list[Side]:
    """The results of Lanczos-5 and of each of ``models`` for a file, computed on request; nothing is encoded.

    Args:
        path: The file to upscale.
        models: See ``vs_srcomp.upscale``, also for the other arguments.
        ratio: The ratio.
        q: The compression level.
        look: Look of tiers.

    Raises:
        vs.Error: The file cannot be read, or there is no such model.
    """
    given, picture = _read(path)
    clip = given.clip
    factor = ratio_by_name(ratio).factor
    size = scaled_size(clip.width, clip.height, factor, clip.format.subsampling_w, clip.format.subsampling_h)
    sides = [enlarged(given, *size)]
    names = distinct_names([Path(model) for model in models])
    for model, name in zip(models, names, strict=True):
        restored = upscale(clip, width=size[0], height=size[1], q=q, model=model, look=look)
        target = "out.png" if picture else "out.mkv"
        command = ["vs-srcomp", "upscale", path.name, target, "--ratio", ratio, "--model", str(model)]
        command += [] if q == "auto" else ["--q", f"{q:g}"]
        command += [] if look == "faithful" else ["--look", look]
        facts = {**given.facts, "command": shlex.join(command), "models": _hashes(model, ratio, look)}
        sides.append(Side(name=name if is_file(model) else str(model), clip=restored, facts=facts, tick=given.tick))
    return [_upright(side, picture) for side in sides]


def enlarged(given: Side, width: int, height: int) -> Side:
    """``given`` upscaled with Lanczos-5."""
    clip = keep_assumed_colours(lanczos5(given.clip, width, height), given.clip.width, given.clip.height)
    return Side(name=LANCZOS, clip=clip, facts=given.facts, tick=given.tick)


def _hashes(model: ModelName, ratio: str, look: str) -> dict[str, str]:
    """SHA-256 of a model's file, by the model's name."""
    found = find(model, ratio_by_name(ratio), look)
    if isinstance(found, Model):
        return {found.name: found.sha256}
    return {found.name: hashlib.sha256(found.read_bytes()).hexdigest()}


def _length(durations: Mapping[int, int]) -> Fraction:
    """The length of a video by the times of its frames and their durations, 0 where unknown; 0 for a single frame."""
    if len(durations) < 2:
        return Fraction(0)
    first, last = min(durations), max(durations)
    return last - first + Fraction(durations[last] or Fraction(last - first, len(durations) - 1))


def _facts_of_file(path: Path) -> tuple[dict[str, Any], Fraction]:
    with open_container(local_file(path)) as container:
        stream = video_stream(container, 0)
        tick = fraction(stream.time_base)
        encoder = stream.metadata.get("ENCODER") or stream.metadata.get("encoder") or ""
        codec = codec_of(stream)
        sizes, durations = 0, {}
        for packet in container.demux(stream):
            sizes += packet.size
            if packet.pts is not None:
                durations[packet.pts] = packet.duration or 0
    seconds = float(_length(durations) * tick)
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "codec": codec,
        "encoder": encoder,
        "bits_per_second": round(8 * sizes / seconds) if seconds else None,
    }, tick
