"""Elements of Matroska files that FFmpeg does not read, and so cannot copy."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vs_srcomp.media.matroska import EBML, SEGMENT, TRACK_ENTRY, TRACK_NUMBER, TRACKS, UNKNOWN_SIZE, children, head

_CHAPTERS, _LANGUAGE, _LANGUAGE_BCP47 = 0x1043A770, 0x22B59C, 0x22B59D
_EDITION_ENTRY, _CHAPTER_ATOM, _CHAPTER_DISPLAY = 0x45B9, 0xB6, 0x80

# Larger than any header or list of chapters.
_MOST_BYTES = 64 << 20


def matroska_extras(file: Path) -> set[str]:
    """What a copy of ``file`` loses, one line each; empty for damaged files and those of other types.

    RFC 9559, 5.1.4 (tracks) and 5.1.7 (chapters).
    """
    found: set[str] = set()
    try:
        with file.open("rb") as stream:
            for identifier, content in _sections(stream):
                found.update(_of_tracks(content) if identifier == TRACKS else _of_chapters(content))
    except (IndexError, ValueError):  # the file ends inside an element
        pass
    return found


def _sections(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The elements Tracks and Chapters of the file."""
    if int.from_bytes(stream.read(4)) != EBML:
        return
    stream.seek(0)
    while data := stream.read(12):
        identifier, size, start = head(data, 0)
        position = stream.tell() - len(data) + start
        if identifier in (TRACKS, _CHAPTERS) and size <= _MOST_BYTES:
            stream.seek(position)
            yield identifier, stream.read(size)
        # Enter the segment. In files that were written to a pipe, sizes are unknown.
        if size == UNKNOWN_SIZE and identifier != SEGMENT:
            return
        stream.seek(position + (0 if identifier == SEGMENT else size))


def _of_tracks(content: bytes) -> Iterator[str]:
    for identifier, entry, _ in children(content):
        if identifier != TRACK_ENTRY:
            continue
        fields = {identifier: data for identifier, data, _ in children(entry)}
        tag = fields.get(_LANGUAGE_BCP47, b"").rstrip(b"\0").decode("ascii", "replace")
        if "-" in tag:
            plain = fields.get(_LANGUAGE, b"eng").rstrip(b"\0").decode("ascii", "replace")
            number = int.from_bytes(fields.get(TRACK_NUMBER, b"\0"))
            yield f"track {number} is in {tag!r}, of which only the language {plain!r} is kept"


def _of_chapters(content: bytes) -> Iterator[str]:
    editions = [edition for identifier, edition, _ in children(content) if identifier == _EDITION_ENTRY]
    if len(editions) > 1:
        yield "the chapters have several editions, which become one list"
    for edition in editions:
        for identifier, atom, _ in children(edition):
            if identifier == _CHAPTER_ATOM:
                parts = [part for part, _, _ in children(atom)]
                if parts.count(_CHAPTER_DISPLAY) > 1:
                    yield "chapters have titles in several languages, of which one is kept"
                if _CHAPTER_ATOM in parts:
                    yield "chapters inside of chapters are left out"
