"""Order hints and what depends on them: sections 5.9.3, 5.9.22 and 7.8."""

from collections.abc import Sequence
from typing import Final

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.sequence import SequenceHeader
from vs_srcomp.av1.state import NUM_REF_FRAMES, Slots

REFS_PER_FRAME: Final = 7

# Indices into ref_frame_idx: reference frame minus LAST_FRAME.
_LAST, _LAST2, _LAST3, _GOLDEN, _BWDREF, _ALTREF2, _ALTREF = range(REFS_PER_FRAME)


def get_relative_dist(a: int, b: int, order_hint_bits: int) -> int:
    """get_relative_dist(), section 5.9.3: ``a`` minus ``b`` on the circle of order hints, 0 without order hints."""
    if not order_hint_bits:
        return 0
    diff = a - b
    sign = 1 << (order_hint_bits - 1)
    return (diff & (sign - 1)) - (diff & sign)


def order_hint_of(bits: BitReader, slots: Slots, i: int) -> int:
    """RefOrderHint[i]; an empty slot is an error."""
    slot = slots[i]
    if slot is None:
        bits.fail(f"reference slot {i} is empty")
    return slot.header.order_hint


def read_ref_frame_idx(bits: BitReader, sequence: SequenceHeader, slots: Slots, order_hint: int) -> tuple[int, ...]:
    """The reference slots of an inter frame: part of section 5.9.2.

    Raises:
        Av1Error: A reference was never seen, or was lost.
    """
    bits.section = "5.9.2 ref_frame_idx"
    f = bits.f
    delta_frame_id_length = sequence.delta_frame_id_length
    if sequence.enable_order_hint and bits.flag():  # frame_refs_short_signaling
        last_frame_idx, gold_frame_idx = f(3), f(3)
        hints = [order_hint_of(bits, slots, i) for i in range(NUM_REF_FRAMES)]
        indices = set_frame_refs(last_frame_idx, gold_frame_idx, hints, order_hint, sequence.order_hint_bits)
        bits.skip(REFS_PER_FRAME * delta_frame_id_length)  # delta_frame_id_minus_1
    elif delta_frame_id_length:
        ids = [f(3 + delta_frame_id_length) for _ in range(REFS_PER_FRAME)]
        indices = tuple(i >> delta_frame_id_length for i in ids)
    else:
        word = f(3 * REFS_PER_FRAME)
        indices = (
            word >> 18,
            word >> 15 & 7,
            word >> 12 & 7,
            word >> 9 & 7,
            word >> 6 & 7,
            word >> 3 & 7,
            word & 7,
        )
    if None in slots:
        for i in indices:
            if slots[i] is None:
                bits.fail(f"reference slot {i} is empty")
    return indices


def set_frame_refs(
    last_frame_idx: int, gold_frame_idx: int, ref_order_hints: Sequence[int], order_hint: int, order_hint_bits: int
) -> tuple[int, ...]:
    """Set frame refs process, section 7.8: all references from LAST and GOLDEN (frame_refs_short_signaling).

    Args:
        last_frame_idx: Slot of LAST_FRAME.
        gold_frame_idx: Slot of GOLDEN_FRAME.
        ref_order_hints: RefOrderHint of the eight slots.
        order_hint: OrderHint of the current frame.
        order_hint_bits: OrderHintBits, >= 1.

    Returns:
        ref_frame_idx, seven slots.
    """
    # shiftedOrderHints without the common offset curFrameHint: negative is before the current frame.
    distances = [get_relative_dist(hint, order_hint, order_hint_bits) for hint in ref_order_hints]
    refs: list[int | None] = [None] * REFS_PER_FRAME
    refs[_LAST], refs[_GOLDEN] = last_frame_idx, gold_frame_idx
    unused = [i for i in range(NUM_REF_FRAMES) if i not in (last_frame_idx, gold_frame_idx)]

    # Among equal hints, "latest" takes the highest slot and "earliest" the lowest.
    unused.sort(key=lambda i: (distances[i], i))
    backward = [i for i in unused if distances[i] >= 0]
    if backward:
        refs[_ALTREF] = backward.pop()
    for ref, slot in zip((_BWDREF, _ALTREF2), backward, strict=False):
        refs[ref] = slot
    forward = [i for i in unused if distances[i] < 0]
    for ref in (_LAST2, _LAST3, _BWDREF, _ALTREF2, _ALTREF):
        if refs[ref] is None and forward:
            refs[ref] = forward.pop()

    earliest = min(range(NUM_REF_FRAMES), key=lambda i: (distances[i], i))
    return tuple(earliest if ref is None else ref for ref in refs)


def skip_mode_allowed(ref_order_hints: Sequence[int], order_hint: int, order_hint_bits: int) -> bool:
    """skipModeAllowed of skip_mode_params(), section 5.9.22, for an inter frame with reference_select.

    It takes one reference before the current frame, and another that lies after it or before the first one.
    """
    distances = [get_relative_dist(hint, order_hint, order_hint_bits) for hint in ref_order_hints]
    if min(distances) >= 0:
        return False
    if max(distances) > 0:
        return True
    before = [distance for distance in distances if distance < 0]
    forward_hint = ref_order_hints[distances.index(max(before))]
    return any(get_relative_dist(hint, forward_hint, order_hint_bits) < 0 for hint in ref_order_hints)
