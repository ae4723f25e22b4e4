"""OBUs in the low overhead format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vs_srcomp.av1 import Av1Error
from vs_srcomp.av1.obu import ObuType, low_overhead_obus

from .bitwriter import obu

_OBUS = st.lists(
    st.tuples(
        st.integers(0, 15),
        st.binary(max_size=300),
        st.none() | st.tuples(st.integers(0, 7), st.integers(0, 3)),
    ),
    max_size=6,
)
_Obus = list[tuple[int, bytes, tuple[int, int] | None]]


@given(_OBUS)
def test_low_overhead(written: _Obus) -> None:
    data = b"".join(obu(kind, payload, layer=layer) for kind, payload, layer in written)
    found = list(low_overhead_obus(data))
    assert [(one.type, data[one.payload : one.end]) for one in found] == [
        (kind, payload) for kind, payload, _ in written
    ]
    assert [(one.temporal_id, one.spatial_id) if one.has_extension else None for one in found] == [
        layer for *_, layer in written
    ]
    assert sum(one.size for one in found) == len(data)


def test_the_last_obu_may_lack_its_size() -> None:
    data = obu(ObuType.TEMPORAL_DELIMITER, b"") + obu(ObuType.PADDING, b"abc", sized=False)
    last = list(low_overhead_obus(data))[-1]
    assert (last.type, data[last.payload : last.end]) == (ObuType.PADDING, b"abc")


@pytest.mark.parametrize(
    ("data", "section"),
    [
        (b"\x80", "5.3.2"),
        (b"\x04", "5.3.3"),
        (b"\x12", "5.3.1"),
        (b"\x12\x05abc", "5.3.1"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\x01", "5.3.1"),
    ],
)
def test_malformed(data: bytes, section: str) -> None:
    with pytest.raises(Av1Error) as caught:
        list(low_overhead_obus(data))
    assert caught.value.section.startswith(section)
