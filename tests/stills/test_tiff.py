"""What TIFF files say of their samples: how they are turned, and which channel is alpha."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stills.conftest import SIZE, as_it_is, decoded
from tests.stills.hand_made import write_raw_tiff
from vs_srcomp.stills.reading import frames_of, read_picture
from vs_srcomp.stills.run import upscale_picture

ORIENTATION = 0x0112


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_sixteen_bits_are_turned_once(compression: str | None, unchanging: Path, tmp_path: Path) -> None:
    samples = np.add.outer(np.arange(SIZE[1]) * 1000, np.arange(SIZE[0])).astype(np.uint16)
    source, target = tmp_path / "in.tif", tmp_path / "out.png"
    Image.fromarray(samples).save(source, tiffinfo={ORIENTATION: 6}, compression=compression)
    result = upscale_picture(as_it_is(source, target, unchanging, width=SIZE[1]))
    assert (result.source_size, result.target_size) == (SIZE[::-1], SIZE[::-1])
    np.testing.assert_array_equal(decoded(target, "gray16le"), np.rot90(samples, -1))


def test_each_page_of_sixteen_bits_is_checked_and_read(tmp_path: Path) -> None:
    pages = [np.full((64, 96), value, np.uint16) for value in (9, 60000)]
    first, second = map(Image.fromarray, pages)
    first.save(tmp_path / "in.tif", save_all=True, append_images=[second], compression="tiff_lzw")
    found = [picture.clip.get_frame(0) for picture in frames_of(tmp_path / "in.tif")]
    assert [int(np.asarray(frame[0])[0, 0]) for frame in found] == [9, 60000]


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
@pytest.mark.parametrize(("extra", "is_alpha"), [(None, True), (0, False), (2, True)])
def test_a_fourth_channel_is_alpha_unless_the_file_says_something_else(
    extra: int | None, is_alpha: bool, dtype: str, unchanging: Path, tmp_path: Path
) -> None:
    rgba = np.full((32, 32, 4), np.iinfo(np.dtype(dtype)).max // 3, dtype)
    write_raw_tiff(tmp_path / "in.tif", [rgba], extra=extra)
    result = upscale_picture(as_it_is(tmp_path / "in.tif", tmp_path / "out.png", unchanging, width=32))
    assert ("a further channel, neither colour nor alpha, is not kept" in result.notes) == (not is_alpha)
    assert (read_picture(tmp_path / "out.png").alpha is not None) == is_alpha
    pixel_format = {"u1": "rgb24", "<u2": "rgb48le"}[dtype]
    # In 16 bits, the way to YUV and back rounds.
    assert np.abs(decoded(tmp_path / "out.png", pixel_format).astype(int) - rgba[:, :, :3]).max() <= 2
