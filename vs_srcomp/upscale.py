"""The VapourSynth graph: Lanczos-5 for every plane, then the network for the luma plane."""

import os
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import Literal

import vapoursynth as vs

from vs_srcomp.backends.base import BackendConfig, PlaneFormat
from vs_srcomp.backends.choice import default_backend
from vs_srcomp.clips import check_clip
from vs_srcomp.colour_guess import keep_assumed_colours
from vs_srcomp.errors import check_flags, error
from vs_srcomp.geometry import MAX_QUANTIZER, SAME_SHAPE, Ratio, nearest_ratio, ratio_by_name, scaled_size
from vs_srcomp.memory import limit_cache
from vs_srcomp.models import LOOKS, ModelName, scale_of
from vs_srcomp.resample import lanczos5
from vs_srcomp.restore import OWN_PROPS, FrameRestorer, Networks, refuse_interlaced
from vs_srcomp.target_size import check_size

# Of planes that std.Convolution takes.
_LEAST_SIDE = 4

# Frames in caches of inner nodes, besides one for each of the core's threads.
_SPARE = 4

# How the picture is moved for each view of an ensemble. The first two are half a turn apart. The first four keep width
# and height, so that one form of the network serves them all.
_FLIPS = ((), ("FlipHorizontal", "FlipVertical"), ("FlipHorizontal",), ("FlipVertical",))
_VIEWS = (*_FLIPS, *(("Transpose", *flips) for flips in _FLIPS))


def upscale(
    clip: vs.VideoNode,
    *,
    ratio: str | None = None,
    width: int | None = None,
    height: int | None = None,
    q: float | Literal["auto"] = "auto",
    model: ModelName = "fast",
    look: str = "faithful",
    passes: int = 1,
    sharpness: float = 0.0,
    ensemble: bool | Literal[2, 4, 8] = False,
    reuse: bool = True,
    backend: BackendConfig | None = None,
) -> vs.VideoNode:
    """Upscale a clip that was coded at a lower resolution, and repair its luma.

    Lanczos (a = 5) resizes every plane. A network for the ratio and the compression level then repairs the luma plane.
    Chroma is not touched after the resize. Every frame property is kept; ``SrcompModel``, ``SrcompQ`` and
    ``SrcompRatio`` record what was done.

    Args:
        clip: YUV or GRAY of constant format and size: 8 to 16 bit integer, half or float. Progressive.
        ratio: ``"2:1"`` (the default), ``"8:5"`` or ``"4:3"``, for both axes. The size is rounded to what the chroma
            subsampling can hold, ties upwards.
        width: Target width in luma pixels, not below the clip's, instead of a ratio. If only one of width and height is
            given, the other keeps the shape of the picture. With both, pixels take the shape with which the picture
            keeps its own. The model is that of the nearest ratio.
        height: Target height in luma pixels.
        q: The compression level, 0 to 63: base_q_idx / 4 of AV1 stills that look as good. Video that was coded with
            ``-crf N`` has a level some ten lower than N. ``"auto"`` reads the property ``SrcompQ`` of each frame, which
            `vs_srcomp.source` sets on AV1; frames without it get 25, with a message. The level is rounded to a whole
            number within the levels of the model's training; on TensorRT, which takes minutes for each level, to 20,
            30, 40 or 50.
        model: A tier (``"light"``, ``"fast"``, ``"quality"``); another system's model by name, such as
            ``"espcn-2x"``; or the path of an ONNX file with the same contract: [N, 1, H, W] float32, luma in 0..1
            after Lanczos in, restored luma out, and optionally a second input ``q``, [N] or [1] float32, the level. A
            network whose output is 2, 3 or 4 times as large as its input gets the clip's own luma instead. Its scale
            is the default ratio; Catmull-Rom brings its output to smaller sizes, Lanczos-5 to larger ones.
        look: For tiers: ``"faithful"``, the least error, or ``"crisp"``, what people prefer to look at.
        passes: 1, or 2 to run a network that enlarges twice: a 2x network then gives 4x.
        sharpness: Unsharp masking of the luma after the network with a 3x3 binomial blur, 0 to 1 in steps of 1/32.
            Networks are trained for the least error, which looks a little soft; 0.25 looks crisper, scores higher in
            VMAF, and costs up to 0.3 dB of PSNR at 2:1, 0.5 dB at 8:5, and 0.6 dB at 4:3, where half of it is enough
            (docs/results/stills.md has the rows).
        ensemble: Average the results for 2, 4 or 8 views of the picture, which are turned and flipped (Timofte et al.
            2016, arXiv 1511.02228), at so many times the cost. 2 views gain half of what 8 do, 4 four fifths of it.
            True means 8.
        reuse: Take parts of frames that have not changed from memory, up to 64 MB in 1080p. The result is the same to
            the bit.
        backend: What runs the network, one of ``vs_srcomp.Backend``; by default the best that is installed and
            works, which the log names.

    Returns:
        A clip of the same format, length and timing, in the new size.

    Raises:
        vs.Error: An argument or the clip's format cannot be used.
    """
    check_clip(clip)
    _check_colours(clip)
    check_flags(reuse=reuse)
    _check_model(model, look)
    _check_backend(backend)
    amount, views = _checked_sharpness(sharpness), _checked_views(ensemble)
    scale = _scale_of_passes(passes, scale_of(model))
    target_width, target_height, nearest = _target(clip, ratio, width, height, scale)
    check_size(clip, (width, height), (target_width, target_height))
    if clip.height % (2 << clip.format.subsampling_h) or target_height % (2 << clip.format.subsampling_h):
        clip = _never_interlaced(clip)
    up = limit_cache(lanczos5(clip, target_width, target_height), _SPARE)
    luma = (clip if scale > 1 else up).std.ShufflePlanes(0, vs.GRAY)
    # zimg converts float luma to codes, and back below, by the frame's range property.
    codes = luma if luma.format.sample_type == vs.INTEGER else luma.resize.Point(format=vs.GRAY16)
    limit_cache(codes, None if codes is luma else _SPARE)
    chosen = _Chosen(model, look, nearest, _checked_q(q), backend or default_backend(), passes, reuse)
    restored = _ensembled(codes, chosen, views)
    y = sharpened(restored, amount)
    if codes is not luma:
        y = y.std.CopyFrameProps(codes).resize.Point(format=luma.format.id)
    if scale > 1:
        y = _brought_to(y, target_width, target_height)

    out = y if up.format.color_family == vs.GRAY else vs.core.std.ShufflePlanes([y, up, up], [0, 1, 2], vs.YUV)
    # From the clip itself: resizing replaces unknown properties by guesses.
    out = out.std.CopyFrameProps(clip).std.CopyFrameProps(restored, props=OWN_PROPS)
    out = keep_assumed_colours(out, clip.width, clip.height)
    stretch = Fraction(target_height * clip.width, target_width * clip.height)
    return out if abs(stretch - 1) < SAME_SHAPE else _with_pixel_shape(out, up, stretch)


def _never_interlaced(clip: vs.VideoNode) -> vs.VideoNode:
    """``clip``, whose interlaced frames are refused here: the fields are too small for zimg, whose error says less."""

    def checked(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        refuse_interlaced(n, f)
        return f

    return limit_cache(clip.std.ModifyFrame(clip, checked), None)


def _with_pixel_shape(out: vs.VideoNode, up: vs.VideoNode, square: Fraction) -> vs.VideoNode:
    """``out`` with the pixel shape of ``up``; ``square`` is what becomes of square pixels, and of unknown ones."""

    def shaped(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        frame, known = f[0].copy(), f[1].props
        shape = Fraction(known["_SARNum"], known["_SARDen"]) if known.get("_SARDen") else square
        frame.props["_SARNum"], frame.props["_SARDen"] = shape.as_integer_ratio()
        return frame

    return out.std.ModifyFrame([out, up], shaped)


@dataclass(frozen=True)
class _Chosen:
    """The networks to run on luma, and how often."""

    model: ModelName
    look: str
    ratio: Ratio
    q: float | None
    backend: BackendConfig
    passes: int
    reuse: bool

    def networks(self, codes: vs.VideoNode) -> Networks:
        """The networks for planes of the format of ``codes``."""
        plane = PlaneFormat.of(codes)
        return Networks(self.model, self.look, self.ratio, self.q, self.backend, plane, reuse=self.reuse)


def _restored(codes: vs.VideoNode, chosen: _Chosen) -> vs.VideoNode:
    """Integer luma after the network. Only the frame properties ``OWN_PROPS`` are valid."""
    for _ in range(chosen.passes):
        # The only property that a second pass needs is the level, which the first one sets.
        codes = limit_cache(_passed(codes, chosen.networks(codes)), _SPARE)
    return codes


def _passed(codes: vs.VideoNode, networks: Networks) -> vs.VideoNode:
    # Only its format and size count: its frames are never requested.
    like = codes.std.BlankClip(width=codes.width * networks.scale, height=codes.height * networks.scale)
    # The core serialises the callbacks of a node: a pool of nodes processes several frames in parallel.
    pool = [limit_cache(like.std.ModifyFrame(codes, FrameRestorer(networks)), None) for _ in range(networks.workers)]
    return like.std.FrameEval(lambda n: pool[n % len(pool)], clip_src=pool)


def _ensembled(codes: vs.VideoNode, chosen: _Chosen, views: int) -> vs.VideoNode:
    """The mean over the first ``views`` of `_VIEWS` of ``codes``, each moved back after the network."""
    made = [_moved(_restored(_moved(codes, there), chosen), there[::-1]) for there in _VIEWS[:views]]
    return made[0] if views == 1 else limit_cache(vs.core.std.AverageFrames(made, [1] * views), _SPARE)


def _moved(luma: vs.VideoNode, ways: tuple[str, ...]) -> vs.VideoNode:
    for way in ways:
        luma = limit_cache(getattr(luma.std, way)(), None)
    return luma


def sharpened(luma: vs.VideoNode, amount: float) -> vs.VideoNode:
    """Unsharp masking of integer luma in one convolution: (1 + amount) identity - amount blur."""
    if not amount:
        return luma
    corner = -max(1, round(32 * amount))
    edge, middle = 2 * corner, 512 - 12 * corner
    kernel = [corner, edge, corner, edge, middle, edge, corner, edge, corner]
    if min(luma.width, luma.height) >= _LEAST_SIDE:
        return limit_cache(luma.std.Convolution(kernel, divisor=512), None)
    # Beyond a plane, Point mirrors it; next to the border, that repeats it, as Convolution does.
    width, height = luma.width + 4, luma.height + 4
    wider = luma.resize.Point(width, height, src_left=-2, src_top=-2, src_width=width, src_height=height)
    return wider.std.Convolution(kernel, divisor=512).std.Crop(2, 2, 2, 2)


def _brought_to(enlarged: vs.VideoNode, width: int, height: int) -> vs.VideoNode:
    """The output of an enlarging network, resized to the target size.

    To make it smaller, Catmull-Rom is the best kernel: with ArtCNN and FSRCNNX it gave 0.03 to 0.54 dB more Y-PSNR at
    8:5 and 4:3 than Lanczos-5 (eight Kodak pictures, Q 20 and 40).
    """
    if (width, height) == (enlarged.width, enlarged.height):
        return enlarged
    if width > enlarged.width or height > enlarged.height:
        return lanczos5(enlarged, width, height)
    return enlarged.resize.Bicubic(width, height, filter_param_a=0, filter_param_b=0.5)


def _check_colours(clip: vs.VideoNode) -> None:
    if clip.format.color_family not in (vs.YUV, vs.GRAY):
        raise error(
            f"{clip.format.name} is not YUV or GRAY",
            'convert first, for example resize.Bicubic(format=vs.YUV444P16, matrix_s="709")',
        )


def _check_model(model: ModelName, look: str) -> None:
    if not isinstance(model, str | os.PathLike):
        raise error(f"model={model!r} is not a model", 'give a name, such as "fast", or the path of an ONNX file')
    if not isinstance(look, str):
        raise error(f"look={look!r} is not a look", f"use one of {', '.join(LOOKS)}")


def _check_backend(backend: BackendConfig | None) -> None:
    if backend is None or (isinstance(backend, BackendConfig) and not isinstance(backend, type)):
        return
    shown = backend.__name__ if isinstance(backend, type) else repr(backend)
    raise error(f"backend={shown} is not a backend", "give one of vs_srcomp.Backend, such as Backend.OpenVINO()")


def _target(
    clip: vs.VideoNode, ratio: str | None, width: int | None, height: int | None, scale: int
) -> tuple[int, int, Ratio]:
    """Target width and height, and the ratio whose models fit them; ``scale`` is that of the network."""
    subsampling = clip.format.subsampling_w, clip.format.subsampling_h
    if width is None and height is None and ratio is None and scale > 1:
        return scale * clip.width, scale * clip.height, Ratio(f"{scale}:1", f"{scale}by1", Fraction(scale))
    if width is None and height is None:
        try:
            chosen = ratio_by_name("2:1" if ratio is None else ratio)
        except ValueError as reason:
            raise error(str(reason), "use one of these, or width= and height=") from None
        return *scaled_size(clip.width, clip.height, chosen.factor, *subsampling), chosen
    if ratio is not None:
        raise error("ratio and width or height exclude each other", "give a ratio, or a size")
    for size in (width, height):
        if size is not None and (not isinstance(size, Integral) or isinstance(size, bool) or size < 1):
            raise error(f"{size!r} is not a size in pixels", "give width and height as whole numbers above 0")
    factors = [Fraction(int(new), old) for new, old in ((width, clip.width), (height, clip.height)) if new is not None]
    sizes = [scaled_size(clip.width, clip.height, factor, *subsampling) for factor in (factors[0], factors[-1])]
    target_width = sizes[-1 if width is None else 0][0]
    target_height = sizes[-1][1]
    if target_width < clip.width or target_height < clip.height:
        raise error(
            f"{target_width}x{target_height} is smaller than the clip ({clip.width}x{clip.height})",
            "give a size that is not smaller",
        )
    return target_width, target_height, nearest_ratio(max(factors))


def _checked_sharpness(sharpness: float) -> float:
    if isinstance(sharpness, Real) and not isinstance(sharpness, bool) and 0 <= sharpness <= 1:
        return float(sharpness)
    raise error(f"sharpness is {sharpness!r}", "give a number from 0, which leaves the luma as it is, to 1")


def _checked_views(ensemble: bool | int) -> int:
    """The number of views; 1 without an ensemble."""
    if isinstance(ensemble, bool):
        return len(_VIEWS) if ensemble else 1
    if isinstance(ensemble, Integral) and ensemble in (2, 4, 8):
        return int(ensemble)
    raise error(f"ensemble={ensemble!r} is no number of views", "give ensemble=2, 4 or 8, or leave it out")


def _scale_of_passes(passes: int, scale: int) -> int:
    """Output size over input size of all passes together."""
    if not isinstance(passes, Integral) or isinstance(passes, bool) or passes not in (1, 2):
        raise error(f"passes is {passes!r}", "give 1 or 2")
    if passes == 1:
        return scale
    if scale == 1:
        raise error(
            "a network that does not enlarge cannot run in two passes", "leave passes out, or use another model"
        )
    return scale * scale


def _checked_q(q: float | str) -> float | None:
    """The compression level, or None for "auto"."""
    if isinstance(q, str) and q == "auto":
        return None
    if isinstance(q, Real) and not isinstance(q, bool) and 0 <= q <= MAX_QUANTIZER:
        return float(q)
    raise error(f"q={q!r} is not a compression level", f'give a number from 0 to {MAX_QUANTIZER}, or q="auto"')
