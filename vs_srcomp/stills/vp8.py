"""The quantizer of a lossy WebP file: the frame header of VP8 (RFC 6386, sections 9.2 to 9.6 and 19.2)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SEGMENTS: Final = 4
_START_CODE: Final = b"\x9d\x01\x2a"


def quantizer_index(file: Path) -> float | None:
    """The quantizer index of luma, 0 to 127; where segments have their own, the mean of the four.

    None for lossless and animated files, and for those that cannot be parsed.
    """
    data = next((body for kind, body in _chunks(file.read_bytes()) if kind == b"VP8 "), b"")
    # A key frame has bit 0 unset, a start code, and its size before the coded header.
    if len(data) < 10 or data[0] & 1 or data[3:6] != _START_CODE:
        return None
    return _quantizer(_BoolDecoder(data[10:]))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a RIFF file."""
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _quantizer(bits: "_BoolDecoder") -> float:
    """The frame header up to y_ac_qi."""
    bits.literal(2)  # color_space, clamping_type
    segments: list[int] = []
    absolute = False
    if bits.flag():  # segmentation_enabled
        updates_map, updates_data = bits.flag(), bits.flag()
        if updates_data:
            absolute = bits.flag()
            segments = [bits.optional(7) for _ in range(_SEGMENTS)]
            for _ in range(_SEGMENTS):
                bits.optional(6)  # the loop filter's levels
        if updates_map:
            for _ in range(3):
                if bits.flag():
                    bits.literal(8)
    bits.literal(1 + 6 + 3)  # filter_type, loop_filter_level, sharpness_level
    if bits.flag() and bits.flag():  # loop_filter_adj_enable, mode_ref_lf_delta_update
        for _ in range(8):
            bits.optional(6)
    bits.literal(2)  # log2_nbr_of_dct_partitions
    base = bits.literal(7)
    indices = [(0 if absolute else base) + segment for segment in segments] or [base]
    return sum(min(max(index, 0), 127) for index in indices) / len(indices)


class _BoolDecoder:
    """The arithmetic decoder of section 7.3, for bits that are equally likely to be 0 and 1."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 2
        self._value = int.from_bytes(data[:2].ljust(2, b"\0"), "big")
        self._range = 255
        self._shifted = 0

    def flag(self) -> bool:
        split = 1 + ((self._range - 1) * 128 >> 8)
        big = split << 8
        bit = self._value >= big
        if bit:
            self._range -= split
            self._value -= big
        else:
            self._range = split
        while self._range < 128:
            self._value <<= 1
            self._range <<= 1
            self._shifted += 1
            if self._shifted == 8:
                self._shifted = 0
                self._value |= self._data[self._at] if self._at < len(self._data) else 0
                self._at += 1
        return bit

    def literal(self, length: int) -> int:
        """An unsigned number, its highest bit first."""
        value = 0
        for _ in range(length):
            value = value << 1 | self.flag()
        return value

    def optional(self, length: int) -> int:
        """A signed number behind a flag of whether it is there; otherwise 0."""
        if not self.flag():
            return 0
        value = self.literal(length)
        return -value if self.flag() else value
