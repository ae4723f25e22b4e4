"""Conversion of subtitles for another container."""

from av.packet import Packet
from av.stream import Stream

type AnyPacket = Packet[Stream]

TIMED_TEXT = "mov_text"
"""FFmpeg's name of the subtitles of MP4 files (3GPP TS 26.245)."""

PLAIN_TEXT = "subrip"
"""FFmpeg's name of what Matroska calls S_TEXT/UTF8."""


def is_timed_text(stream: Stream) -> bool:
    """Whether ``stream`` has MP4's subtitles, which no other container can hold."""
    return stream.codec_context is not None and stream.codec_context.name == TIMED_TEXT


def as_plain_text(packet: AnyPacket) -> AnyPacket:
    """The text of ``packet`` without styles; empty if the packet only fills a gap.

    A sample is the length of the text in two bytes, the text, and boxes with styles (3GPP TS 26.245, 5.17).
    """
    sample = bytes(packet)
    plain = Packet(sample[2 : 2 + int.from_bytes(sample[:2])])
    plain.pts, plain.dts, plain.duration = packet.pts, packet.dts, packet.duration
    plain.time_base = packet.time_base
    plain.is_keyframe = True
    return plain
