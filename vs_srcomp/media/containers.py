"""The containers that can be written, and what each can store. This module works without PyAV."""

from dataclasses import dataclass
from pathlib import Path

from vs_srcomp.errors import error


@dataclass(frozen=True, kw_only=True)
class ContainerKind:
    """A container format. A new one is one entry in `CONTAINERS`."""

    suffix: str
    """Of its files, in lower case."""
    muxer: str
    """FFmpeg's name of its muxer. FFmpeg itself is asked which codecs the muxer takes."""
    options: tuple[tuple[str, str], ...] = ()
    """For the muxer."""
    codec_tags: tuple[tuple[str, str], ...] = ()
    """By FFmpeg's name of the codec, where the muxer's own choice of a tag is not the one that all players take."""
    attachments: bool = False
    """Whether files, such as fonts, can be attached. Cover art is such a file then, and a video stream if not."""
    display_size: bool = False
    """Whether the pixel shape is stored as a display size, in Matroska's elements."""
    stereo_modes: tuple[str, ...] = ()
    """The stereo 3D layouts that a file can signal, by FFmpeg's names; ``"any"`` for all of them."""
    says_flip: bool = False
    """Whether a file can signal a flipped picture."""
    flags: tuple[str, ...] = ()
    """What a track can be marked as; names of PyAV's dispositions."""
    always_default: bool = False
    """Whether one track of each kind is marked as the default, always."""
    free_tags: bool = False
    """Whether tags can have any name."""
    title_is_name: bool = False
    """Whether a track's title may come back as its name."""
    creation_time_of_tracks: bool = False
    """Whether each track has its own; if not, the file has one."""
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
        stereo_modes=("any",),
        flags=_MATROSKA_FLAGS,
        free_tags=True,
    ),
    ContainerKind(
        suffix=".mp4",
        muxer="mp4",
        # The index goes to the front, so that players on a network can start at once.
        options=(("movflags", "+faststart"),),
        # Parameter sets beside the packets: the only form that Apple's players take.
        codec_tags=(("hevc", "hvc1"),),
        says_flip=True,
        flags=("default",),
        always_default=True,
        title_is_name=True,
        creation_time_of_tracks=True,
        chapter_ends=False,
        # One number stands for both (the object types of the MPEG-4 registration authority).
        indistinct_codecs=("mp2", "mp3"),
    ),
    ContainerKind(
        suffix=".webm",
        muxer="webm",
        display_size=True,
        stereo_modes=("mono", "left_right", "right_left", "top_bottom", "bottom_top"),
        flags=_MATROSKA_FLAGS[:2],
        free_tags=True,
    ),
)


def container_for(target: Path) -> ContainerKind:
    """The container that the suffix of ``target`` names.

    Raises:
        vs.Error: It names none that can be written.
    """
    for kind in CONTAINERS:
        if target.suffix.lower() == kind.suffix:
            return kind
    raise error(
        f"{target.name!r} does not say which container to write",
        f"end the name with {', '.join(kind.suffix for kind in CONTAINERS[:-1])} or {CONTAINERS[-1].suffix}",
    )
