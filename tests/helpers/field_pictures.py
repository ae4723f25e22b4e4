"""H.264 whose fields are pictures of their own (PAFF), which no encoder at hand writes: all samples as they are."""

from fractions import Fraction
from pathlib import Path

import av

# Of a field, in macroblocks.
_WIDTH, _HEIGHT = 4, 2


class _Bits:
    """Bits as in ITU-T H.264, 7.2 and 9.1."""

    def __init__(self, *values: tuple[int, int] | int) -> None:
        """Numbers of (bits, value), and others as exponential Golomb codes without a sign."""
        self._text = ""
        for value in values:
            self.add(value)

    def add(self, value: tuple[int, int] | int) -> None:
        count, number = value if isinstance(value, tuple) else (2 * (value + 1).bit_length() - 1, value + 1)
        self._text += f"{number:0{count}b}"

    def align(self) -> None:
        self._text += "0" * (-len(self._text) % 8)

    def unit(self, header: int) -> bytes:
        """The NAL unit, with its start code."""
        self.add((1, 1))
        self.align()
        plain = int(self._text, 2).to_bytes(len(self._text) // 8)
        # No start code inside: samples are not 0, so that only headers could hold one, and these do not.
        assert b"\0\0" not in plain
        return b"\0\0\0\1" + bytes([header]) + plain


def _headers() -> bytes:
    """Main profile with fields, one reference picture, and order of output as that of decoding."""
    sequence = _Bits((8, 77), (8, 0), (8, 30), 0, 0, 2, 2, (1, 0), _WIDTH - 1, _HEIGHT - 1, (1, 0), (1, 0), (1, 1))
    for flag in (0, 0):
        sequence.add((1, flag))
    picture = _Bits(0, 0, (1, 0), (1, 0), 0, 0, 0, (1, 0), (2, 0), 0, 0, 0, (1, 1), (1, 0), (1, 0))
    return sequence.unit(0x67) + picture.unit(0x68)


def _field(number: int, value: int, *, is_bottom: bool, is_first: bool) -> bytes:
    """A field of frame ``number`` with samples of ``value``, 1 to 255."""
    bits = _Bits(0, 7, 0, (4, number), (1, 1), (1, is_bottom))
    for part in [0, (1, 0), (1, 0)] if is_first else [(1, 0)]:
        bits.add(part)  # type: ignore[arg-type]
    bits.add(0)
    bits.add(1)
    for _ in range(_WIDTH * _HEIGHT):
        bits.add(25)  # I_PCM
        bits.align()
        for _ in range(384):
            bits.add((8, value))
    return bits.unit(0x65 if is_first else 0x61)


def write_fields(file: Path, frames: int) -> None:
    """Write a film of 64x64 pixels and 25 frames a second, with a packet for each field."""
    units = []
    for number in range(frames):
        for is_bottom in (False, True):
            is_first = number % 8 == 0 and not is_bottom
            data = _field(number % 8, 20 + 6 * number, is_bottom=is_bottom, is_first=is_first)
            units.append((_headers() * is_first + data, is_first))
    raw = file.with_suffix(".264")
    raw.write_bytes(b"".join(data for data, _ in units))
    with av.open(str(raw)) as source, av.open(str(file), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for time, (data, is_key) in enumerate(units):
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 50), is_key
            packet.pts = packet.dts = time
            packet.duration = 1
            container.mux(packet)
