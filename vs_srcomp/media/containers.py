"""The containers that can be written, and what each can hold."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
from av.stream import Disposition, Stream

from vs_srcomp.errors import error
from vs_srcomp.media.muxer_probe import refusal


@dataclass(frozen=True)
class ContainerKind:
    """A container format."""

    suffix: str
    """Of its files, in lower case."""
    muxer: str
    """FFmpeg's name of what writes it."""
    attachments: bool
    """Whether files, such as fonts, can be attached. Cover art is such a file then, and a video stream if not."""
    options: tuple[tuple[str, str], ...] = ()
    """For the muxer."""

    def holds(self, stream: Stream) -> bool:
        """Whether a copy of ``stream`` can go into this container."""
        return self.refusal(stream) is None

    def refusal(self, stream: Stream) -> str | None:
        """Why a copy of ``stream`` cannot go into this container: nothing, or the muxer's words; None if it can."""
        if stream.type == "attachment" or self.attaches(stream):
            return None if self.attachments else ""
        if stream.codec_context is None or not self.holds_codec(stream.codec_context.name):
            return ""
        return refusal(self.muxer, stream)

    def attaches(self, stream: Stream) -> bool:
        """Whether ``stream`` is cover art that becomes an attachment."""
        return self.attachments and bool(stream.disposition & Disposition.attached_pic)

    def holds_codec(self, codec: str) -> bool:
        """Whether a stream of the codec that FFmpeg calls ``codec`` can go into this container."""
        return codec in _supported_codecs(self.muxer)


CONTAINERS = (
    ContainerKind(".mkv", "matroska", attachments=True),
    # The index goes to the front, so that players on a network can start at once.
    ContainerKind(".mp4", "mp4", attachments=False, options=(("movflags", "+faststart"),)),
    ContainerKind(".webm", "webm", attachments=False),
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


@cache
def _supported_codecs(muxer: str) -> frozenset[str]:
    # The name is never opened: nothing is written before the header is.
    with av.open("unused", "w", format=muxer) as container:
        return frozenset(container.supported_codecs)
