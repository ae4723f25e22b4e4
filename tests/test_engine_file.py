from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vs_srcomp.engine_file import FORMAT, MAGIC, Header, UnusableFileError, is_engine_file, pack, read_header, unpack

KEY = {"network": "ab", "plane": {"width": 16, "height": 8}, "identity": {"device": "Rechner ä"}}
BUILT = bytes(range(256))
PACKED = pack(BUILT, key=KEY, model="srcomp-fast-2by1-q40", created=1000.5)


@given(st.binary(max_size=2000))
def test_what_is_packed_is_unpacked(built: bytes) -> None:
    assert unpack(pack(built, key=KEY, model=None, created=0), KEY) == built


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_no_byte_may_change(place: int, change: int) -> None:
    damaged = bytearray(PACKED)
    damaged[place] ^= change
    with pytest.raises(UnusableFileError):
        unpack(bytes(damaged), KEY)


@given(st.integers(0, len(PACKED) - 1))
def test_no_end_may_be_missing(length: int) -> None:
    with pytest.raises(UnusableFileError):
        unpack(PACKED[:length], KEY)


def test_nothing_may_follow() -> None:
    with pytest.raises(UnusableFileError, match="checksum"):
        unpack(PACKED + b"\0", KEY)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "beginning"),
        (b"MZ" + PACKED[2:], "no file of an engine"),
        (PACKED.replace(b"\r\n", b"\n", 1), "no file of an engine"),
        (MAGIC + (FORMAT + 1).to_bytes(4, "little") + PACKED[12:], f"its format is {FORMAT + 1}, not {FORMAT}"),
        (PACKED[:12] + b"\xff\xff\xff\x7f" + PACKED[16:], "cannot be so long"),
        (PACKED[:100] + b"~" + PACKED[101:], "checksum of its header"),
        (PACKED[:-1], "its end is missing"),
        (PACKED[:-1] + b"\0", "its checksum is wrong"),
    ],
)
def test_the_reason_is_told(data: bytes, reason: str) -> None:
    with pytest.raises(UnusableFileError, match=reason):
        unpack(data, KEY)


def test_an_engine_made_of_something_else_is_refused() -> None:
    with pytest.raises(UnusableFileError, match="made of something else"):
        unpack(PACKED, {**KEY, "network": "cd"})


def test_the_header_can_be_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.engine"
    path.write_bytes(PACKED[: -len(BUILT)])
    header = read_header(path)
    assert header == Header(key=KEY, model="srcomp-fast-2by1-q40", created=1000.5, length=256, sha256=header.sha256)
    assert header.sha256 == "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880"


def test_own_files_are_known_by_their_beginning(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, own in ((PACKED, True), (PACKED[:20], True), (MAGIC + b"later format", True), (b"SRCOMP", False)):
        path.write_bytes(content)
        assert is_engine_file(path) is own
    path.write_bytes(PACKED)
    (tmp_path / "link").symlink_to(path)
    assert not is_engine_file(tmp_path / "link")
    assert not is_engine_file(tmp_path)
    assert not is_engine_file(tmp_path / "nothing")
