"""Comparison of metadata: tracks, tags, attachments, chapters, colour and HDR."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import vapoursynth as vs
from av.container import InputContainer
from av.stream import Disposition, Stream

from vs_srcomp.colour_guess import assumed_colours
from vs_srcomp.geometry import SAME_SHAPE
from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.media.copies import attachment, file_tags, stream_tags
from vs_srcomp.media.hdr import mastering_loss
from vs_srcomp.media.muxer_probe import holds
from vs_srcomp.media.picture import Mastering
from vs_srcomp.media.streams import numbered
from vs_srcomp.media.subtitles import is_timed_text
from vs_srcomp.media.tags import tags_to_write
from vs_srcomp.quality.verify.finding import Finding
from vs_srcomp.quality.verify.original import Original
from vs_srcomp.source.media import fraction

_COLOUR = {"_Matrix": "matrix", "_Primaries": "primaries", "_Transfer": "transfer", "_Range": "range"}
_ASSUMED = ", which players assume where nothing is said"
_CHROMA_OF_AV1 = (vs.CHROMA_LEFT, vs.CHROMA_TOP_LEFT)

# Resolution of AV1 (specification, 6.7.4): chromaticities 1/65536, luminances 1/256 and 1/16384 cd/m².
_HDR_STEPS = {
    "MasteringDisplayPrimariesX": 2.0**-16,
    "MasteringDisplayPrimariesY": 2.0**-16,
    "MasteringDisplayWhitePointX": 2.0**-16,
    "MasteringDisplayWhitePointY": 2.0**-16,
    "MasteringDisplayMaxLuminance": 2.0**-8,
    "MasteringDisplayMinLuminance": 2.0**-14,
    "ContentLightLevelMax": 0.0,
    "ContentLightLevelAverage": 0.0,
}
# Resolution of MP4: chromaticities 1/50000, luminances 1/10000 cd/m² (SMPTE ST 2086); decoders may report these values.
_COARSEST = 1 / 50000


def compare_streams(pairs: list[tuple[Stream, Stream]], kind: ContainerKind) -> Iterator[Finding]:
    """Codecs, languages, titles and flags of the tracks; the first pair is the video, whose codec is new."""
    for number, (before, after) in enumerate(pairs):
        name = numbered(after)
        codecs = [
            stream.codec_context.codec.canonical_name if stream.codec_context else "" for stream in (before, after)
        ]
        if number and codecs[0] != codecs[1]:
            known = is_timed_text(before) or set(codecs) == {*kind.indistinct_codecs}
            why = ": its styles are gone" if is_timed_text(before) else f": {kind.suffix} files do not keep them apart"
            yield Finding("streams", f"{name} was {codecs[0]}" + (why if known else ""), fault=not known)
        tags = (stream_tags(before, reencoded=number == 0), stream_tags(after, reencoded=False))
        yield from _compare_tags(name, *tags, kind)
        yield from _compare_flags(name, before.disposition, after.disposition, kind)


def _compare_flags(name: str, before: Disposition, after: Disposition, kind: ContainerKind) -> Iterator[Finding]:
    for flag in Disposition:
        if bool(before & flag) == bool(after & flag):
            continue
        text = f"{name} is {'no longer' if before & flag else 'now'} marked as {(flag.name or '').replace('_', ' ')}"
        if kind.always_default and after & flag:
            yield Finding("streams", f"{text}: in {kind.suffix} files one track of a kind is, always", fault=False)
        elif flag.name in kind.flags:
            yield Finding("streams", text)
        else:
            yield Finding("streams", f"{text}: {kind.suffix} files cannot record this", fault=False)


def _compare_tags(
    name: str, before: Mapping[str, str], after: Mapping[str, str], kind: ContainerKind
) -> Iterator[Finding]:
    there = {key.lower(): value for key, value in after.items()}
    for key, value in before.items():
        key = key.lower()
        if key == "language":
            if _language(value) != _language(there.get(key)):
                yield Finding("tags", f"{name} has language {there.get(key)!r} instead of {value!r}")
        elif key == "creation_time" and not kind.creation_time_of_tracks and name != "file":
            message = f"{name}: tag 'creation_time' is missing: {kind.suffix} files have one for the whole file"
            yield Finding("tags", message, fault=False)
        elif there.get(key) != value:
            text = f"tag {key!r} is " + (f"{there[key]!r} instead of {value!r}" if key in there else "missing")
            why = "" if kind.free_tags else f": {kind.suffix} files have few tags"
            yield Finding("tags", f"{name}: {text}{why}", fault=kind.free_tags)


def _language(tag: str | None) -> str:
    return tag or "und"


def compare_file_tags(before: InputContainer, after: InputContainer, kind: ContainerKind) -> Iterator[Finding]:
    """The tags of the file."""
    yield from _compare_tags("file", tags_to_write(file_tags(before), kind), after.metadata, kind)


def is_file(stream: Stream) -> bool:
    """Whether ``stream`` is an attachment or cover art. Containers store cover art as either."""
    return stream.type == "attachment" or bool(stream.disposition & Disposition.attached_pic)


def compare_attachments(before: InputContainer, after: InputContainer, kind: ContainerKind) -> Iterator[Finding]:
    """Attached files and cover art: contents, and in Matroska names and media types."""

    kept = [attachment(stream) for stream in before.streams if is_file(stream) and holds(kind, stream)]
    there = [attachment(stream) for stream in after.streams if is_file(stream)]
    for stream in before.streams:
        if is_file(stream) and not holds(kind, stream):
            name, *_ = attachment(stream)
            yield Finding("attachments", f"{name!r} is left out: {kind.suffix} files cannot hold it", fault=False)
    if kind.attachments:
        wrong = sorted(name for name, *rest in kept if (name, *rest) not in there)
    else:
        contents = [content for *_, content in there]
        wrong = sorted(name for name, _, content in kept if content not in contents)
    for name in wrong:
        yield Finding("attachments", f"{name!r} is missing or has changed")
    if len(there) > len(kept):
        yield Finding("attachments", f"there are {len(there)}; there should be {len(kept)}")


def compare_chapters(
    before: InputContainer, after: InputContainer, original: Original, kind: ContainerKind
) -> Iterator[Finding]:
    """Titles and times of chapters."""
    wanted = list(_chapters(before, original))
    there = list(_chapters(after, None))
    if len(wanted) != len(there):
        yield Finding("chapters", f"there are {len(there)}; there should be {len(wanted)}")
        return
    for number, (old, new) in enumerate(zip(wanted, there, strict=True), 1):
        tolerance = max(old.unit, new.unit, Fraction(1, 1000))
        edges = [("start", old.start, new.start), ("end", old.end, new.end)]
        for edge, was, is_ in edges if kind.chapter_ends else edges[:1]:
            if abs(was - is_) > tolerance:
                text = f"chapter {number} has its {edge} at {float(is_):.3f} s, not at {float(was):.3f} s"
                yield Finding("chapters", text)
        if old.title != new.title:
            yield Finding("chapters", f"chapter {number} is called {new.title!r} instead of {old.title!r}")


class _Chapter(NamedTuple):
    """Times in seconds."""

    start: Fraction
    end: Fraction
    title: str
    unit: Fraction


def _chapters(container: InputContainer, original: Original | None) -> Iterator[_Chapter]:
    """The chapters of a file, or of a section of it on the result's clock."""
    for chapter in container.chapters():
        unit = fraction(chapter["time_base"])
        start, end = chapter["start"] * unit, chapter["end"] * unit
        is_moment = start == end
        if original:
            start = start if original.first is None else max(start, original.first)
            end = end if original.stop is None else min(end, original.stop)
            if start > end or (start == end and not is_moment):
                continue
            start, end = start - original.zero, end - original.zero
        yield _Chapter(start, end, chapter["metadata"].get("title", ""), unit)


def compare_pictures(
    before: vs.VideoNode, after: vs.VideoNode, codec: str, kind: ContainerKind, *, told_codec: str
) -> Iterator[Finding]:
    """Compare properties of the first frames.

    Args:
        before: The source, from the first frame of the section.
        after: The result.
        codec: FFmpeg's name of the result's video codec.
        kind: The result's container.
        told_codec: The same, but empty if the encoder is a program, which is not told of HDR metadata.
    """
    old, new = before.get_frame(0).props, after.get_frame(0).props
    bits = [clip.format.bits_per_sample for clip in (before, after)]
    if bits[1] < min(bits[0], 10):
        yield Finding("picture", f"samples have {bits[1]} bits; those of the source have {bits[0]}")
    yield from _compare_colour(before, after, old, new, codec, kind)
    yield from _compare_hdr(old, new, mastering_loss(Mastering.of(old), told_codec, kind))
    yield from _compare_shape(before, after, old, new)
    yield from _compare_orientation(old, new, kind)


def _compare_colour(
    before: vs.VideoNode,
    after: vs.VideoNode,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    codec: str,
    kind: ContainerKind,
) -> Iterator[Finding]:
    format_ = before.format
    taken = [assumed_colours(props, clip.width, clip.height) for clip, props in ((before, old), (after, new))]
    if format_.color_family == vs.YUV and taken[0] != taken[1]:
        yield Finding("colour", f"players take it for matrix and primaries {taken[1]} instead of {taken[0]}")
    for prop, name in _COLOUR.items():
        # Untagged colours may be tagged as what players take them for.
        if prop in ("_Matrix", "_Primaries") and prop not in old and taken[0] == taken[1]:
            continue
        # AV1 always signals a range.
        if old.get(prop) != new.get(prop) and not (prop == "_Range" and prop not in old):
            message = f"{name} is {_number(new.get(prop))} instead of {_number(old.get(prop))}"
            is_assumed = prop == "_Range" and prop not in new and old[prop] == vs.RANGE_LIMITED
            yield Finding("colour", message + _ASSUMED * is_assumed, fault=not is_assumed)
    was, is_ = old.get("_ChromaLocation"), new.get("_ChromaLocation")
    if was is not None and was != is_ and (format_.subsampling_w, format_.subsampling_h) == (1, 1):
        message = f"chroma location is {_number(is_)} instead of {_number(was)}"
        if is_ is None and was == vs.CHROMA_LEFT:
            yield Finding("colour", message + _ASSUMED, fault=False)
            return
        unsigned = ""
        if codec == "av1" and was not in _CHROMA_OF_AV1:
            unsigned = ": AV1 has no sign for it"
        elif codec == "ffv1" and not kind.says_chroma_location:
            unsigned = f": FFV1 in {kind.suffix} has no sign for it"
        yield Finding("colour", message + unsigned, fault=not unsigned)


def _number(value: Any) -> str:
    return "unknown" if value is None else str(int(value))


def _compare_hdr(old: Mapping[str, Any], new: Mapping[str, Any], loss: str | None) -> Iterator[Finding]:
    """Compare HDR metadata; ``loss`` is why the result cannot hold the mastering display."""
    if loss and Mastering.of(new) is None:
        yield Finding("losses", loss, fault=False)
        old = {name: value for name, value in old.items() if not name.startswith("MasteringDisplay")}
    for prop, step in _HDR_STEPS.items():
        if prop not in old and prop not in new:
            continue
        if prop not in new or prop not in old:
            yield Finding("hdr", f"{prop} {'is missing' if prop in old else 'is new'}")
            continue
        values = [value if isinstance(value, list) else [value] for value in (old[prop], new[prop])]
        if any(abs(a - b) > max(step, _COARSEST if step else 0) for a, b in zip(*values, strict=True)):
            yield Finding("hdr", f"{prop} is {new[prop]} instead of {old[prop]}")


def _compare_shape(
    before: vs.VideoNode, after: vs.VideoNode, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Finding]:
    was, is_ = (Fraction(props.get("_SARNum", 1), props.get("_SARDen", 1) or 1) or Fraction(1) for props in (old, new))
    stretch = Fraction(after.height * before.width, after.width * before.height)
    wanted = was if abs(stretch - 1) < SAME_SHAPE else was * stretch
    # Matroska stores it as a display size in whole pixels.
    if abs(is_ - wanted) > wanted / after.width:
        yield Finding("picture", f"pixels are {is_} as wide as high instead of {wanted}")


def _compare_orientation(old: Mapping[str, Any], new: Mapping[str, Any], kind: ContainerKind) -> Iterator[Finding]:
    turned = [props.get("Rotation", 0) for props in (old, new)]
    flipped = [props.get("FlipVertical", 0) for props in (old, new)]
    if flipped[0] != flipped[1]:
        message = f"the picture is {'no longer' if flipped[0] else 'now'} flipped"
        fault = kind.says_flip or not flipped[0]
        yield Finding("picture", message if fault else f"{message}: {kind.suffix} files cannot record it", fault=fault)
    elif turned[0] != turned[1]:
        yield Finding("picture", f"the picture is turned by {turned[1]} degrees instead of {turned[0]}")
