"""Whether a format can hold a picture: what is reported, and what is refused before any work."""

from dataclasses import dataclass

from vs_srcomp.errors import error
from vs_srcomp.stills.formats import AVIF, PictureKind
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.stills.picture import Picture


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a picture goes into a format."""

    bits: int
    """Of a sample: 8, 10 (AVIF) or 16."""
    notes: tuple[str, ...] = ()
    """What the format does not hold and people may do without."""


def fit(picture: Picture, kind: PictureKind, job: PictureJob, size: tuple[int, int]) -> Fit:
    """Find how ``picture`` goes into ``kind``.

    Args:
        picture: What was read.
        kind: The format of the output.
        job: What is asked for.
        size: Width and height of the output.

    Raises:
        vs.Error: What is shown would not be the same, or the format cannot do what is asked for.
    """
    if job.lossless and kind.lossless == "never":
        raise error(f"{kind.suffix} files are not written without loss", "write .png, .tif or .webp, or leave it out")
    if job.depth == 16 and kind.bits == 8:
        raise error(f"{kind.suffix} files have 8 bits", "write .png or .tif, which have 16, or .avif, which has 10")
    if picture.alpha is not None and not kind.alpha:
        raise error(f"{kind.suffix} files have no alpha", "write .png, .webp, .avif or .tif instead")
    if max(size) > kind.largest:
        raise error(
            f"{size[0]}x{size[1]} is too large for {kind.suffix}, whose sides have {kind.largest} pixels at most",
            "write .png or .tif instead, or give a smaller size",
        )
    metadata = picture.metadata
    needs_tags = not metadata.tags.is_srgb and metadata.icc is None
    if needs_tags and not kind.tags:
        colours = "HDR" if metadata.tags.is_hdr else "other colours than sRGB"
        raise error(
            f"the picture has {colours}, given by numbers (CICP) for which {kind.suffix} has no place",
            "write .png or .avif instead",
        )
    bits = kind.bits if (picture.bits > 8 if job.depth is None else job.depth > 8) else 8
    notes = []
    if kind is AVIF and (bits > 8 or needs_tags):
        bits = kind.bits
        notes += _deep_avif(picture, asked=job.depth)
    if picture.bits > bits:
        notes.append(f"of {picture.bits} bits a sample, {kind.suffix} gets {bits}")
    return Fit(bits=bits, notes=tuple(notes))


def _deep_avif(picture: Picture, *, asked: int | None) -> list[str]:
    """What is lost in AVIF of 10 bits, which FFmpeg writes with SVT-AV1: 4:2:0, with tags and nothing else."""
    metadata = picture.metadata
    for name, there in (("alpha", picture.alpha is not None), ("a profile", metadata.icc is not None)):
        if there:
            todo = "write .png instead" + ("" if asked == 8 else ", or 8 bits with --depth 8")
            raise error(f"AVIF of more than 8 bits is not written with {name}", todo)
    notes = []
    if metadata.exif or metadata.xmp:
        notes.append("EXIF and XMP are not kept: AVIF of more than 8 bits is written without them")
    chroma = picture.clip.format.subsampling_w + picture.clip.format.subsampling_h
    if picture.clip.format.num_planes > 1 and chroma < 2:
        notes.append("its colours become 4:2:0: AVIF of more than 8 bits is written so")
    return notes
