"""The descriptors of section 4.10: what is written comes back, and nothing is read past the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vs_srcomp.av1.bits import BitReader, leb128
from vs_srcomp.av1.errors import Av1Error

from . import bitwriter
from .bitwriter import BitWriter

_FIELDS = st.lists(
    st.integers(0, 64).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, (1 << n) - 1))), max_size=60
)


@given(_FIELDS, st.integers(0, 3))
def test_f_returns_what_was_written(fields: list[tuple[int, int]], before: int) -> None:
    writer = BitWriter()
    for n, value in fields:
        writer.f(n, value)
    bits = BitReader(b"\xff" * before + writer.padded(), before)
    read = 0
    for n, value in fields:
        assert bits.f(n) == value
        read += n
        assert bits.position == read


@given(st.binary(max_size=100), st.lists(st.integers(0, 200), max_size=20))
def test_skip_moves_like_f(data: bytes, steps: list[int]) -> None:
    skipping, reading = BitReader(data), BitReader(data)
    for step in steps:
        if reading.position + step > 8 * len(data):
            with pytest.raises(Av1Error):
                skipping.skip(step)
            return
        skipping.skip(step)
        for _ in range(step):
            reading.flag()
        assert skipping.position == reading.position
    rest = 8 * len(data) - reading.position
    assert [skipping.flag() for _ in range(rest)] == [reading.flag() for _ in range(rest)]


@given(st.binary(min_size=1, max_size=80), st.data())
def test_skip_zeros_only_takes_zeros(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, 8 * len(data)))
    n = draw.draw(st.integers(0, min(64, 8 * len(data) - at)))
    bits = BitReader(data)
    bits.skip(at)
    ahead = f"{int.from_bytes(data):0{8 * len(data)}b}"[at : at + n]
    assert bits.skip_zeros(n) == ("1" not in ahead)
    assert bits.position == (at if "1" in ahead else at + n)


@given(st.integers(0, (1 << 32) - 2))
def test_uvlc(value: int) -> None:
    assert BitReader(BitWriter().uvlc(value).padded()).uvlc() == value


def test_uvlc_of_32_zeros_is_its_maximum() -> None:
    assert BitReader(b"\0\0\0\0\x80").uvlc() == (1 << 32) - 1


@given(st.integers(1, 64).flatmap(lambda n: st.tuples(st.just(n), st.integers(-(1 << n - 1), (1 << n - 1) - 1))))
def test_su(field: tuple[int, int]) -> None:
    n, value = field
    assert BitReader(BitWriter().f(n, value % (1 << n)).padded()).su(n) == value


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_ns(field: tuple[int, int]) -> None:
    n, value = field
    writer = BitWriter().ns(n, value)
    bits = BitReader(writer.padded())
    assert bits.ns(n) == value
    assert bits.position == len(writer.bits)


@pytest.mark.parametrize(("code", "value"), [("00", 0), ("01", 1), ("10", 2), ("110", 3), ("111", 4)])
def test_ns_as_the_specification_tabulates_it(code: str, value: int) -> None:
    bits = BitReader(bytes([int(code.ljust(8, "0"), 2)]))
    assert bits.ns(5) == value
    assert bits.position == len(code)


@given(st.integers(0, (1 << 32) - 1), st.binary(max_size=3), st.binary(max_size=3))
def test_leb128(value: int, before: bytes, after: bytes) -> None:
    code = bitwriter.leb128(value)
    data = before + code + after
    assert leb128(data, len(before), len(data), "4.10.5") == (value, len(before) + len(code))


def test_leb128_may_be_padded_to_eight_bytes() -> None:
    assert leb128(b"\x85\x80\x80\x80\x80\x80\x80\x00", 0, 8, "4.10.5") == (5, 8)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "does not end"),
        (b"\x80", "does not end"),
        (b"\x80" * 8 + b"\x00", "does not end"),
        (b"\x80\x80\x80\x80\x10", "does not fit in 32 bits"),
    ],
)
def test_leb128_refuses(data: bytes, what: str) -> None:
    with pytest.raises(Av1Error, match=what):
        leb128(data, 0, len(data), "4.10.5")


def test_the_end_is_respected_and_reported() -> None:
    bits = BitReader(b"\xff" * 100, 10, 50, "5.9.2 uncompressed_header")
    bits.skip(8 * 40 - 3)
    with pytest.raises(Av1Error) as caught:
        bits.f(4)
    assert (caught.value.section, caught.value.bit) == ("5.9.2 uncompressed_header", 8 * 50 - 3)
    assert str(caught.value) == "the data ends, 4 more bits are needed at byte 49, bit 5 (5.9.2 uncompressed_header)"
    assert bits.f(3) == 7
