"""Frame sizes: sections 5.9.5 to 5.9.9."""

from typing import Final

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.sequence import SequenceHeader
from vs_srcomp.av1.state import FrameSize, Slots

_SUPERRES_NUM: Final = 8
_SUPERRES_DENOM_MIN: Final = 9
_SUPERRES_DENOM_BITS: Final = 3


def frame_and_render_size(bits: BitReader, sequence: SequenceHeader, frame_size_override_flag: int) -> FrameSize:
    """frame_size() and render_size(), sections 5.9.5 and 5.9.6."""
    bits.section = "5.9.5 frame_size"
    if frame_size_override_flag:
        width = bits.f(sequence.frame_width_bits) + 1
        height = bits.f(sequence.frame_height_bits) + 1
    else:
        width = sequence.max_frame_width
        height = sequence.max_frame_height
    denom = _superres_denom(bits, sequence)
    if bits.flag():  # render_and_frame_size_different
        bits.f(16)  # render_width_minus_1, which FFmpeg takes for the shape of pixels
        bits.f(16)  # render_height_minus_1
    return FrameSize(width, _coded_width(width, denom), height, denom)


def frame_size_with_refs(
    bits: BitReader, sequence: SequenceHeader, slots: Slots, ref_frame_idx: tuple[int, ...]
) -> FrameSize:
    """frame_size_with_refs(), section 5.9.7: the size of one of the references, or an explicit one."""
    bits.section = "5.9.7 frame_size_with_refs"
    for i in ref_frame_idx:
        if bits.flag():  # found_ref
            slot = slots[i]
            if slot is None:
                bits.fail(f"reference slot {i} is empty")
            size = slot.header.size
            denom = _superres_denom(bits, sequence)
            return size._replace(frame_width=_coded_width(size.upscaled_width, denom), superres_denom=denom)
    return frame_and_render_size(bits, sequence, 1)


def _superres_denom(bits: BitReader, sequence: SequenceHeader) -> int:
    """SuperresDenom of superres_params(), section 5.9.8."""
    if sequence.enable_superres and bits.flag():  # use_superres
        return bits.f(_SUPERRES_DENOM_BITS) + _SUPERRES_DENOM_MIN
    return _SUPERRES_NUM


def _coded_width(upscaled_width: int, superres_denom: int) -> int:
    """FrameWidth of superres_params(), section 5.9.8."""
    return (upscaled_width * _SUPERRES_NUM + superres_denom // 2) // superres_denom
