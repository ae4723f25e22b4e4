"""The encoders that there are, and the settings each takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from vs_srcomp.errors import error


class CrfRange(NamedTuple):
    """The quality settings that an encoder takes; less is better."""

    low: float
    high: float
    default: float
    halving: float
    """By how much CRF has to rise to halve the bits of an upscaled AV1 clip: measured, and good for estimates only."""
    whole: bool = False
    """Whether it has to be a whole number."""


@dataclass(frozen=True, kw_only=True)
class EncoderKind:
    """An encoder, as FFmpeg has it. A new one is one entry in `ENCODERS`."""

    name: str
    """As users write it."""
    title: str
    """As its makers write it."""
    library: str
    """FFmpeg's name of the encoder."""
    codec: str
    """FFmpeg's name of the codec; empty if unknown before the first packet."""
    codec_id: str
    """Matroska's name of it (RFC 9559, and the codec mappings of Matroska); empty likewise."""
    depths: tuple[int, ...]
    """Bits of a sample that it takes, rising."""
    subsamplings: tuple[tuple[int, int], ...] = ((1, 1), (1, 0), (0, 0))
    """log2 of the horizontal and vertical chroma subsampling that it takes, the usual one first."""
    largest: tuple[int, int] | None = None
    """Width and height in pixels, where it has such a limit."""
    memory: tuple[float, float, int] = (0, 0, 0)
    """Bytes a pixel that it takes at once, and for each frame that it looks ahead, and how many these are: measured in
    8 bits at the default preset, and less than other settings take."""
    square_pixels: bool = False
    """Whether its stream has no pixel shape; the container still does."""
    bits_per_pixel: float
    """Of the output, at the default CRF and for content of middling detail: measured with upscaled AV1 clips. The right
    order is enough: it serves to check the disk space, and a disk that gets full all the same costs another start."""
    crf: CrfRange | None = None
    """None where it has no such setting."""
    presets: tuple[str, ...] = ()
    """From slow to fast."""
    preset: str = ""
    """The default."""
    params: str = ""
    """The option that takes more settings as ``key=value:key=value``."""
    mastering: str = ""
    """The setting for the mastering display of HDR video; empty where it has none."""
    mastering_decimals: bool = False
    """Whether it takes decimal numbers, not the units of ITU-T H.265, D.3.28."""
    content_light: str = ""
    """The setting for maximum and average light levels."""
    parallelism: str = ""
    """The setting for how many processors to keep busy, without a change of the result."""
    parallelism_levels: tuple[int, ...] = ()
    """Where that counts levels: so many processors, at most, for each level from 1."""
    fixed_params: tuple[tuple[str, str], ...] = ()
    """Such settings that make the result independent of the number of threads."""
    fixed_options: tuple[tuple[str, str], ...] = ()
    """FFmpeg's own options that do the same."""
    threads: int = 0
    """The number of threads, where the result depends on it; 0 where it does not."""
    hint: str = ""
    """How users find out more when it fails."""


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
        # The first keeps the number of threads out of the stream, in which x265 writes all its settings.
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
        # Version 3 with checksums, every frame by itself: what archives ask for (RFC 9043).
        fixed_options=(("level", "3"), ("g", "1"), ("slices", "4"), ("slicecrc", "1")),
    ),
)

PIPE: Final = EncoderKind(
    name="pipe", title="the pipe", library="", codec="", codec_id="", depths=(8, 10, 12, 16), bits_per_pixel=0.2
)
"""Any program that reads frames from a pipe."""

PIPE_CODECS: Final = {**{kind.codec: kind.codec_id for kind in ENCODERS}, "vp8": "V_VP8", "vp9": "V_VP9"}
"""What such programs may write: Matroska's names of codecs by FFmpeg's."""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """An encoder and how it is to encode."""

    kind: EncoderKind
    crf: float | None
    """Of the encoder; less is better."""
    preset: str
    """Of the encoder."""
    params: str = ""
    """More settings, ``key=value:key=value``, in the encoder's own names."""
    options: tuple[tuple[str, str], ...] = ()
    """More settings, in FFmpeg's names."""

    def ffmpeg_options(self, params: Mapping[str, str]) -> dict[str, str]:
        """All settings in FFmpeg's names.

        Args:
            params: Settings in the encoder's own names that this job's picture or machine asks for; those that users
                give come after them, and so take their place.
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
    """The encoder that users call ``name``.

    Raises:
        vs.Error: There is none.
    """
    for kind in ENCODERS:
        if kind.name == name:
            return kind
    raise error(f"there is no encoder {name!r}", f"use one of {', '.join(kind.name for kind in ENCODERS)}")


def check_crf(kind: EncoderKind, crf: float) -> None:
    """Raise the error of a CRF that the encoder does not have."""
    if kind.crf is None:
        raise error(f"{kind.title} is lossless and has no CRF", "leave the CRF out")
    if not kind.crf.low <= crf <= kind.crf.high or (kind.crf.whole and crf != int(crf)):
        number = "a whole number" if kind.crf.whole else "a number"
        raise error(f"{kind.title} has no CRF {crf:g}", f"give {number} from {kind.crf.low:g} to {kind.crf.high:g}")
