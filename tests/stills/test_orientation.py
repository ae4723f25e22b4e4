"""Pillow turns pictures as EXIF asks, too."""

import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image, ImageOps

from vs_srcomp.stills.colour import clip_of
from vs_srcomp.stills.orientation import turned, upright, upright_size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_that_of_pillow(orientation: int) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(4, 6)
    image = Image.fromarray(array)
    image.getexif()[0x0112] = orientation
    expected = ImageOps.exif_transpose(image)
    np.testing.assert_array_equal(upright(array, orientation), np.asarray(expected))
    with turned(clip_of([array], vs.GRAY8, {}), orientation).get_frame(0) as frame:
        np.testing.assert_array_equal(np.asarray(frame[0]), np.asarray(expected))
    assert upright_size(image.size, orientation) == expected.size
    assert upright_size(expected.size, orientation) == image.size
