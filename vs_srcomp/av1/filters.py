"""In-loop filters: sections 5.9.11, 5.9.19 and 5.9.20. Nothing in them matters here but their length in bits."""

from typing import Final

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.sequence import SequenceHeader

_FILTER_DELTAS: Final = 8 + 2
"""loop_filter_ref_deltas of TOTAL_REFS_PER_FRAME references, then two loop_filter_mode_deltas."""


def loop_filter_params(bits: BitReader, mono_chrome: int) -> None:
    """loop_filter_params(), section 5.9.11, of a frame that is neither lossless nor uses intra block copy."""
    bits.section = "5.9.11 loop_filter_params"
    flag = bits.flag
    if bits.f(12) and not mono_chrome:  # loop_filter_level[0] and [1]
        bits.skip(12)  # loop_filter_level[2] and [3]
    bits.skip(3)  # loop_filter_sharpness
    # loop_filter_delta_enabled, loop_filter_delta_update
    if flag() and flag() and not bits.skip_zeros(_FILTER_DELTAS):
        for _ in range(_FILTER_DELTAS):
            if flag():  # update_ref_delta, update_mode_delta
                bits.skip(7)


def cdef_params(bits: BitReader, mono_chrome: int) -> None:
    """cdef_params(), section 5.9.19, where cdef is enabled."""
    bits.section = "5.9.19 cdef_params"
    cdef_bits = bits.f(4) & 3  # after cdef_damping_minus_3
    bits.skip((6 if mono_chrome else 12) << cdef_bits)


def lr_params(bits: BitReader, sequence: SequenceHeader) -> None:
    """lr_params(), section 5.9.20, where loop restoration is enabled."""
    bits.section = "5.9.20 lr_params"
    color = sequence.color
    luma = bits.f(2)
    chroma = 0 if color.mono_chrome else bits.f(4)
    if luma or chroma:
        if bits.flag() and not sequence.use_128x128_superblock:  # lr_unit_shift
            bits.flag()  # lr_unit_extra_shift
        if chroma and color.subsampling_x and color.subsampling_y:
            bits.flag()  # lr_uv_shift
