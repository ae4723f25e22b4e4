"""Spatial layers, made from a stream without layers, because no available encoder writes them.

Frames are alternately base and enhancement layer. Their headers do not depend on that, so the records stay the same.
"""

from vs_srcomp.av1.obu import ObuType, low_overhead_obus

from .bitwriter import obu

_IDC_AT = 3 + 1 + 1 + 1 + 1 + 5
"""Bit of operating_point_idc in a sequence header without timing info."""

BOTH_LAYERS = 0x301
BASE_LAYER = 0x101

DELIMITER = obu(ObuType.TEMPORAL_DELIMITER, b"")


def _with_idc(header: bytes, idc: int) -> bytes:
    bits = f"{int.from_bytes(header):0{8 * len(header)}b}"
    assert bits[5] == "0"  # timing_info_present_flag
    bits = bits[:_IDC_AT] + f"{idc:012b}" + bits[_IDC_AT + 12 :]
    return int(bits, 2).to_bytes(len(header))


def _in_layer(unit: bytes, spatial_id: int, idc: int) -> bytes:
    out = b""
    for one in low_overhead_obus(unit):
        payload = unit[one.payload : one.end]
        if one.type == ObuType.SEQUENCE_HEADER:
            out += obu(one.type, _with_idc(payload, idc))
        else:
            out += obu(one.type, payload, layer=(0, spatial_id))
    return out


def in_layers(units: list[bytes], idc: int) -> list[bytes]:
    """The temporal ``units``, in turns as base and as enhancement layer of the operating point ``idc``."""
    return [_in_layer(unit, i % 2, idc) for i, unit in enumerate(units)]
