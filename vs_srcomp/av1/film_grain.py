"""Film grain: section 5.9.30. What matters here is whether there is any, and the length in bits."""

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.records import FrameType
from vs_srcomp.av1.sequence import ColorConfig
from vs_srcomp.av1.state import Slots


def film_grain_params(bits: BitReader, color: ColorConfig, frame_type: int, slots: Slots) -> int:
    """film_grain_params(), section 5.9.30, of a frame that is or can be shown, in a sequence with film grain.

    Returns:
        apply_grain. With update_grain equal to 0 that of the slot the parameters come from, because
        load_grain_params() loads it too.
    """
    bits.section = "5.9.30 film_grain_params"
    if not bits.flag():  # apply_grain
        return 0
    bits.skip(16)  # grain_seed
    if frame_type == FrameType.INTER and not bits.flag():  # update_grain
        slot = slots[bits.f(3)]  # film_grain_params_ref_idx
        if slot is None:
            bits.fail("film grain of an empty reference slot")
        return slot.header.apply_grain
    _new_parameters(bits, color)
    return 1


def _new_parameters(bits: BitReader, color: ColorConfig) -> None:
    """The part of section 5.9.30 that update_grain announces."""
    f = bits.f
    num_y_points = _points(bits)
    chroma_scaling_from_luma = 0 if color.mono_chrome else bits.flag()
    subsampled = color.subsampling_x and color.subsampling_y
    if color.mono_chrome or chroma_scaling_from_luma or (subsampled and not num_y_points):
        num_cb_points = num_cr_points = 0
    else:
        num_cb_points = _points(bits)
        num_cr_points = _points(bits)
    bits.skip(2)  # grain_scaling_minus_8
    ar_coeff_lag = f(2)
    num_pos_luma = 2 * ar_coeff_lag * (ar_coeff_lag + 1)
    num_pos_chroma = num_pos_luma
    if num_y_points:
        num_pos_chroma += 1
        bits.skip(8 * num_pos_luma)  # ar_coeffs_y_plus_128
    if chroma_scaling_from_luma or num_cb_points:
        bits.skip(8 * num_pos_chroma)  # ar_coeffs_cb_plus_128
    if chroma_scaling_from_luma or num_cr_points:
        bits.skip(8 * num_pos_chroma)  # ar_coeffs_cr_plus_128
    bits.skip(4)  # ar_coeff_shift_minus_6, grain_scale_shift
    if num_cb_points:
        bits.skip(25)  # cb_mult, cb_luma_mult, cb_offset
    if num_cr_points:
        bits.skip(25)  # cr_mult, cr_luma_mult, cr_offset
    bits.skip(2)  # overlap_flag, clip_to_restricted_range


def _points(bits: BitReader) -> int:
    """The number of points of a scaling function, and the points passed over."""
    points = bits.f(4)
    bits.skip(16 * points)
    return points
