"""The registry of containers that can be written, and what each can store. This module does not need PyAV."""

from dataclasses import dataclass
from pathlib import Path

from vs_srcomp.errors import error


@dataclass(frozen=True, kw_only=True)
class ContainerKind:
    """A container format. A new one is one entry in `CONTAINERS`."""

    suffix: str
    """Suffix of its files, in lower case."""
    muxer: str
    """FFmpeg's name of its muxer. FFmpeg decides which codecs the muxer takes."""
    options: tuple[tuple[str, str], ...] = ()
    """Options for the muxer."""
    colour_options: tuple[tuple[str, str], ...] = ()
    """Options instead, if the codec has no colour tags and the muxer would write only complete ones."""
    codec_tags: tuple[tuple[str, str], ...] = ()
    """Tags by FFmpeg's name of the codec, where some players refuse the muxer's default."""
    attachments: bool = False
    """Whether files such as fonts can be attached. If so, cover art is an attachment, else a video stream."""
    display_size: bool = False
    """Whether the pixel shape is stored as a display size, in Matroska's elements."""
    says_chroma_location: bool = False
    """Whether the location of chroma can be stored beside a codec without colour tags."""
    half_mastering: bool = False
    """Whether a mastering display can be stored of which only the primaries or only the luminance are known."""
    stereo_modes: tuple[str, ...] = ()
    """The stereo 3D layouts that a file can signal, by FFmpeg's names; ``"any"`` for all of them."""
    says_flip: bool = False
    """Whether a file can signal a flipped picture."""
    flags: tuple[str, ...] = ()
    """Flags that a track can have, by PyAV's names of dispositions."""
    always_default: bool = False
    """Whether one track of each type is always the default."""
    free_tags: bool = False
    """Whether tags can have any name."""
    creation_time_of_tracks: bool = False
    """Whether each track has its own creation time; if not, the file has one."""
    chapter_ends: bool = True
    """Whether chapters have an end; if not, each lasts until the next."""
    indistinct_codecs: tuple[str, ...] = ()
    """Codecs that share one identifier, by FFmpeg's names."""


# RFC 9559, 5.1.4.1; WebM has the first two only.
_MATROSKA_FLAGS = (
    *("default", "forced", "comment", "hearing_impaired"),
    *("visual_impaired", "descriptions", "original", "dub"),
)

CONTAINERS = (
    ContainerKind(
        suffix=".mkv",
        muxer="matroska",
        attachments=True,
        display_size=True,
        says_chroma_location=True,
        half_mastering=True,
        stereo_modes=("any",),
        flags=_MATROSKA_FLAGS,
        free_tags=True,
    ),
    ContainerKind(
        suffix=".mp4",
        muxer="mp4",
        # The index at the front lets players on a network start at once.
        options=(("movflags", "+faststart"),),
        colour_options=(("movflags", "+faststart+write_colr"),),
        # hvc1 has the parameter sets in the header only: the form that Apple's players need.
        codec_tags=(("hevc", "hvc1"),),
        says_flip=True,
        flags=("default",),
        always_default=True,
        creation_time_of_tracks=True,
        chapter_ends=False,
        # They share an object type indication (MPEG-4 registration authority).
        indistinct_codecs=("mp2", "mp3"),
    ),
    ContainerKind(
        suffix=".webm",
        muxer="webm",
        display_size=True,
        says_chroma_location=True,
        half_mastering=True,
        stereo_modes=("mono", "left_right", "right_left", "top_bottom", "bottom_top"),
        flags=_MATROSKA_FLAGS[:2],
        free_tags=True,
    ),
)


def container_for(target: Path) -> ContainerKind:
    """The container for the suffix of ``target``.

    Raises:
        vs.Error: There is none for it.
    """
    for kind in CONTAINERS:
        if target.suffix.lower() == kind.suffix:
            return kind
    raise error(
        f"the suffix of {target.name!r} names no container that can be written",
        f"end the name with {', '.join(kind.suffix for kind in CONTAINERS[:-1])} or {CONTAINERS[-1].suffix}",
    )
