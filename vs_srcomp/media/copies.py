"""Copies from the source: packets, chapters and tags of a section."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream

from vs_srcomp.media.section import Section
from vs_srcomp.media.streams import Plan
from vs_srcomp.media.subtitles import AnyPacket
from vs_srcomp.media.timeline import clock_restarts, timeline_of
from vs_srcomp.source.index import readable
from vs_srcomp.source.media import fraction, open_container, video_stream

# Longest duration of a subtitle in seconds.
_LONG_SHOWN = 30

# These describe the source file, not its content; muxers write their own.
_OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
# FFmpeg's names of further such tags, by its names of formats. Elsewhere, software may be a tag about the content.
_OF_THE_FORMAT = {"avi": {"software"}}
# mkvmerge's statistics of the source's streams.
_OF_THE_STREAM = {"duration", "bps", "number_of_frames", "number_of_bytes", "source_id"}

# These describe the encoding of a stream.
_OF_THE_ENCODING = {"encoder", "alpha_mode"}


def copied_packets(source: InputContainer, plan: Plan, section: Section) -> Iterator[AnyPacket]:
    """The packets to copy, in file order, on the file's clock or, if that restarts, on a continuous one.

    A packet belongs to the section if it begins there; a subtitle that is visible at the start or at the end of the
    section is cut.

    Args:
        source: The file. Other streams are discarded from now on.
        plan: The streams to copy.
        section: The section.
    """
    if not plan.copied:
        return
    file = source.name
    with open_container(file) as again:
        restarts = clock_restarts(again, video_stream(again, 0))
    shifts = timeline_of(file, fraction(plan.video.time_base)).shifts if restarts else []
    for stream in source.streams:
        if stream not in plan.copied and not (shifts and stream == plan.video):
            stream.discard = Discard.all
    packets: Iterator[AnyPacket]
    if shifts:
        packets = _on_one_clock(readable(source.demux(plan.video, *plan.copied)), plan.video, shifts)  # type: ignore[arg-type]
    else:
        if section.start is not None:
            # A subtitle that is visible at the start of the section may have begun much earlier.
            early = _LONG_SHOWN if any(stream.type == "subtitle" for stream in plan.copied) else 0
            source.seek(int(max(Fraction(0), section.start - early) * av.time_base))
        packets = readable(source.demux(plan.copied))  # type: ignore[arg-type, assignment]
    # Subtitles may be hours apart, so audio decides when the end is reached.
    unfinished = {stream.index for stream in plan.copied if stream.type == "audio"}
    unfinished = unfinished or {stream.index for stream in plan.copied}
    for packet in packets:
        if packet.size and packet.stream.disposition & Disposition.attached_pic:
            packet.pts = packet.dts = round(section.zero / fraction(packet.time_base))
            yield packet
            continue
        if packet.size == 0 or packet.pts is None:  # the end of a stream, or a packet without a time
            continue
        shown = packet.pts * fraction(packet.time_base)
        if section.end is not None and shown >= section.end:
            unfinished.discard(packet.stream_index)
            if not unfinished:
                return
        elif section.start is None or shown >= section.start or _is_visible_at_start(packet, section.start):
            if packet.stream.type == "subtitle":
                _cut(packet, section)
            yield _without_repeated_header(packet)


def _on_one_clock(packets: Iterator[AnyPacket], video: Stream, shifts: list[Fraction]) -> Iterator[AnyPacket]:
    """The packets of other streams than ``video``, on the continuous clock of its frames.

    Interleaving is not exact: the last packets of the old clock lie among the first pictures of the new one. Of the
    clocks near a packet, its own is the one that brings it closest to the neighbouring pictures.

    Args:
        packets: All packets in file order.
        video: The stream whose clocks are known.
        shifts: For each packet of ``video``, the seconds to add to its times.
    """
    clocks = list(dict.fromkeys(shifts))
    number, clock, neighbour = 0, 0, None
    for packet in packets:
        time = packet.pts if packet.dts is None else packet.dts
        if packet.size == 0 or time is None:
            continue
        unit = fraction(packet.time_base)
        if packet.stream == video:
            shift = shifts[min(number, len(shifts) - 1)]
            number, clock, neighbour = number + 1, clocks.index(shift), time * unit + shift
            continue
        near = clocks[max(0, clock - 1) : clock + 2] if neighbour is not None else clocks[:1]
        shift = min(near, key=lambda shift: abs(time * unit + shift - neighbour) if neighbour is not None else 0)
        packet.dts = None if packet.dts is None else packet.dts + round(shift / unit)
        packet.pts = None if packet.pts is None else packet.pts + round(shift / unit)
        yield packet


def _without_repeated_header(packet: AnyPacket) -> AnyPacket:
    """``packet`` without a repeated stream header, for which Matroska's muxer would add a track."""
    kind: Final = "new_extradata"
    if not packet.has_sidedata(kind) or bytes(packet.get_sidedata(kind)) != packet.stream.codec_context.extradata:
        return packet
    plain: AnyPacket = Packet(bytes(packet))
    plain.pts, plain.dts, plain.duration = packet.pts, packet.dts, packet.duration
    plain.time_base, plain.is_keyframe, plain.stream = packet.time_base, packet.is_keyframe, packet.stream
    for data in packet.iter_sidedata():
        if data.data_type != kind:
            plain.set_sidedata(data)
    return plain


def _is_visible_at_start(packet: AnyPacket, start: Fraction) -> bool:
    """Whether ``packet`` is a subtitle that is visible at ``start``."""
    end = ((packet.pts or 0) + (packet.duration or 0)) * fraction(packet.time_base)
    return packet.stream.type == "subtitle" and end > start


def _cut(packet: AnyPacket, section: Section) -> None:
    """Cut the subtitle ``packet`` to the section."""
    time_base = fraction(packet.time_base)
    begin = packet.pts or 0
    end = begin + (packet.duration or 0)
    if section.start is not None and begin * time_base < section.start:
        packet.pts = packet.dts = begin = round(section.start / time_base)
    if section.end is not None:
        end = min(end, round(section.end / time_base))
    packet.duration = max(0, end - begin)


def copied_chapters(source: InputContainer, section: Section) -> list[Any]:
    """The chapters of ``source`` that overlap the section, on the clock of the output."""
    chapters = []
    for chapter in source.chapters():
        time_base = fraction(chapter["time_base"])
        first, last = chapter["start"], chapter["end"]
        if section.start is not None:
            first = max(first, round(section.start / time_base))
        if section.end is not None:
            last = min(last, round(section.end / time_base))
        if first < last or chapter["start"] == first == last == chapter["end"]:
            zero = round(section.zero / time_base)
            chapters.append({**chapter, "start": first - zero, "end": last - zero})
    return chapters


def attachment(stream: Stream) -> tuple[str, str, bytes]:
    """Name, media type and content of an attachment or cover art."""
    if isinstance(stream, AttachmentStream):
        return stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data
    codec = stream.codec_context.codec.canonical_name
    kind = "jpeg" if codec == "mjpeg" else codec
    # Opened again: the packet comes only once, long before others.
    with open_container(stream.container.name) as again:
        packet = next(packet for packet in again.demux(again.streams[stream.index]) if packet.size)
        content = bytes(packet)
    tags = stream.metadata
    return tags.get("filename", f"cover.{kind}"), tags.get("mimetype", f"image/{kind}"), content


def file_tags(source: InputContainer) -> dict[str, str]:
    """The tags of the file."""
    return _without(source.metadata, _OF_THE_FILE | _OF_THE_FORMAT.get(source.format.name, set()))


def stream_tags(stream: Stream, *, reencoded: bool) -> dict[str, str]:
    """The tags of a stream, without those of its encoding if it is encoded again."""
    tags = _without(stream.metadata, _OF_THE_STREAM | _OF_THE_ENCODING if reencoded else _OF_THE_STREAM)
    # FFmpeg reads the title of a track in MP4 and MOV as its name, and writes none by that name.
    if "mp4" in stream.container.format.name and "name" in tags and "title" not in tags:
        tags["title"] = tags.pop("name")
    return tags


def _without(tags: dict[str, str], unwanted: set[str]) -> dict[str, str]:
    # Matroska has names in capitals, and mkvmerge appends a language to some of them.
    return {
        name: value
        for name, value in tags.items()
        if name.lower().partition("-")[0] not in unwanted and not name.startswith("_STATISTICS")
    }
