"""What happens to samples on the way, without files."""

import numpy as np
import vapoursynth as vs

from vs_srcomp.stills.colour import clip_of, planes_of, rgb_to_yuv, to_bits, to_gray, to_rgb

FULL = {"_Range": int(vs.RANGE_FULL), "_Matrix": 0}


def test_colours_of_eight_bits_come_back_as_they_were() -> None:
    rng = np.random.default_rng(1)
    channels = [rng.integers(0, 256, (512, 1024), np.uint8) for _ in range(3)]
    back = to_rgb(rgb_to_yuv(clip_of(channels, vs.RGB24, FULL)), 8)
    with back.get_frame(0) as frame:
        for before, after in zip(channels, planes_of(frame), strict=True):
            np.testing.assert_array_equal(after, before)


def test_colours_of_sixteen_bits_come_back_within_two_codes() -> None:
    rng = np.random.default_rng(2)
    channels = [rng.integers(0, 65536, (256, 512), np.uint16) for _ in range(3)]
    back = to_rgb(rgb_to_yuv(clip_of(channels, vs.RGB48, FULL)), 16)
    with back.get_frame(0) as frame:
        for before, after in zip(channels, planes_of(frame), strict=True):
            # Limited range has 56,064 codes of luma for 65,535 of a channel.
            assert np.abs(after.astype(int) - before).max() <= 2


def test_grey_is_brought_to_full_range() -> None:
    plane = np.array([[16, 235]], np.uint8)
    limited = clip_of([plane], vs.GRAY8, {"_Range": int(vs.RANGE_LIMITED)})
    with to_gray(limited, 8).get_frame(0) as frame:
        np.testing.assert_array_equal(planes_of(frame)[0], [[0, 255]])
    full = clip_of([plane], vs.GRAY8, {"_Range": int(vs.RANGE_FULL)})
    with to_gray(full, 16).get_frame(0) as frame:
        np.testing.assert_array_equal(planes_of(frame)[0], plane.astype(int) * 257)


def test_bits_there_and_back() -> None:
    codes = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(to_bits(to_bits(codes, 16), 8), codes)
    assert to_bits(codes, 16)[0, -1] == 65535
    assert to_bits(np.array([[128, 129]], np.uint16), 8).tolist() == [[0, 1]]
