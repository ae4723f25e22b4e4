"""Conversion of FFmpeg's pixel formats to VapourSynth's planar ones."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import vapoursynth as vs
from av.video.frame import VideoFrame

from vs_srcomp.errors import error
from vs_srcomp.source.media import Cropping

# log2 of the chroma subsampling, horizontally and vertically
_SUBSAMPLING = {"444": (0, 0), "440": (0, 1), "422": (1, 0), "420": (1, 1), "411": (2, 0), "410": (2, 2)}

_PLANAR = re.compile(
    r"(?:yuv(?P<alpha>a?)(?P<full>j?)(?P<yuv>4\d\d)p|(?P<gray>gray)|gbr(?P<rgb_alpha>a?)p)(?P<bits>f32|\d*)(?P<order>le|be|)"
)

# Formats that are not planar, with the planar format for the same samples.
_REARRANGED = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "nv20le": "yuv422p10le",
    **{f"p{n}{bits}le": f"yuv{yuv}p{bits}le" for n, yuv in [(0, 420), (2, 422), (4, 444)] for bits in (10, 12, 16)},
    **dict.fromkeys(("yuyv422", "uyvy422", "yvyu422"), "yuv422p"),
    "y210le": "yuv422p10le",
    "y212le": "yuv422p12le",
    **dict.fromkeys(("vuyx", "vyu444", "vuya"), "yuv444p"),
    "v30xle": "yuv444p10le",
    "xv36le": "yuv444p12le",
    **dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr", "rgba", "bgra", "argb", "abgr", "pal8"), "gbrp"),
    **dict.fromkeys(("x2rgb10le", "x2bgr10le"), "gbrp10le"),
    **dict.fromkeys(("rgb48le", "rgb48be", "bgr48le", "bgr48be", "rgba64le", "rgba64be"), "gbrp16le"),
    **dict.fromkeys(("monow", "monob", "ya8"), "gray"),
    **dict.fromkeys(("ya16le", "ya16be"), "gray16le"),
}
_WITH_ALPHA = {"vuya", "rgba", "bgra", "argb", "abgr", "rgba64le", "rgba64be", "ya8", "ya16le", "ya16be"}


class Window(NamedTuple):
    """The part of a decoded picture that is shown, in luma samples."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How frames of one FFmpeg pixel format become VapourSynth frames.

    Attributes:
        name: FFmpeg's name of the format.
        planar: The planar format to convert to first; None if the format is planar.
        color_family: VapourSynth's colour family.
        sample_type: VapourSynth's sample type.
        bits: Bits per sample.
        subsampling: log2 of the chroma subsampling, horizontally and vertically.
        has_alpha: Whether there is an alpha plane, which is dropped.
        full_range: Whether the format itself means full range.
    """

    name: str
    planar: str | None
    color_family: vs.ColorFamily
    sample_type: vs.SampleType
    bits: int
    subsampling: tuple[int, int]
    has_alpha: bool
    full_range: bool

    def video_format(self) -> vs.VideoFormat:
        """VapourSynth's format."""
        return vs.core.query_video_format(self.color_family, self.sample_type, self.bits, *self.subsampling)

    def window(self, width: int, height: int, cropping: Cropping) -> Window:
        """The part of a picture of ``width`` x ``height`` in a VapourSynth frame: whole chroma samples only.

        Rounded as in FFmpeg's crop filter, so that chroma keeps its position. A cropping that leaves nothing is
        ignored.
        """
        w, h = self.subsampling
        wide, high = (
            (width - cropping.left - cropping.right) >> w << w,
            (height - cropping.top - cropping.bottom) >> h << h,
        )
        if wide <= 0 or high <= 0:
            return Window(0, 0, width >> w << w, height >> h << h)
        return Window(cropping.left >> w << w, cropping.top >> h << h, wide, high)

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Width and height of the whole ``frame`` as a VapourSynth frame."""
        return self.window(frame.width, frame.height, Cropping())[2:]

    def copy(self, frame: VideoFrame, target: vs.VideoFrame, left: int = 0, top: int = 0) -> None:
        """Copy the planes of ``frame``, which must have this format, into those of ``target``.

        Args:
            frame: At least as large as ``target``.
            target: Of `video_format`.
            left: The first column of ``frame`` to copy, in luma samples; a multiple of the subsampling.
            top: The first row of ``frame`` to copy, in luma samples; a multiple of the subsampling.
        """
        if self.planar:
            # With equal ranges, none is converted. One thread, because swscale's vector code writes past the
            # end of rows, over pixels that another thread has written.
            frame = frame.reformat(
                format=self.planar, src_color_range=1, dst_color_range=1, interpolation="POINT", threads=1
            )
        sources = frame.planes
        for number in range(target.format.num_planes):
            # FFmpeg stores RGB as green, blue, red.
            source = sources[(2, 0, 1)[number]] if self.color_family == vs.RGB else sources[number]
            sink = np.asarray(target[number])
            height, width = sink.shape
            rows: npt.NDArray[Any] = np.frombuffer(source, sink.dtype).reshape(source.height, -1)
            if source.line_size < 0:  # stored from the bottom up
                rows = rows[::-1]
            w, h = self.subsampling if number in (1, 2) else (0, 0)
            np.copyto(sink, rows[top >> h :, left >> w :][:height, :width])


@cache
def pixel_format(name: str) -> PixelFormat:
    """The conversion of FFmpeg's pixel format ``name``.

    Raises:
        vapoursynth.Error: No planar format holds the samples of this one exactly.
    """
    planar = _REARRANGED.get(name)
    match = _PLANAR.fullmatch(planar or name)
    bits = match["bits"] if match else ""
    if match is None or (bits.isdigit() and not 8 <= int(bits) <= 16):
        raise error(f"the pixel format {name} has no counterpart in VapourSynth", "convert the file to a planar format")
    if match["order"] == "be":
        planar = f"{name[:-2]}le"
    family = vs.YUV if match["yuv"] else vs.GRAY if match["gray"] else vs.RGB
    return PixelFormat(
        name=name,
        planar=planar,
        color_family=family,
        sample_type=vs.FLOAT if bits == "f32" else vs.INTEGER,
        bits=32 if bits == "f32" else int(bits or 8),
        subsampling=_SUBSAMPLING[match["yuv"]] if match["yuv"] else (0, 0),
        has_alpha=name in _WITH_ALPHA or bool(match["alpha"] or match["rgb_alpha"]),
        full_range=bool(match["full"]),
    )
