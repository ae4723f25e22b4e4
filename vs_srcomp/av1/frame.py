"""The frame header: section 5.9.2. What has a section of its own lies in a module of its own."""

from typing import Final

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.film_grain import film_grain_params
from vs_srcomp.av1.filters import cdef_params, loop_filter_params, lr_params
from vs_srcomp.av1.frame_size import frame_and_render_size, frame_size_with_refs
from vs_srcomp.av1.global_motion import DEFAULT_GM_PARAMS, global_motion_params
from vs_srcomp.av1.quantization import (
    delta_q_and_lf_params,
    quantization_params,
    segment_q_indices,
    segmentation_params,
)
from vs_srcomp.av1.records import FrameType
from vs_srcomp.av1.references import order_hint_of, read_ref_frame_idx, skip_mode_allowed
from vs_srcomp.av1.sequence import SELECT_INTEGER_MV, SELECT_SCREEN_CONTENT_TOOLS, SequenceHeader
from vs_srcomp.av1.state import ALL_FRAMES, NUM_REF_FRAMES, FrameHeader, Slots
from vs_srcomp.av1.tiles import tile_info

_PRIMARY_REF_NONE: Final = 7

# Plain integers: a comparison with a member of an IntEnum takes several times as long.
_KEY: Final = int(FrameType.KEY)
_INTRA_ONLY: Final = int(FrameType.INTRA_ONLY)
_SWITCH: Final = int(FrameType.SWITCH)
_INTRA: Final = frozenset((_KEY, _INTRA_ONLY))


def show_existing_frame(bits: BitReader, sequence: SequenceHeader) -> int | None:
    """The start of uncompressed_header(), section 5.9.2.

    Returns:
        frame_to_show_map_idx where show_existing_frame is 1 and the header ends here; None where it goes on, and
        :func:`uncompressed_header` is to read the rest.
    """
    bits.section = "5.9.2 show_existing_frame"
    if sequence.reduced_still_picture_header or not bits.flag():
        return None
    frame_to_show_map_idx = bits.f(3)
    # temporal_point_info(), section 5.9.31, and display_frame_id
    bits.skip(sequence.frame_presentation_time_length + sequence.frame_id_length)
    return frame_to_show_map_idx


def uncompressed_header(
    bits: BitReader, sequence: SequenceHeader, slots: Slots, temporal_id: int, spatial_id: int
) -> FrameHeader:
    """uncompressed_header(), section 5.9.2, after show_existing_frame equal to 0.

    Frame ids are read over: mark_ref_frames() of section 5.9.4 only shows a decoder what it lost.

    Args:
        bits: Where to read.
        sequence: The active sequence header.
        slots: The eight reference slots. A slot whose order hint is not the one that an error resilient frame
            expects is emptied, as the frame meant was lost.
        temporal_id: Of the OBU.
        spatial_id: Of the OBU.

    Raises:
        Av1Error: The header is malformed or refers to an empty slot.
    """
    bits.section = "5.9.2 uncompressed_header"
    f, flag = bits.f, bits.flag
    reduced = sequence.reduced_still_picture_header
    if reduced:
        frame_type, show_frame, showable_frame, error_resilient_mode = _KEY, 1, 0, 1
    else:
        frame_type = f(2)
        show_frame = flag()
        if show_frame:
            bits.skip(sequence.frame_presentation_time_length)  # temporal_point_info(), section 5.9.31
            showable_frame = int(frame_type != _KEY)
        else:
            showable_frame = flag()
        error_resilient_mode = int(frame_type == _SWITCH or (frame_type == _KEY and show_frame)) or flag()
    is_intra = frame_type in _INTRA
    refreshes_all = frame_type == _SWITCH or (frame_type == _KEY and show_frame)

    disable_cdf_update = flag()
    allow_screen_content_tools = sequence.force_screen_content_tools
    if allow_screen_content_tools == SELECT_SCREEN_CONTENT_TOOLS:
        allow_screen_content_tools = flag()
    force_integer_mv = 0
    if allow_screen_content_tools:
        force_integer_mv = sequence.force_integer_mv
        if force_integer_mv == SELECT_INTEGER_MV:
            force_integer_mv = flag()

    bits.skip(sequence.frame_id_length)  # current_frame_id
    frame_size_override_flag = 1 if frame_type == _SWITCH else 0 if reduced else flag()
    order_hint = f(sequence.order_hint_bits)
    primary_ref_frame = _PRIMARY_REF_NONE if is_intra or error_resilient_mode else f(3)
    if sequence.decoder_model_info_present:
        _buffer_removal_times(bits, sequence, temporal_id, spatial_id)
    refresh_frame_flags = ALL_FRAMES if refreshes_all else f(8)
    if frame_type == _INTRA_ONLY and refresh_frame_flags == ALL_FRAMES:
        bits.fail("an intra-only frame refreshes all slots")
    if error_resilient_mode and sequence.enable_order_hint and not (is_intra and refresh_frame_flags == ALL_FRAMES):
        _ref_order_hints(bits, sequence, slots)

    allow_intrabc = allow_high_precision_mv = 0
    ref_frame_idx: tuple[int, ...] = ()
    if is_intra:
        size = frame_and_render_size(bits, sequence, frame_size_override_flag)
        if allow_screen_content_tools and size.upscaled_width == size.frame_width:
            allow_intrabc = flag()
    else:
        ref_frame_idx = read_ref_frame_idx(bits, sequence, slots, order_hint)
        if frame_size_override_flag and not error_resilient_mode:
            size = frame_size_with_refs(bits, sequence, slots, ref_frame_idx)
        else:
            size = frame_and_render_size(bits, sequence, frame_size_override_flag)
        if not force_integer_mv:
            allow_high_precision_mv = flag()
        if not flag():  # is_filter_switchable, section 5.9.10
            f(2)  # interpolation_filter
        flag()  # is_motion_mode_switchable
        if sequence.enable_ref_frame_mvs and not error_resilient_mode:
            flag()  # use_ref_frame_mvs

    if not reduced and not disable_cdf_update:
        flag()  # disable_frame_end_update_cdf
    primary = None
    if primary_ref_frame != _PRIMARY_REF_NONE:
        primary = slots[ref_frame_idx[primary_ref_frame]]  # not empty: read_ref_frame_idx() has looked

    tile_info(bits, size.frame_width, size.frame_height, sequence.use_128x128_superblock)
    base_q_idx, has_deltas = quantization_params(bits, sequence)
    segmentation = segmentation_params(bits, primary.header.segmentation if primary else None)
    delta_q_present = delta_q_and_lf_params(bits, base_q_idx, allow_intrabc)

    segment_q_idx = segment_q_indices(base_q_idx, segmentation)
    coded_lossless = not has_deltas and not any(segment_q_idx)
    mono_chrome = sequence.color.mono_chrome
    if not coded_lossless and not allow_intrabc:
        loop_filter_params(bits, mono_chrome)
        if sequence.enable_cdef:
            cdef_params(bits, mono_chrome)
    all_lossless = coded_lossless and size.frame_width == size.upscaled_width
    if sequence.enable_restoration and not all_lossless and not allow_intrabc:
        lr_params(bits, sequence)

    bits.section = "5.9.2 uncompressed_header"
    if not coded_lossless:
        flag()  # tx_mode_select, section 5.9.21
    gm_params = DEFAULT_GM_PARAMS
    if is_intra:
        flag()  # reduced_tx_set
    else:
        reference_select = flag()  # section 5.9.23
        if reference_select and sequence.enable_order_hint:
            hints = [order_hint_of(bits, slots, i) for i in set(ref_frame_idx)]
            if skip_mode_allowed(hints, order_hint, sequence.order_hint_bits):
                flag()  # skip_mode_present
        if sequence.enable_warped_motion and not error_resilient_mode:
            flag()  # allow_warped_motion
        flag()  # reduced_tx_set
        gm_params = global_motion_params(
            bits, primary.header.gm_params if primary else DEFAULT_GM_PARAMS, allow_high_precision_mv
        )
    apply_grain = 0
    if sequence.film_grain_params_present and (show_frame or showable_frame):
        apply_grain = film_grain_params(bits, sequence.color, frame_type, slots)

    return FrameHeader(
        frame_type,
        show_frame,
        showable_frame,
        error_resilient_mode,
        order_hint,
        primary_ref_frame,
        refresh_frame_flags,
        ref_frame_idx,
        size,
        base_q_idx,
        segmentation,
        segment_q_idx[: segmentation.last_active_seg_id + 1],
        delta_q_present,
        gm_params,
        apply_grain,
        bits.position,
    )


def _buffer_removal_times(bits: BitReader, sequence: SequenceHeader, temporal_id: int, spatial_id: int) -> None:
    """The loop over buffer_removal_time in section 5.9.2."""
    if not bits.flag():  # buffer_removal_time_present_flag
        return
    for point in sequence.operating_points:
        if point.decoder_model_present and point.includes(temporal_id, spatial_id):
            bits.skip(sequence.buffer_removal_time_length)


def _ref_order_hints(bits: BitReader, sequence: SequenceHeader, slots: Slots) -> None:
    """The loop over ref_order_hint in section 5.9.2."""
    for i in range(NUM_REF_FRAMES):
        ref_order_hint = bits.f(sequence.order_hint_bits)
        slot = slots[i]
        if slot is not None and slot.header.order_hint != ref_order_hint:
            slots[i] = None
