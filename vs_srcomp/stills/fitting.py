"""Whether a format can hold a picture: what is reported, and what is refused before any work."""

from dataclasses import dataclass

import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.stills.encoding import INSTALL, libaom_program
from vs_srcomp.stills.formats import AVIF, PictureKind, has_greys
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.stills.picture import Picture


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a picture goes into a format."""

    bits: int
    """Of a sample: 8, 10 and 12 (AVIF), or 16."""
    coded: vs.VideoFormat | None = None
    """Of what FFmpeg codes as AVIF; None where Pillow writes the file."""
    by_libaom: bool = False
    """Whether that is libaom, not SVT-AV1."""
    notes: tuple[str, ...] = ()
    """What the format does not hold and people may do without."""


def check_options(kind: PictureKind, job: PictureJob) -> None:
    """Raise the error of options that ``kind`` does not have, whatever the picture is."""
    if job.lossless and kind.lossless == "never":
        raise error(
            f"{kind.suffix} files are not written without loss",
            "write .png, .tif, .webp or .avif, or leave out --lossless",
        )
    if job.depth and job.depth not in kind.depths:
        raise error(
            f"{kind.suffix} files have {_alternatives(kind.depths)} bits a sample, not {job.depth}",
            "leave out --depth, or write .png or .tif for 8 or 16 bits, .avif for 8, 10 or 12",
        )


def _alternatives(numbers: tuple[int, ...]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} or {last}" if first else last


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
    check_options(kind, job)
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
    is_deep = picture.bits > 8 if job.depth is None else job.depth > 8
    if kind is AVIF and needs_tags and job.depth == 8 and not job.lossless:
        raise error("AVIF of 8 bits is written in sRGB only", "leave out --depth 8: 10 bits hold these colours, too")
    if kind is AVIF and (is_deep or needs_tags or job.lossless):
        return _by_ffmpeg(picture, job, size, is_deep=is_deep or (needs_tags and not job.lossless))
    bits = kind.bits if is_deep else 8
    notes = [_narrowed(picture, bits, kind)] if picture.bits > bits else []
    if metadata.has_grey_profile and not has_greys(kind, with_alpha=picture.alpha is not None):
        what = f"{kind.suffix} files{' with alpha' if kind is AVIF else ''}"
        notes.append(f"{what} are in colour: the profile, which is of greys, is not kept")
    return Fit(bits=bits, notes=tuple(notes))


def _by_ffmpeg(picture: Picture, job: PictureJob, size: tuple[int, int], *, is_deep: bool) -> Fit:
    """AVIF that Pillow does not write: of more than 8 bits, and without loss, which is RGB (or grey).

    PyAV has SVT-AV1, which codes 4:2:0 in 10 bits. All else takes libaom, which is in the package imageio-ffmpeg.
    """
    what = "of more than 8 bits" if is_deep else "without loss"
    for name, there in (("alpha", picture.alpha is not None), ("a profile", picture.metadata.icc is not None)):
        if there:
            todo = "write .png instead"
            if not is_deep:
                todo = "write .png or .webp instead"
            elif not job.lossless:
                todo += ", or 8 bits with --depth 8"
            raise error(f"AVIF {what} is not written with {name}", todo)
    own = picture.clip.format
    is_gray = own.color_family == vs.GRAY
    subsampling = (own.subsampling_w, own.subsampling_h)
    wanted = job.depth or (12 if picture.bits > 10 else 10)
    has_libaom = libaom_program() is not None
    if job.lossless:
        if not has_libaom:
            raise error("AVIF without loss needs the package imageio-ffmpeg", f"{INSTALL}, or write .png")
        # Of 10 bits, 12 hold all of what 16 bits of RGB are made of.
        bits = (job.depth or 12) if is_deep else 8
        coded = vs.core.query_video_format(vs.GRAY if is_gray else vs.RGB, vs.INTEGER, bits)
    elif has_libaom and (is_gray or subsampling != (1, 1) or wanted > 10):
        bits = wanted
        if is_gray:
            coded = vs.core.query_video_format(vs.GRAY, vs.INTEGER, bits)
        else:
            # AV1 has no more of chroma than of luma in any direction, and none of 4:4:0.
            subsampling = subsampling if subsampling in ((0, 0), (1, 0), (1, 1)) else (0, 0)
            coded = vs.core.query_video_format(vs.YUV, vs.INTEGER, bits, *subsampling)
    elif job.depth == 12:
        raise error("AVIF of 12 bits needs the package imageio-ffmpeg", f"{INSTALL}, or give --depth 10")
    elif size[0] % 2 or size[1] % 2:
        raise error(
            f"AVIF of 10 bits and {size[0]}x{size[1]}, an odd size, needs the package imageio-ffmpeg",
            f"{INSTALL}, or give an even size, or write .png",
        )
    else:
        bits, coded = 10, vs.core.get_video_format(vs.YUV420P10)
    by_libaom = job.lossless or coded.id != vs.YUV420P10
    notes = []
    if picture.metadata.exif or picture.metadata.xmp:
        notes.append(f"EXIF and XMP are not kept: AVIF {what} is written without them")
    elif picture.metadata.dpi:
        notes.append(f"its pixels per inch are not kept: AVIF {what} is written without them")
    if not by_libaom and not is_gray and subsampling != (1, 1):
        notes.append(f"its colours become 4:2:0; with imageio-ffmpeg they stay as they are: {INSTALL}")
    if picture.bits > bits:
        notes.append(_narrowed(picture, bits, AVIF))
    return Fit(bits=bits, coded=coded, by_libaom=by_libaom, notes=tuple(notes))


def _narrowed(picture: Picture, bits: int, kind: PictureKind) -> str:
    return f"of {picture.bits} bits a sample, {kind.suffix} gets {bits}"
