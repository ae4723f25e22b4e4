"""Quantizers, segments and their deltas: sections 5.9.12 to 5.9.14, 5.9.17, 5.9.18 and 7.12.2."""

from typing import Final, NamedTuple

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.sequence import ColorConfig, SequenceHeader
from vs_srcomp.av1.state import Segmentation

_MAX_SEGMENTS: Final = 8
_OTHER_FEATURE_BITS: Final = (7, 7, 7, 7, 3, 0, 0)
"""Length of feature_value after SEG_LVL_ALT_Q: four signed loop filter levels, the reference frame, two flags."""

NO_SEGMENTATION: Final = Segmentation(0, (None,) * _MAX_SEGMENTS, 0)


class Quantization(NamedTuple):
    """quantization_params(), section 5.9.12."""

    base_q_idx: int
    has_deltas: bool
    """One of DeltaQYDc, DeltaQUDc, DeltaQUAc, DeltaQVDc and DeltaQVAc is not 0."""


def quantization_params(bits: BitReader, sequence: SequenceHeader) -> Quantization:
    """quantization_params(), section 5.9.12."""
    bits.section = "5.9.12 quantization_params"
    color = sequence.color
    base_q_idx = bits.f(8)
    has_deltas = not bits.skip_zeros(1 if color.mono_chrome else 3 + color.separate_uv_delta_q) and _read_deltas(
        bits, color
    )
    if bits.flag():  # using_qmatrix
        bits.skip(12 if color.separate_uv_delta_q else 8)  # qm_y, qm_u, qm_v
    return Quantization(base_q_idx, has_deltas)


def _read_deltas(bits: BitReader, color: ColorConfig) -> bool:
    """The middle of section 5.9.12, DeltaQYDc to DeltaQVAc; whether one of them is not 0."""
    deltas = _read_delta_q(bits)
    if not color.mono_chrome:
        diff_uv_delta = color.separate_uv_delta_q and bits.flag()
        for _ in range(4 if diff_uv_delta else 2):
            deltas |= _read_delta_q(bits)
    return deltas != 0


def _read_delta_q(bits: BitReader) -> int:
    """read_delta_q(), section 5.9.13."""
    return bits.su(7) if bits.flag() else 0


def segmentation_params(bits: BitReader, previous: Segmentation | None) -> Segmentation:
    """segmentation_params(), section 5.9.14.

    Args:
        bits: Where to read.
        previous: What load_previous() loads from the primary reference frame; None is PRIMARY_REF_NONE.
    """
    bits.section = "5.9.14 segmentation_params"
    flag = bits.flag
    if not flag():  # segmentation_enabled
        return NO_SEGMENTATION
    if previous is not None:
        if flag():  # segmentation_update_map
            flag()  # segmentation_temporal_update
        if not flag():  # segmentation_update_data
            return previous._replace(enabled=1)
    alt_q: list[int | None] = []
    last_active_seg_id = 0
    for i in range(_MAX_SEGMENTS):
        if flag():  # feature_enabled of SEG_LVL_ALT_Q
            alt_q.append(max(-255, bits.su(9)))
            last_active_seg_id = i
        else:
            alt_q.append(None)
        if bits.skip_zeros(len(_OTHER_FEATURE_BITS)):
            continue
        for length in _OTHER_FEATURE_BITS:
            if flag():  # feature_enabled
                bits.skip(length)
                last_active_seg_id = i
    return Segmentation(1, tuple(alt_q), last_active_seg_id)


def segment_q_indices(base_q_idx: int, segmentation: Segmentation) -> tuple[int, ...]:
    """get_qindex(1, i), section 7.12.2, of all eight segments; of the only one without segmentation."""
    if not segmentation.enabled:
        return (base_q_idx,)
    return tuple([base_q_idx if data is None else min(max(base_q_idx + data, 0), 255) for data in segmentation.alt_q])


def delta_q_and_lf_params(bits: BitReader, base_q_idx: int, allow_intrabc: int) -> int:
    """delta_q_params() and delta_lf_params(), sections 5.9.17 and 5.9.18.

    Returns:
        delta_q_present.
    """
    bits.section = "5.9.17 delta_q_params"
    if not base_q_idx or not bits.flag():
        return 0
    bits.f(2)  # delta_q_res
    if not allow_intrabc and bits.flag():  # delta_lf_present
        bits.f(3)  # delta_lf_res, delta_lf_multi
    return 1
