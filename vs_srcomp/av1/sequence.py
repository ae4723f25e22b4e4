"""The sequence header: section 5.5."""

from typing import Final, NamedTuple

from vs_srcomp.av1.bits import BitReader

SELECT_SCREEN_CONTENT_TOOLS: Final = 2
SELECT_INTEGER_MV: Final = 2

_CP_BT_709: Final = 1
_TC_SRGB: Final = 13
_MC_IDENTITY: Final = 0
_UNSPECIFIED: Final = 2


class OperatingPoint(NamedTuple):
    """What frame headers depend on in an operating point."""

    idc: int
    """operating_point_idc: bits 0 to 7 are its temporal layers, bits 8 to 11 its spatial ones; 0 is everything."""
    decoder_model_present: int

    def includes(self, temporal_id: int, spatial_id: int) -> bool:
        """Whether a layer belongs to this operating point: inTemporalLayer && inSpatialLayer, or no scalability."""
        return not self.idc or bool((self.idc >> temporal_id) & (self.idc >> (spatial_id + 8)) & 1)


class ColorConfig(NamedTuple):
    """color_config(), section 5.5.2, under the specification's names."""

    bit_depth: int
    mono_chrome: int
    color_primaries: int
    transfer_characteristics: int
    matrix_coefficients: int
    color_range: int
    subsampling_x: int
    subsampling_y: int
    separate_uv_delta_q: int


class _Timing(NamedTuple):
    """Lengths in bits of the times in frame headers; 0 where a frame header has none."""

    decoder_model_info_present: int
    buffer_delay: int
    buffer_removal_time: int
    frame_presentation_time: int


class SequenceHeader(NamedTuple):
    """sequence_header_obu(), section 5.5.1: the part that frame headers depend on, under the specification's names."""

    profile: int
    still_picture: int
    reduced_still_picture_header: int
    decoder_model_info_present: int
    buffer_removal_time_length: int
    """Bits of buffer_removal_time."""
    frame_presentation_time_length: int
    """Bits of frame_presentation_time, 0 where temporal_point_info() is absent from frame headers."""
    operating_points: tuple[OperatingPoint, ...]
    frame_width_bits: int
    frame_height_bits: int
    max_frame_width: int
    max_frame_height: int
    delta_frame_id_length: int
    """Bits of delta_frame_id_minus_1, 0 without frame ids."""
    frame_id_length: int
    """idLen: bits of current_frame_id, 0 without frame ids."""
    use_128x128_superblock: int
    enable_warped_motion: int
    enable_order_hint: int
    enable_ref_frame_mvs: int
    force_screen_content_tools: int
    force_integer_mv: int
    order_hint_bits: int
    enable_superres: int
    enable_cdef: int
    enable_restoration: int
    color: ColorConfig
    film_grain_params_present: int

    @property
    def operating_point(self) -> OperatingPoint:
        """choose_operating_point(), section 6.4.1: the first, of the highest quality, as decoders do by default."""
        return self.operating_points[0]

    @property
    def spatial_layers(self) -> int:
        """How many spatial layers the operating point reaches up to, 1 without spatial scalability."""
        return max(1, (self.operating_point.idc >> 8).bit_length())


def sequence_header_obu(bits: BitReader) -> SequenceHeader:
    """sequence_header_obu(), section 5.5.1.

    Raises:
        Av1Error: The header is truncated or uses a reserved profile.
    """
    bits.section = "5.5.1 sequence_header_obu"
    f, flag = bits.f, bits.flag
    profile = f(3)
    if profile > 2:
        bits.fail(f"profile {profile} is reserved")
    still_picture = flag()
    reduced = flag()
    if reduced:
        timing = _Timing(0, 0, 0, 0)
        f(5)  # seq_level_idx
        operating_points: tuple[OperatingPoint, ...] = (OperatingPoint(0, 0),)
    else:
        timing = _timing(bits)
        operating_points = _operating_points(bits, timing)

    width_bits = f(4) + 1
    height_bits = f(4) + 1
    max_width = f(width_bits) + 1
    max_height = f(height_bits) + 1
    delta_frame_id_length = frame_id_length = 0
    if not reduced and flag():
        delta_frame_id_length = f(4) + 2
        frame_id_length = f(3) + 1 + delta_frame_id_length
    use_128x128_superblock = flag()
    bits.skip(2)  # enable_filter_intra, enable_intra_edge_filter

    warped_motion = order_hint = ref_frame_mvs = order_hint_bits = 0
    screen_content_tools = SELECT_SCREEN_CONTENT_TOOLS
    integer_mv = SELECT_INTEGER_MV
    if not reduced:
        bits.skip(2)  # enable_interintra_compound, enable_masked_compound
        warped_motion = flag()
        flag()  # enable_dual_filter
        order_hint = flag()
        if order_hint:
            flag()  # enable_jnt_comp
            ref_frame_mvs = flag()
        if not flag():  # seq_choose_screen_content_tools
            screen_content_tools = flag()
        if screen_content_tools and not flag():  # seq_choose_integer_mv
            integer_mv = flag()
        if order_hint:
            order_hint_bits = f(3) + 1

    return SequenceHeader(
        profile=profile,
        still_picture=still_picture,
        reduced_still_picture_header=reduced,
        decoder_model_info_present=timing.decoder_model_info_present,
        buffer_removal_time_length=timing.buffer_removal_time,
        frame_presentation_time_length=timing.frame_presentation_time,
        operating_points=operating_points,
        frame_width_bits=width_bits,
        frame_height_bits=height_bits,
        max_frame_width=max_width,
        max_frame_height=max_height,
        delta_frame_id_length=delta_frame_id_length,
        frame_id_length=frame_id_length,
        use_128x128_superblock=use_128x128_superblock,
        enable_warped_motion=warped_motion,
        enable_order_hint=order_hint,
        enable_ref_frame_mvs=ref_frame_mvs,
        force_screen_content_tools=screen_content_tools,
        force_integer_mv=integer_mv,
        order_hint_bits=order_hint_bits,
        enable_superres=flag(),
        enable_cdef=flag(),
        enable_restoration=flag(),
        color=_color_config(bits, profile),
        film_grain_params_present=flag(),
    )


def _timing(bits: BitReader) -> _Timing:
    """timing_info() and decoder_model_info(), sections 5.5.3 and 5.5.4, with the flags before them."""
    bits.section = "5.5.3 timing_info"
    if not bits.flag():
        return _Timing(0, 0, 0, 0)
    bits.skip(64)  # num_units_in_display_tick, time_scale
    equal_picture_interval = bits.flag()
    if equal_picture_interval:
        bits.uvlc()  # num_ticks_per_picture_minus_1
    if not bits.flag():
        return _Timing(0, 0, 0, 0)
    bits.section = "5.5.4 decoder_model_info"
    buffer_delay = bits.f(5) + 1
    bits.skip(32)  # num_units_in_decoding_tick
    buffer_removal_time = bits.f(5) + 1
    frame_presentation_time = bits.f(5) + 1
    return _Timing(1, buffer_delay, buffer_removal_time, 0 if equal_picture_interval else frame_presentation_time)


def _operating_points(bits: BitReader, timing: _Timing) -> tuple[OperatingPoint, ...]:
    """The loop over operating points in section 5.5.1, with operating_parameters_info() of 5.5.5."""
    bits.section = "5.5.1 operating_point_idc"
    initial_display_delay_present = bits.flag()
    points = []
    for _ in range(bits.f(5) + 1):
        idc = bits.f(12)
        if bits.f(5) > 7:  # seq_level_idx
            bits.flag()  # seq_tier
        model = 0
        if timing.decoder_model_info_present:
            model = bits.flag()
            if model:
                bits.skip(2 * timing.buffer_delay + 1)
        if initial_display_delay_present and bits.flag():
            bits.f(4)  # initial_display_delay_minus_1
        points.append(OperatingPoint(idc, model))
    return tuple(points)


def _color_config(bits: BitReader, profile: int) -> ColorConfig:
    """color_config(), section 5.5.2."""
    bits.section = "5.5.2 color_config"
    f, flag = bits.f, bits.flag
    bit_depth = 8
    if flag():  # high_bitdepth
        bit_depth = 12 if profile == 2 and flag() else 10
    mono_chrome = 0 if profile == 1 else flag()
    description = (f(8), f(8), f(8)) if flag() else (_UNSPECIFIED, _UNSPECIFIED, _UNSPECIFIED)
    if mono_chrome:
        return ColorConfig(bit_depth, 1, *description, flag(), 1, 1, 0)
    if description == (_CP_BT_709, _TC_SRGB, _MC_IDENTITY):
        return ColorConfig(bit_depth, 0, *description, 1, 0, 0, flag())
    color_range = flag()
    if profile == 0:
        x, y = 1, 1
    elif profile == 1:
        x, y = 0, 0
    elif bit_depth == 12:
        x = flag()
        y = flag() if x else 0
    else:
        x, y = 1, 0
    if x and y:
        f(2)  # chroma_sample_position
    return ColorConfig(bit_depth, 0, *description, color_range, x, y, flag())
