"""Global motion: sections 5.9.24 to 5.9.29.

The parameters are coded relative to those of the primary reference frame, so that their length depends on their
values, and film grain comes after them.
"""

from typing import Final

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.references import REFS_PER_FRAME
from vs_srcomp.av1.state import GmParams

_WARPEDMODEL_PREC_BITS: Final = 16
_GM_ABS_ALPHA_BITS: Final = 12
_GM_ALPHA_PREC_BITS: Final = 15
_GM_ABS_TRANS_BITS: Final = 12
_GM_TRANS_PREC_BITS: Final = 6
_GM_ABS_TRANS_ONLY_BITS: Final = 9
_GM_TRANS_ONLY_PREC_BITS: Final = 3
_SUBEXP_K: Final = 3

_IDENTITY_MODEL: Final = (0, 0, 1 << _WARPEDMODEL_PREC_BITS, 0, 0, 1 << _WARPEDMODEL_PREC_BITS)
DEFAULT_GM_PARAMS: Final[GmParams] = (_IDENTITY_MODEL,) * REFS_PER_FRAME


def global_motion_params(bits: BitReader, previous: GmParams, allow_high_precision_mv: int) -> GmParams:
    """global_motion_params(), section 5.9.24, of an inter frame.

    Args:
        bits: Where to read.
        previous: PrevGmParams.
        allow_high_precision_mv: As in the frame header.

    Returns:
        gm_params.
    """
    bits.section = "5.9.24 global_motion_params"
    if bits.skip_zeros(REFS_PER_FRAME):
        return DEFAULT_GM_PARAMS
    return tuple(
        _read_model(bits, model, allow_high_precision_mv) if bits.flag() else _IDENTITY_MODEL  # is_global
        for model in previous
    )


def _read_model(bits: BitReader, previous: tuple[int, ...], allow_high_precision_mv: int) -> tuple[int, ...]:
    """The parameters of one reference frame, section 5.9.24 after is_global."""
    is_rot_zoom = bits.flag()
    is_translation = not is_rot_zoom and bits.flag()
    if is_translation:
        coarser = 1 - allow_high_precision_mv
        abs_bits, prec_bits = _GM_ABS_TRANS_ONLY_BITS - coarser, _GM_TRANS_ONLY_PREC_BITS - coarser
        alphas = _IDENTITY_MODEL[2:]
    else:
        abs_bits, prec_bits = _GM_ABS_TRANS_BITS, _GM_TRANS_PREC_BITS
        two = _read_alpha(bits, previous, 2)
        three = _read_alpha(bits, previous, 3)
        if is_rot_zoom:
            alphas = (two, three, -three, two)
        else:
            alphas = (two, three, _read_alpha(bits, previous, 4), _read_alpha(bits, previous, 5))
    return (
        _read_global_param(bits, previous[0], abs_bits, prec_bits, 0),
        _read_global_param(bits, previous[1], abs_bits, prec_bits, 0),
        *alphas,
    )


def _read_alpha(bits: BitReader, previous: tuple[int, ...], idx: int) -> int:
    """read_global_param() of a parameter that is no translation; those on the diagonal are relative to 1."""
    return _read_global_param(bits, previous[idx], _GM_ABS_ALPHA_BITS, _GM_ALPHA_PREC_BITS, 1 if idx % 3 == 2 else 0)


def _read_global_param(bits: BitReader, previous: int, abs_bits: int, prec_bits: int, offset: int) -> int:
    """read_global_param(), section 5.9.25; ``offset`` is 1.0 or 0.0 as an integer."""
    prec_diff = _WARPEDMODEL_PREC_BITS - prec_bits
    mx = 1 << abs_bits
    r = (previous >> prec_diff) - (offset << prec_bits)
    value = decode_signed_subexp_with_ref(bits, -mx, mx + 1, r)
    return (value << prec_diff) + (offset << _WARPEDMODEL_PREC_BITS)


def decode_signed_subexp_with_ref(bits: BitReader, low: int, high: int, r: int) -> int:
    """decode_signed_subexp_with_ref(), section 5.9.26: a value in [``low``, ``high``), shortest near ``r``."""
    return _decode_unsigned_subexp_with_ref(bits, high - low, r - low) + low


def _decode_unsigned_subexp_with_ref(bits: BitReader, mx: int, r: int) -> int:
    """decode_unsigned_subexp_with_ref(), section 5.9.27."""
    v = _decode_subexp(bits, mx)
    if r << 1 <= mx:
        return _inverse_recenter(r, v)
    return mx - 1 - _inverse_recenter(mx - 1 - r, v)


def _decode_subexp(bits: BitReader, num_syms: int) -> int:
    """decode_subexp(), section 5.9.28."""
    i = 0
    mk = 0
    while True:
        b2 = _SUBEXP_K + i - 1 if i else _SUBEXP_K
        a = 1 << b2
        if num_syms <= mk + 3 * a:
            return bits.ns(num_syms - mk) + mk  # subexp_final_bits
        if not bits.flag():  # subexp_more_bits
            return bits.f(b2) + mk  # subexp_bits
        i += 1
        mk += a


def _inverse_recenter(r: int, v: int) -> int:
    """inverse_recenter(), section 5.9.29."""
    if v > 2 * r:
        return v
    if v & 1:
        return r - ((v + 1) >> 1)
    return r + (v >> 1)
