"""Tags of files in containers that know only some, by name."""

import io
from collections.abc import Mapping

import av

from vs_srcomp.media.containers import ContainerKind

# Where a phone was, in MOV; MP4 has the same by another name.
_LOCATION_OF_PHONES = "com.apple.quicktime.location.ISO6709"
_LOCATION = "location"


def tags_to_write(tags: Mapping[str, str], kind: ContainerKind) -> dict[str, str]:
    """The ``tags`` of a file, by names that a container of ``kind`` knows."""
    written = dict(tags)
    if not kind.free_tags and _LOCATION_OF_PHONES in written:
        written.setdefault(_LOCATION, written.pop(_LOCATION_OF_PHONES))
    return written


def lost_tags(tags: Mapping[str, str], kind: ContainerKind) -> list[str]:
    """The names of those ``tags`` of a file that a container of ``kind`` cannot hold: its muxer is asked."""
    if kind.free_tags or not tags:
        return []
    written = io.BytesIO()
    with av.open(written, "w", format=kind.muxer) as container:
        container.add_stream("aac", rate=48000)  # A file needs a track.
        container.metadata.update(tags_to_write(tags, kind))
        container.start_encoding()
    written.seek(0)
    with av.open(written) as container:
        held = {name.lower() for name in container.metadata}
    return [name for name in tags if not {name.lower(), *tags_to_write({name: ""}, kind)} & held]
