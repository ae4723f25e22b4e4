"""A picture from beginning to end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_srcomp.backends.base import BackendConfig, ThreadedBackend
from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path
from vs_srcomp.media.muxer_errors import writing
from vs_srcomp.models import depends_on_level
from vs_srcomp.named_files import check_new_output
from vs_srcomp.resample import lanczos5
from vs_srcomp.restore import DEFAULT_Q
from vs_srcomp.settings import backend_of
from vs_srcomp.stills.bands import bands_of, check_fits
from vs_srcomp.stills.colour import clip_of, planes_of, to_bits, to_gray, to_rgb
from vs_srcomp.stills.encoding import write_avif_by_libaom, write_deep_avif
from vs_srcomp.stills.fitting import Fit, fit
from vs_srcomp.stills.formats import kind_of
from vs_srcomp.stills.hidden import without_hidden_colours
from vs_srcomp.stills.job import PictureJob, PictureResult
from vs_srcomp.stills.metadata import resized_exif
from vs_srcomp.stills.orientation import turned, upright, upright_size
from vs_srcomp.stills.picture import Picture, Plane
from vs_srcomp.stills.reading import read_picture
from vs_srcomp.stills.writing import write_samples
from vs_srcomp.upscale import upscale


def upscale_picture(job: PictureJob) -> PictureResult:
    """Do ``job``: read, upscale, write.

    The output takes its name only when it is whole; whatever goes wrong, nothing is left behind.

    Raises:
        vs.Error: The job cannot be done.
    """
    began = time.monotonic()
    kind_of(job.target)
    check_new_output(job.target, job.source, overwrite=job.overwrite)
    result = upscale_read(read_picture(job.source), job)
    return replace(result, seconds=time.monotonic() - began)


def upscale_read(picture: Picture, job: PictureJob, written: Callable[[Path], None] | None = None) -> PictureResult:
    """Do ``job`` with a picture that has been read already.

    Args:
        picture: What was read.
        job: What is asked for.
        written: Called with the path of the whole output, just before that takes its name.
    """
    began = time.monotonic()
    plan = plan_picture(picture, job)
    write, model = _prepared(picture, plan, job)
    with writing_picture(job.target), atomic_path(job.target, overwrite=job.overwrite) as temporary:
        write(temporary)
        if written:
            written(temporary)
    return PictureResult(
        target=job.target,
        source_size=plan.source_size,
        target_size=plan.target_size,
        model=model,
        q=plan.q,
        bits=plan.fitted.bits,
        seconds=time.monotonic() - began,
        bytes=job.target.stat().st_size,
        notes=(*picture.notes, *plan.notes),
    )


@dataclass(frozen=True, kw_only=True)
class PicturePlan:
    """What is to be done with a picture, before the network runs."""

    source_size: tuple[int, int]
    """Width and height as shown, like those of the output."""
    target_size: tuple[int, int]
    q: float
    parts: "list[_Part]"
    fitted: Fit
    notes: tuple[str, ...]


def plan_picture(picture: Picture, job: PictureJob) -> PicturePlan:
    """Find out all that can be known before the network runs.

    Raises:
        vs.Error: The job cannot be done.
    """
    kind = kind_of(job.target)
    q, notes = _level(picture, job)
    parts = _parts(picture, job, q)
    size = upright_size((parts[0].clip.width, sum(part.rows for part in parts)), picture.orientation)
    fitted = fit(picture, kind, job, size)
    check_fits(picture, size, fitted.bits)
    return PicturePlan(
        source_size=upright_size((picture.clip.width, picture.clip.height), picture.orientation),
        target_size=size,
        q=q,
        parts=parts,
        fitted=fitted,
        notes=(*notes, *fitted.notes),
    )


def enlarged(picture: Picture, job: PictureJob, q: float) -> vs.VideoNode:
    """The picture's clip after Lanczos-5 and the network, as in a video; not turned yet."""
    width, height = upright_size((job.width, job.height), picture.orientation)
    backend = _for_one_plane(backend_of(job))
    given = {"width": width, "height": height, "q": q, "reuse": False, "backend": backend}
    return upscale(picture.clip, **job.arguments() | given)


def _for_one_plane(backend: BackendConfig) -> BackendConfig:
    """``backend`` with all threads on the plane, unless the user has divided them: no other one has to be done."""
    if isinstance(backend, ThreadedBackend) and not backend.streams:
        return backend.with_streams(1)
    return backend


@contextmanager
def writing_picture(file: Path) -> Iterator[None]:
    """As `writing`, and for errors of Pillow's encoders."""
    todo = "write .png instead"
    with writing(file, todo):
        try:
            yield
        except ValueError as reason:
            raise error(f"cannot write {str(file)!r}: {str(reason).lower()}", todo) from reason


def _level(picture: Picture, job: PictureJob) -> tuple[float, tuple[str, ...]]:
    if job.q != "auto":
        return float(job.q), ()
    if picture.q is not None:
        return picture.q, ()
    if not depends_on_level(job.model):
        return DEFAULT_Q, ()
    todo = "--q sets another, 12 for not at all"
    return DEFAULT_Q, (f"its compression level is not known: Q {DEFAULT_Q:g} is taken; {todo}",)


@dataclass(frozen=True)
class _Part:
    """Rows of the output."""

    clip: vs.VideoNode
    skip: int
    rows: int

    @property
    def kept(self) -> vs.VideoNode:
        """Nothing but these rows."""
        if self.rows == self.clip.height:
            return self.clip
        return self.clip.std.CropAbs(self.clip.width, self.rows, 0, self.skip)


def _parts(picture: Picture, job: PictureJob, q: float) -> list[_Part]:
    """The picture after the network, at once or in bands, top down."""
    picture = without_hidden_colours(picture)
    bands = bands_of(picture, job)
    if not bands:
        whole = enlarged(picture, job, q)
        return [_Part(whole, 0, whole.height)]
    clip = picture.clip
    return [
        _Part(
            enlarged(
                replace(picture, clip=clip.std.CropAbs(clip.width, band.stop - band.first, 0, band.first)), job, q
            ),
            band.skip,
            band.rows,
        )
        for band in bands
    ]


def _prepared(picture: Picture, plan: PicturePlan, job: PictureJob) -> tuple[Callable[[Path], None], str]:
    """Do all but writing: gives what writes the upscaled picture, turned, and the name of the network."""
    parts, fitted = plan.parts, plan.fitted
    if fitted.coded:
        whole = vs.core.std.StackVertical([part.kept for part in parts]) if len(parts) > 1 else parts[0].clip
        model = str(whole.get_frame(0).props["SrcompModel"])
        clip, tags = _coded(whole, picture.orientation, fitted.coded), picture.metadata.tags
        if fitted.by_libaom:
            by_libaom = partial(write_avif_by_libaom, clip=clip, tags=tags, quality=job.quality, lossless=job.lossless)
            return by_libaom, model
        return partial(write_deep_avif, clip=clip, tags=tags, quality=job.quality), model
    samples, model = _samples(parts, picture, fitted.bits)
    height, width = samples.shape[:2]
    write = partial(
        write_samples,
        kind=kind_of(job.target),
        samples=samples,
        metadata=replace(picture.metadata, exif=resized_exif(picture.metadata.exif, width, height)),
        quality=job.quality,
        lossless=job.lossless,
        subsampling=picture.subsampling,
    )
    return write, model


def _samples(parts: list[_Part], picture: Picture, bits: int) -> tuple[NDArray[Any], str]:
    """Height x width (x channels) of the upscaled picture and its alpha, turned; and the name of the network."""
    width, height = parts[0].clip.width, sum(part.rows for part in parts)
    is_gray = picture.clip.format.color_family == vs.GRAY
    count = (1 if is_gray else 3) + (picture.alpha is not None)
    samples = np.empty((height, width, count), np.uint8 if bits == 8 else np.uint16)
    top, model = 0, ""
    for part in parts:
        # Cropped after the way to RGB, for which chroma needs its neighbours.
        with (to_gray if is_gray else to_rgb)(part.clip, bits).get_frame(0) as frame:
            for number, plane in enumerate(planes_of(frame)):
                samples[top : top + part.rows, :, number] = plane[part.skip : part.skip + part.rows]
            model = str(frame.props["SrcompModel"])
        top += part.rows
    if picture.alpha is not None:
        samples[:, :, -1] = to_bits(_enlarged_alpha(picture.alpha, width, height), bits)
    turned = np.ascontiguousarray(upright(samples, picture.orientation))
    return turned[:, :, 0] if count == 1 else turned, model


def _enlarged_alpha(alpha: Plane, width: int, height: int) -> Plane:
    kind = vs.GRAY8 if alpha.dtype == np.uint8 else vs.GRAY16
    with lanczos5(clip_of([alpha], kind, {"_Range": int(vs.RANGE_FULL)}), width, height).get_frame(0) as frame:
        return np.asarray(frame[0]).copy()


def _coded(clip: vs.VideoNode, orientation: int, wanted: vs.VideoFormat) -> vs.VideoNode:
    """``clip`` in the format ``wanted``, turned."""
    if wanted.color_family == vs.GRAY:
        return turned(clip, orientation).resize.Point(format=wanted.id)
    if clip.format.color_family == vs.GRAY:
        # Grey has no matrix of its own; any will do for chroma that is neutral.
        return turned(clip.std.SetFrameProps(_Matrix=1), orientation).resize.Bicubic(format=wanted.id)
    if wanted.color_family == vs.RGB:
        return turned(clip.resize.Bicubic(format=wanted.id, range_s="full"), orientation)
    if orientation > 1 and wanted.subsampling_w + wanted.subsampling_h:
        # In 4:4:4, where chroma lies on luma however the picture is turned.
        clip = clip.resize.Bicubic(format=vs.YUV444P16)
    # The files state no location of chroma, and readers of AVIF take it for centre.
    return turned(clip, orientation).resize.Bicubic(format=wanted.id, chromaloc_s="center")
