"""What a Matroska file says that FFmpeg does not read, and so cannot write again."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vs_srcomp.media.matroska import children, head

_EBML, _SEGMENT, _TRACKS, _CHAPTERS = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0x1043A770
_TRACK_ENTRY, _TRACK_NUMBER, _LANGUAGE, _LANGUAGE_BCP47 = 0xAE, 0xD7, 0x22B59C, 0x22B59D
_EDITION_ENTRY, _CHAPTER_ATOM, _CHAPTER_DISPLAY = 0x45B9, 0xB6, 0x80

# More than any header or list of chapters has.
_MOST_BYTES = 64 << 20


def matroska_extras(file: Path) -> set[str]:
    """What is in ``file`` that copies lose, one line each; nothing for a file of another kind, or one that is damaged.

    RFC 9559, 5.1.4 (tracks) and 5.1.7 (chapters).
    """
    found: set[str] = set()
    try:
        with file.open("rb") as stream:
            for identifier, content in _sections(stream):
                found.update(_of_tracks(content) if identifier == _TRACKS else _of_chapters(content))
    except (IndexError, ValueError):  # the file ends inside an element
        pass
    return found


def _sections(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The elements Tracks and Chapters, wherever they are in the file."""
    if int.from_bytes(stream.read(4)) != _EBML:
        return
    stream.seek(0)
    while data := stream.read(12):
        identifier, size, start = head(data, 0)
        position = stream.tell() - len(data) + start
        if identifier in (_TRACKS, _CHAPTERS) and size <= _MOST_BYTES:
            stream.seek(position)
            yield identifier, stream.read(size)
        # The segment is entered; of a file that was written to a pipe, the size of elements is not known.
        unknown = size == (1 << 7 * _length_bytes(data)) - 1
        if unknown and identifier != _SEGMENT:
            return
        stream.seek(position + (0 if identifier == _SEGMENT else size))


def _length_bytes(data: bytes) -> int:
    after = 9 - data[0].bit_length()
    return 9 - data[after].bit_length()


def _of_tracks(content: bytes) -> Iterator[str]:
    for identifier, entry, _ in children(content):
        if identifier != _TRACK_ENTRY:
            continue
        fields = {identifier: data for identifier, data, _ in children(entry)}
        tag = fields.get(_LANGUAGE_BCP47, b"").rstrip(b"\0").decode("ascii", "replace")
        if "-" in tag:
            plain = fields.get(_LANGUAGE, b"eng").rstrip(b"\0").decode("ascii", "replace")
            number = int.from_bytes(fields.get(_TRACK_NUMBER, b"\0"))
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
