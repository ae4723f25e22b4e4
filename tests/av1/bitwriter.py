"""Writing AV1 syntax, for headers that no available encoder writes."""

import random
from typing import NamedTuple, Self


class BitWriter:
    """Collects bits, most significant first."""

    def __init__(self) -> None:
        self.bits = ""

    def f(self, n: int, value: int) -> Self:
        """f(n)."""
        assert 0 <= value < 1 << n
        self.bits += f"{value:0{n}b}" if n else ""
        return self

    def noise(self, rng: random.Random, n: int) -> Self:
        """``n`` random bits."""
        return self.f(n, rng.getrandbits(n)) if n else self

    def flag(self, rng: random.Random) -> int:
        """A random flag."""
        value = rng.getrandbits(1)
        self.f(1, value)
        return value

    def uvlc(self, value: int) -> Self:
        """uvlc()."""
        length = (value + 1).bit_length()
        return self.f(length - 1, 0).f(length, value + 1)

    def ns(self, n: int, value: int) -> Self:
        """ns(n)."""
        width = n.bit_length()
        shorter = (1 << width) - n
        if value < shorter:
            return self.f(width - 1, value)
        return self.f(width, value + shorter)

    def padded(self) -> bytes:
        """The bits, filled up with 0."""
        bits = self.bits + "0" * (-len(self.bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8) if bits else b""

    def trailing(self) -> bytes:
        """The bits with trailing_bits()."""
        self.bits += "1"
        return self.padded()


def leb128(value: int) -> bytes:
    """leb128() in the shortest form."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def obu(kind: int, payload: bytes, *, layer: tuple[int, int] | None = None, sized: bool = True) -> bytes:
    """An OBU; ``layer`` is temporal and spatial id."""
    header = bytes([kind << 3 | (layer is not None) << 2 | sized << 1])
    if layer is not None:
        header += bytes([layer[0] << 5 | layer[1] << 3])
    return header + (leb128(len(payload)) if sized else b"") + payload


class Written(NamedTuple):
    """Facts about a written sequence header that frames depend on."""

    shown_key_frame: str
    """The first bits of a shown key frame."""
    hidden_key_frame: str
    """The first bits of a hidden, showable key frame that error resilience does not make refresh everything."""
    show_existing_bits: int
    """Bits after frame_to_show_map_idx."""


def sequence_header(out: BitWriter, rng: random.Random) -> Written:
    """sequence_header_obu(), section 5.5.1, with random features and a size below 512x512."""
    profile = rng.randrange(3)
    out.f(3, profile).f(1, 0).f(1, 0)  # still_picture, reduced_still_picture_header
    presentation_time = 0
    decoder_model = 0
    buffer_delay = 0
    if out.flag(rng):  # timing_info_present_flag
        out.f(32, 1 + rng.getrandbits(20)).f(32, 1 + rng.getrandbits(20))
        equal_interval = out.flag(rng)
        if equal_interval:
            out.uvlc(rng.getrandbits(rng.randrange(1, 20)))
        decoder_model = out.flag(rng)
        if decoder_model:
            buffer_delay = rng.randrange(1, 33)
            out.f(5, buffer_delay - 1).f(32, 1 + rng.getrandbits(20)).noise(rng, 5)
            length = rng.randrange(1, 33)
            out.f(5, length - 1)
            presentation_time = 0 if equal_interval else length
    initial_display_delay = out.flag(rng)
    points = rng.choice((1, 1, 2, 5))
    out.f(5, points - 1)
    for i in range(points):
        out.f(12, 0 if i == 0 else rng.choice((0x101, 0x103, 0x301, 0x100 + i)))
        level = rng.choice((0, 5, 8, 16))
        out.f(5, level)
        if level > 7:
            out.flag(rng)
        if decoder_model and out.flag(rng):
            out.noise(rng, 2 * buffer_delay + 1)
        if initial_display_delay and out.flag(rng):
            out.f(4, rng.randrange(10))

    out.f(4, 8).f(4, 8).noise(rng, 9).noise(rng, 9)
    frame_id_bits = 0
    if out.flag(rng):  # frame_id_numbers_present_flag
        delta = rng.randrange(8)
        more = rng.randrange(7)
        out.f(4, delta).f(3, more)
        frame_id_bits = delta + more + 3
    out.noise(rng, 3 + 4)  # use_128x128_superblock to enable_dual_filter
    order_hint = out.flag(rng)
    if order_hint:
        out.noise(rng, 2)
    screen_content = 2
    if not out.flag(rng):
        screen_content = out.flag(rng)
    if screen_content and not out.flag(rng):
        out.flag(rng)
    if order_hint:
        out.noise(rng, 3)
    out.noise(rng, 3)  # enable_superres, enable_cdef, enable_restoration
    _color_config(out, rng, profile)
    out.flag(rng)  # film_grain_params_present

    return Written(
        # show_existing_frame 0, frame_type 00, show_frame 1, temporal_point_info()
        shown_key_frame="0001",
        # ... show_frame 0, showable_frame 1, error_resilient_mode 0
        hidden_key_frame="000010",
        show_existing_bits=presentation_time + frame_id_bits,
    )


def _color_config(out: BitWriter, rng: random.Random, profile: int) -> None:
    """color_config(), section 5.5.2."""
    high = out.flag(rng)
    twelve = out.flag(rng) if profile == 2 and high else 0
    mono = 0 if profile == 1 else out.flag(rng)
    rgb = profile == 1 and rng.random() < 0.3
    out.f(1, int(rgb))
    if rgb:
        out.f(8, 1).f(8, 13).f(8, 0)
    if mono:
        out.flag(rng)
        return
    if not rgb:
        out.flag(rng)  # color_range
        x, y = {0: (1, 1), 1: (0, 0), 2: (1, 0)}[profile]
        if twelve:
            x = out.flag(rng)
            y = out.flag(rng) if x else 0
        if x and y:
            out.f(2, rng.randrange(3))
    out.flag(rng)  # separate_uv_delta_q
