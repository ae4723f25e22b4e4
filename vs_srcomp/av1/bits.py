"""Reading the descriptors of the AV1 specification, section 4.10, from bytes."""

from typing import Final, NoReturn

from vs_srcomp.av1.errors import Av1Error

_REFILL_BYTES: Final = 32
"""Bytes that enter the window at a time: most frame headers fit, and to shift so short an integer is cheap."""

_MASKS: Final = tuple((1 << n) - 1 for n in range(65))


class BitReader:
    """A cursor over ``data[start:end]``, most significant bit first.

    The bits ahead lie in one integer, refilled some bytes at a time: a read is a shift and a mask, whatever the
    length of the data. Reading past ``end`` raises :class:`Av1Error`.
    """

    __slots__ = ("_ahead", "_data", "_end", "_next", "_start", "_window", "section")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None, section: str = "4.10") -> None:
        """Stand at the first bit of ``data[start]``; ``section`` is what errors name until a parser sets another."""
        end = len(data) if end is None else end
        loaded = min(start + _REFILL_BYTES, end)
        self._data = data
        self._start = start
        self._end = end
        self._next = loaded  # the first byte that is not in the window yet
        self._window = int.from_bytes(data[start:loaded])  # its lowest `_ahead` bits are unread, the others stale
        self._ahead = (loaded - start) << 3
        self.section = section

    @property
    def position(self) -> int:
        """Bits read since ``start``: get_position() of section 4.9."""
        return ((self._next - self._start) << 3) - self._ahead

    def fail(self, what: str) -> NoReturn:
        """Raise :class:`Av1Error` for the current section and position."""
        raise Av1Error(what, self.section, (self._next << 3) - self._ahead)

    def _refill(self, bits: int) -> int:
        """Bring ``bits`` or more unread bits into the window, or fail; return how many there are now."""
        while self._ahead < bits:
            chunk = self._data[self._next : min(self._next + _REFILL_BYTES, self._end)]
            if not chunk:
                self.fail(f"the data ends, {bits} more bits are needed")
            unread = self._window & ((1 << self._ahead) - 1)
            self._window = (unread << (len(chunk) << 3)) | int.from_bytes(chunk)
            self._ahead += len(chunk) << 3
            self._next += len(chunk)
        return self._ahead

    def f(self, n: int) -> int:
        """f(n), section 4.10.2: an unsigned integer of ``n`` bits, 0 <= n <= 64."""
        ahead = self._ahead
        if ahead < n:
            ahead = self._refill(n)
        self._ahead = ahead = ahead - n
        return (self._window >> ahead) & _MASKS[n]

    def flag(self) -> int:
        """f(1), the commonest descriptor by far."""
        ahead = self._ahead
        if not ahead:
            ahead = self._refill(1)
        self._ahead = ahead = ahead - 1
        return (self._window >> ahead) & 1

    def skip(self, n: int) -> None:
        """Pass over ``n`` >= 0 bits whose values nobody needs."""
        while n > self._ahead:
            n -= self._ahead
            self._ahead = 0
            self._refill(1)
        self._ahead -= n

    def skip_zeros(self, n: int) -> bool:
        """Pass over the next ``n`` bits if all of them are 0, and say so; there must be as many."""
        ahead = self._ahead
        if ahead < n:
            ahead = self._refill(n)
        if (self._window >> (ahead - n)) & _MASKS[n]:
            return False
        self._ahead = ahead - n
        return True

    def uvlc(self) -> int:
        """uvlc(), section 4.10.3: an exponential Golomb code, at most 2**32 - 1."""
        zeros = 0
        while not self.flag():
            zeros += 1
        if zeros >= 32:
            return (1 << 32) - 1
        return self.f(zeros) + (1 << zeros) - 1

    def su(self, n: int) -> int:
        """su(n), section 4.10.6: a signed integer of ``n`` >= 1 bits, two's complement."""
        value = self.f(n)
        return value - ((value >> (n - 1)) << n)

    def ns(self, n: int) -> int:
        """ns(n), section 4.10.7: a value below ``n`` >= 1, in as many bits as it takes or one less."""
        width = n.bit_length()
        shorter = (1 << width) - n
        value = self.f(width - 1)
        if value < shorter:
            return value
        return (value << 1) - shorter + self.flag()


def leb128(data: bytes | memoryview, at: int, end: int, section: str) -> tuple[int, int]:
    """leb128(), section 4.10.5, at ``data[at]``: the value, below 2**32, and the index of the byte after it."""
    value = shift = 0
    while at < end and shift < 56:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 32:
                raise Av1Error(f"a size of {value} does not fit in 32 bits", section, at << 3)
            return value, at
        shift += 7
    raise Av1Error("a size does not end", section, at << 3)
