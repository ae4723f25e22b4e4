"""The registry of encoders, and the settings of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from vs_srcomp.errors import error


class CrfRange(NamedTuple):
    """The quality settings that an encoder takes; lower is better."""

    low: float
    high: float
    default: float
    halving: float
    """Increase of CRF that halves the size of an upscaled AV1 clip: measured, for estimates only."""
    whole: bool = False
    """Whether it has to be a whole number."""


@dataclass(frozen=True, kw_only=True)
class EncoderKind:
    """An encoder, as FFmpeg has it. A new one is one entry in `ENCODERS`."""

    name: str
    """As options have it."""
    title: str
    """As messages have it."""
    library: str
    """FFmpeg's name of the encoder."""
    codec: str
    """FFmpeg's name of the codec; empty if unknown before the first packet."""
    codec_id: str
    """Matroska's name of the codec (RFC 9559, Matroska's codec mappings); empty if ``codec`` is."""
    depths: tuple[int, ...]
    """Bits per sample that it takes, in rising order."""
    subsamplings: tuple[tuple[int, int], ...] = ((1, 1), (1, 0), (0, 0))
    """log2 of the horizontal and vertical chroma subsampling that it takes, the usual one first."""
    largest: tuple[int, int] | None = None
    """Largest width and height in pixels; None if there is no limit."""
    memory: tuple[float, float, int] = (0, 0, 0)
    """Memory: bytes per pixel at the start, bytes per pixel for each frame of lookahead, and frames of lookahead.
    Measured with 8 bits at the default preset; other settings take more."""
    square_pixels: bool = False
    """Whether its streams cannot store a pixel aspect ratio; the container still does."""
    bits_per_pixel: float
    """Size of the output at the default CRF, measured with upscaled AV1 clips. It only serves to check the disk space
    beforehand, so the order of magnitude is enough."""
    crf: CrfRange | None = None
    """None if it has no CRF."""
    presets: tuple[str, ...] = ()
    """From slow to fast."""
    preset: str = ""
    """The default."""
    params: str = ""
    """The option that takes more settings as ``key=value:key=value``."""
    mastering: str = ""
    """The setting for the mastering display of HDR video; empty where it has none."""
    mastering_decimals: bool = False
    """Whether that setting takes decimal numbers; if not, the units of ITU-T H.265, D.3.28."""
    content_light: str = ""
    """The setting for maximum and average light levels."""
    parallelism: str = ""
    """The setting for the number of processors to use, which does not change the result."""
    parallelism_levels: tuple[int, ...] = ()
    """If that setting is a level: the largest number of processors for each level, from level 1 on."""
    fixed_params: tuple[tuple[str, str], ...] = ()
    """Settings of ``params`` that make the result independent of the number of threads."""
    fixed_options: tuple[tuple[str, str], ...] = ()
    """FFmpeg's own options that do the same."""
    threads: int = 0
    """The number of threads, where the result depends on it; 0 where it does not."""
    hint: str = ""
    """What users can do to see more when it fails."""


_X_PRESETS = ("placebo", "veryslow", "slower", "slow", "medium", "fast", "faster", "veryfast", "superfast", "ultrafast")

SVT_AV1: Final = EncoderKind(
    name="svt-av1",
    title="SVT-AV1",
    library="libsvtav1",
    codec="av1",
    codec_id="V_AV1",
    depths=(8, 10),
    subsamplings=((1, 1),),
    largest=(16384, 8704),
    memory=(40, 4.0, 70),
    square_pixels=True,
    bits_per_pixel=0.06,
    crf=CrfRange(1, 63, 26, halving=9, whole=True),
    presets=tuple(map(str, range(14))),
    preset="8",
    params="svtav1-params",
    mastering="mastering-display",
    mastering_decimals=True,
    content_light="content-light",
    parallelism="lp",
    parallelism_levels=(1, 2, 8, 12, 16),
    hint="set SVT_LOG=2 in the environment for details",
)

ENCODERS: Final = (
    SVT_AV1,
    EncoderKind(
        name="x264",
        title="x264",
        library="libx264",
        codec="h264",
        codec_id="V_MPEG4/ISO/AVC",
        depths=(8, 10),
        largest=(16384, 16384),
        memory=(3, 2.0, 60),
        bits_per_pixel=0.2,
        crf=CrfRange(0, 51, 18, halving=6),
        presets=_X_PRESETS,
        preset="medium",
        params="x264-params",
        mastering="mastering-display",
        content_light="cll",
        threads=4,
    ),
    EncoderKind(
        name="x265",
        title="x265",
        library="libx265",
        codec="hevc",
        codec_id="V_MPEGH/ISO/HEVC",
        memory=(3, 2.0, 20),
        depths=(8, 10, 12),
        bits_per_pixel=0.1,
        crf=CrfRange(0, 51, 20, halving=6),
        presets=_X_PRESETS,
        preset="medium",
        params="x265-params",
        mastering="master-display",
        content_light="max-cll",
        parallelism="pools",
        # Without info=0, x265 writes all its settings into the stream, with the number of threads.
        fixed_params=(("info", "0"), ("frame-threads", "2"), ("log-level", "error")),
    ),
    EncoderKind(
        name="ffv1",
        title="FFV1",
        library="ffv1",
        codec="ffv1",
        codec_id="V_FFV1",
        depths=(8, 10, 12, 16),
        bits_per_pixel=6.0,
        # Version 3, intra only, with checksums, as archives require (RFC 9043).
        fixed_options=(("level", "3"), ("g", "1"), ("slices", "4"), ("slicecrc", "1")),
    ),
)

PIPE: Final = EncoderKind(
    name="pipe", title="the pipe", library="", codec="", codec_id="", depths=(8, 10, 12, 16), bits_per_pixel=0.2
)
"""A program of the user's that reads frames from a pipe."""

PIPE_CODECS: Final = {**{kind.codec: kind.codec_id for kind in ENCODERS}, "vp8": "V_VP8", "vp9": "V_VP9"}
"""Codecs that such programs may write: Matroska's names by FFmpeg's."""


INSTEAD_OF_CRF: Final = frozenset({"b", "qp"})
"""FFmpeg's names of other ways to control the rate, which encoders ignore beside a CRF."""

OVERRIDING: Final = {"crf": INSTEAD_OF_CRF | {"crf", "bitrate", "rc", "tbr"}, "preset": frozenset({"preset"})}
"""Settings of encoders, by their own names and FFmpeg's, that override the CRF and the preset."""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """An encoder with its settings."""

    kind: EncoderKind
    crf: float | None
    """Lower is better; None without CRF, or where another setting controls the rate."""
    preset: str
    """Empty without presets."""
    params: str = ""
    """More settings, ``key=value:key=value``, in the encoder's own names."""
    options: tuple[tuple[str, str], ...] = ()
    """More settings, in FFmpeg's names."""

    @property
    def names(self) -> frozenset[str]:
        """The names of all settings in `params` and `options`."""
        options = dict(self.options)
        own = f"{self.params}:{options.get(self.kind.params, '')}".split(":")
        return frozenset({*options, *(part.partition("=")[0].strip() for part in own)})

    def ffmpeg_options(self, params: Mapping[str, str]) -> dict[str, str]:
        """All settings in FFmpeg's names.

        Args:
            params: Settings by the encoder's own names that follow from the picture or the machine. The user's own
                settings come after them, and so override them.
        """
        options = dict(self.kind.fixed_options)
        if self.crf is not None:
            options["crf"] = f"{self.crf:g}"
        if self.preset:
            options["preset"] = self.preset
        options |= dict(self.options)
        own = [f"{key}={value}" for key, value in (*self.kind.fixed_params, *params.items())]
        own += [part for part in (options.get(self.kind.params, ""), self.params) if part]
        if own and self.kind.params:
            options[self.kind.params] = ":".join(own)
        return options


def encoder_by_name(name: str) -> EncoderKind:
    """The encoder called ``name``.

    Raises:
        vs.Error: There is no such encoder.
    """
    for kind in ENCODERS:
        if kind.name == name:
            return kind
    raise error(f"there is no encoder {name!r}", f"use one of {', '.join(kind.name for kind in ENCODERS)}")


def check_crf(kind: EncoderKind, crf: float) -> None:
    """Raise an error if the encoder does not take ``crf``."""
    if kind.crf is None:
        raise error(f"{kind.title} is lossless and has no CRF", "leave the CRF out")
    if not kind.crf.low <= crf <= kind.crf.high or (kind.crf.whole and crf != int(crf)):
        number = "a whole number" if kind.crf.whole else "a number"
        raise error(f"{kind.title} has no CRF {crf:g}", f"give {number} from {kind.crf.low:g} to {kind.crf.high:g}")
