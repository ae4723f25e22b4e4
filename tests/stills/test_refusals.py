"""What cannot be done is one clear error, and leaves nothing behind."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.stills.conftest import as_it_is
from tests.stills.hand_made import write_raw_tiff
from vs_srcomp.stills.picture import Metadata
from vs_srcomp.stills.png import write_png
from vs_srcomp.stills.run import upscale_picture
from vs_srcomp.stills.tiff import write_tiff


def _animation(file: Path, **options: Any) -> None:
    Image.new("RGB", (32, 32)).save(file, save_all=True, append_images=[Image.new("RGB", (32, 32), "red")], **options)


def _cmyk(file: Path, **settings: Any) -> None:
    Image.new("CMYK", (32, 32)).save(file, **settings)


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _cut(file: Path) -> None:
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(file, "JPEG")
    file.write_bytes(file.read_bytes()[:2000])


def _much_exif(file: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "words" * 20_000
    Image.new("RGB", (32, 32)).save(file, exif=exif)


def _damaged(file: Path, write: Callable[[], object]) -> None:
    """A file with one wrong byte in its middle."""
    write()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x55
    file.write_bytes(data)


def _damaged_tiff(file: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 65536, (64, 64, 3), np.uint16)
    _damaged(file, lambda: write_tiff(file, noise, Metadata()))


def _deep(file: Path, channels: int = 3, **options: Any) -> None:
    write_raw_tiff(file, [np.full((32, 32, channels), 30000, "<u2")], **options)


def _damaged_lzw(file: Path) -> None:
    samples = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint16) * 257
    Image.fromarray(samples).save(file, compression="tiff_lzw")
    data = np.fromfile(file, np.uint8)
    middle = slice(len(data) // 2, len(data) // 2 + 60)
    data[middle] ^= 0x55
    data.tofile(file)


CASES: dict[str, tuple[str, Callable[[Path], object], str, dict[str, Any], str, str]] = {
    "animated WebP": ("in.webp", _animation, "o.png", {}, "animation of 2 pictures", "out.mkv"),
    "GIF": ("in.gif", _animation, "o.png", {}, "animation of 2 pictures", "%05d.png"),
    "pages": ("in.tif", _animation, "o.png", {}, "holds 2 pictures", "%03d.png"),
    "CMYK": ("in.jpg", _cmyk, "o.png", {}, "CMYK without a profile", "convert it to RGB"),
    "profile of RGB": (
        *("in.jpg", lambda file: _cmyk(file, icc_profile=_profile()), "o.png", {}),
        *("CMYK profile", "convert the picture to RGB"),
    ),
    "no picture": ("in.png", lambda file: file.write_text("words"), "o.png", {}, "not a picture", "give an AVIF"),
    "video": (
        *("in.mkv", lambda file: file.write_bytes(b"\x1a\x45\xdf\xa3"), "o.png", {}),
        *("not a picture", "out/%05d.png"),
    ),
    "folder of pictures": ("in", lambda file: file.mkdir(), "o.png", {}, "not a file", "in/%05d.png"),
    "cut": ("in.jpg", _cut, "o.png", {}, "cannot be decoded", "whole"),
    "alpha": ("in.png", lambda f: Image.new("RGBA", (32, 32)).save(f), "o.jpg", {}, "no alpha", ".png"),
    "sixteen bits": ("in.png", lambda f: Image.new("RGB", (32, 32)).save(f), "o.webp", {"depth": 16}, "8 bits", ".png"),
    "lossless": (
        *("in.png", lambda f: Image.new("RGB", (32, 32)).save(f), "o.jpg", {"lossless": True}),
        *("not written without loss", "or .avif, or leave out --lossless"),
    ),
    "deep alpha": (
        *("in.png", lambda file: write_png(file, np.zeros((32, 32, 4), np.uint16), Metadata()), "o.avif", {}),
        *("not written with alpha", "--depth 8"),
    ),
    "no such depth": (
        *("in.png", lambda f: Image.new("RGB", (32, 32)).save(f), "o.avif", {"depth": 16}),
        *("8, 10 or 12 bits a sample, not 16", "leave out --depth"),
    ),
    "lossless alpha": (
        *("in.png", lambda f: Image.new("RGBA", (32, 32)).save(f), "o.avif", {"lossless": True}),
        *("without loss is not written with alpha", ".webp instead"),
    ),
    "float": ("in.tif", lambda f: Image.new("F", (32, 32)).save(f), "o.png", {}, "floating-point", "16 bits"),
    "wide integers": ("in.tif", lambda f: Image.new("I", (32, 32)).save(f), "o.png", {}, "32 bits a sample", "16 bits"),
    "damaged Deflate": ("in.tif", _damaged_tiff, "o.png", {}, "cannot be decoded", "whole"),
    "damaged LZW of 16 bits": ("in.tif", _damaged_lzw, "o.png", {"width": 64}, "cannot be decoded", "whole"),
    "damaged PNG": (
        *("in.png", lambda file: _damaged(file, lambda: Image.effect_noise((64, 64), 50).save(file)), "o.png", {}),
        *("cannot be decoded", "whole"),
    ),
    "kind": ("in.png", lambda f: Image.new("RGB", (32, 32)).save(f), "o.gif", {}, "'.gif' are not written", ".png"),
    "size": (
        *("in.png", lambda f: Image.new("L", (32, 32)).save(f), "o.webp", {"width": 17000}),
        *("too large", "smaller size"),
    ),
    "memory": (
        *("in.png", lambda f: Image.new("L", (32, 32)).save(f), "o.png", {"width": 20000}),
        *("too large for a picture", "smaller size"),
    ),
    "much EXIF": ("in.png", _much_exif, "o.jpg", {}, "too long", "write .png"),
    "folder": ("in.png", lambda f: Image.new("L", (32, 32)).save(f), "none/o.png", {}, "does not exist", "make it"),
    "no folder": (
        *("in.png", lambda f: Image.new("L", (32, 32)).save(f), "in.png/o.png", {}),
        *("in.png' is not one", "make it"),
    ),
    "deep tiles": ("in.tif", lambda f: _deep(f, tile=16), "o.png", {}, "16 bits a sample in tiles", "PNG"),
    "deep planes": ("in.tif", lambda f: _deep(f, planar=True), "o.png", {}, "with separate planes", "PNG"),
    "signed": ("in.tif", lambda f: _deep(f, 1, sample_format=2), "o.png", {}, "signed samples", "unsigned"),
    "missing": ("in.png", lambda _: None, "o.png", {}, "does not exist", "check the path"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str, unchanging: Path, tmp_path: Path) -> None:
    source, make, target, options, what, todo = CASES[case]
    make(tmp_path / source)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(vs.Error) as caught:
        upscale_picture(as_it_is(tmp_path / source, tmp_path / target, unchanging, **{"width": 32} | options))
    message = str(caught.value)
    assert message.startswith("srcomp: ")
    assert what in message
    assert todo in message.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == before


def test_an_animation_in_rgb_is_not_advised_to_become_a_video(unchanging: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.webp"
    _animation(source, lossless=True)
    with pytest.raises(vs.Error, match=r"animation of 2 pictures, and one goes into a file\nwrite numbered pictures"):
        upscale_picture(as_it_is(source, tmp_path / "o.png", unchanging))


def test_an_address_is_refused_as_one(unchanging: Path, tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=r"'https://host/in\.png' is an address, not a file\ndownload it first"):
        upscale_picture(as_it_is(Path("https://host/in.png"), tmp_path / "o.png", unchanging))


def test_jpeg_xl_without_a_reader(unchanging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)  # as if it were not installed
    (tmp_path / "in.jxl").write_bytes(b"\xff\x0a" + bytes(20))
    with pytest.raises(vs.Error, match="JPEG XL, for which no decoder is installed\ninstall one with: pip install"):
        upscale_picture(as_it_is(tmp_path / "in.jxl", tmp_path / "o.png", unchanging))


def test_an_output_that_exists_is_kept(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    Image.fromarray(rgb).save(tmp_path / "in.png")
    (tmp_path / "o.png").write_text("mine")
    with pytest.raises(vs.Error, match="exists\n"):
        upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "o.png", unchanging))
    assert (tmp_path / "o.png").read_text() == "mine"
    upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "o.png", unchanging, overwrite=True))
    with pytest.raises(vs.Error, match="the output is the input"):
        upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "in.png", unchanging, overwrite=True))


def test_an_odd_size_of_deep_avif_needs_libaom(
    unchanging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vs_srcomp.stills.fitting.libaom_program", lambda: None)
    Image.new("RGB", (33, 33)).save(tmp_path / "in.png")
    with pytest.raises(vs.Error, match=r"33x33, an odd size, needs the package imageio-ffmpeg\n.*\.png"):
        upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "o.avif", unchanging, width=33, depth=10))
