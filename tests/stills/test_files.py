"""Files as other programs see them: what FFmpeg has written is read by Pillow, and the other way round."""

import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import av
import imageio_ffmpeg
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

import vs_srcomp
from tests.stills.conftest import SIZE, XMP, as_it_is, decoded, luma_of
from tests.stills.hand_made import write_grey_png, write_raw_tiff
from vs_srcomp.batch.sequence import upscale_sequence
from vs_srcomp.probe import probe
from vs_srcomp.resample import lanczos5
from vs_srcomp.stills.colour import clip_of
from vs_srcomp.stills.decoding import planes_of_frame
from vs_srcomp.stills.encoding import write_deep_avif
from vs_srcomp.stills.formats import PNG
from vs_srcomp.stills.picture import UNSPECIFIED, Metadata, Tags
from vs_srcomp.stills.png import write_png
from vs_srcomp.stills.reading import read_picture
from vs_srcomp.stills.run import upscale_picture
from vs_srcomp.stills.tiff import write_tiff
from vs_srcomp.stills.writing import write_samples

WITHOUT_LOSS = {"out.png": {}, "out.tif": {}, "out.webp": {"lossless": True}}
ORIENTATION, MAKE, EXIF_IFD, EXPOSURE, EXIF_WIDTH = 0x0112, 0x010F, 0x8769, 0x829A, 40962


@pytest.mark.parametrize(("name", "options"), WITHOUT_LOSS.items())
def test_without_a_network_nothing_changes(
    name: str, options: dict[str, Any], rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.png", tmp_path / name
    Image.fromarray(rgb).save(source)
    result = upscale_picture(as_it_is(source, target, unchanging, **options))
    assert (result.source_size, result.target_size, result.bits) == (SIZE, SIZE, 8)
    np.testing.assert_array_equal(decoded(target, "rgb24"), rgb)
    with Image.open(target) as image:
        np.testing.assert_array_equal(np.asarray(image), rgb)


@pytest.mark.parametrize("name", ["out.png", "out.tif"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_sixteen_bits(name: str, count: int, unchanging: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(count)
    samples = rng.integers(0, 65536, (*SIZE[::-1], count), np.uint16)
    samples = samples[:, :, 0] if count == 1 else samples
    source, target = tmp_path / "in.png", tmp_path / name
    write_png(source, samples, Metadata())  # which test_png.py holds against other decoders
    assert upscale_picture(as_it_is(source, target, unchanging)).bits == 16
    pixel_format = {1: "gray16le", 2: "ya16le", 3: "rgb48le", 4: "rgba64le"}[count]
    back = decoded(target, pixel_format).reshape(samples.shape)
    # Grey and alpha go no way that rounds.
    limit = 0 if count < 3 else 2
    assert np.abs(back.astype(int) - samples).max() <= limit
    if name == "out.png":
        with Image.open(target) as image:
            high = np.asarray(image).astype(int) >> (8 if image.mode.startswith("I") else 0)
        high = high[:, :, [0, 3]] if count == 2 else high  # which Pillow takes for RGBA
        assert np.abs(high - (back.astype(int) >> 8).reshape(high.shape)).max() == 0


@pytest.mark.parametrize(("gamma", "tags"), [(45455, UNSPECIFIED), (100000, (1, 8))])
def test_the_gamma_of_png_is_srgb_or_a_number(
    gamma: int, tags: tuple[int, int], unchanging: Path, tmp_path: Path
) -> None:
    info = PngInfo()
    info.add(b"gAMA", gamma.to_bytes(4, "big"))
    Image.new("RGB", (64, 32), (30, 90, 200)).save(tmp_path / "in.png", pnginfo=info)
    assert read_picture(tmp_path / "in.png").metadata.tags == tags
    upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "out.png", unchanging))
    assert (b"cICP" in (tmp_path / "out.png").read_bytes()) == (tags != UNSPECIFIED)
    if tags == UNSPECIFIED:
        upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "out.jpg", unchanging))
        assert (tmp_path / "out.jpg").stat().st_size > 0


@pytest.mark.parametrize(
    ("gamma", "notes"), [(45455, ()), (45000, ()), (100000, ()), (55556, ("its gamma of 1.8 has",))]
)
def test_a_gamma_without_a_number_is_named(gamma: int, notes: tuple[str, ...], tmp_path: Path) -> None:
    info = PngInfo()
    info.add(b"gAMA", gamma.to_bytes(4, "big"))
    Image.new("RGB", (64, 32), (30, 90, 200)).save(tmp_path / "in.png", pnginfo=info)
    found = read_picture(tmp_path / "in.png").notes
    assert [note.startswith(start) for note, start in zip(found, notes, strict=True)] == [True] * len(notes)


def test_xmp_behind_the_samples_of_png_is_kept(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    Image.fromarray(rgb).save(source, pnginfo=info, exif=exif)
    data = source.read_bytes()
    chunks, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big") + 12
        chunks.append(data[place : place + length])
        place += length
    of_xmp = [chunk for chunk in chunks if chunk[4:8] == b"iTXt"]
    first, last = [chunk for chunk in chunks if chunk not in of_xmp][:-1], chunks[-1]
    # EXIF comes first, for Pillow reads to the end if there is none before the samples.
    first.sort(key=lambda chunk: [b"IHDR", b"eXIf", b"IDAT"].index(chunk[4:8]))
    source.write_bytes(data[:8] + b"".join([*first, *of_xmp, last]))
    upscale_picture(as_it_is(source, target, unchanging))
    with Image.open(target) as image:
        image.load()
        assert b'tiff:Make="Camera"' in image.info["xmp"]
        assert image.getexif()[MAKE] == "Camera"


@pytest.fixture
def grey_profile() -> bytes:
    # Pillow makes none; its other fields do not matter here.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY"
    return bytes(profile)


@pytest.mark.parametrize(
    ("source_name", "target_name"), [("in.jpg", "out.webp"), ("in.png", "out.webp"), ("in.png", "out.avif")]
)
def test_a_profile_of_greys_is_not_kept_in_colour(
    source_name: str, target_name: str, grey_profile: bytes, unchanging: Path, tmp_path: Path
) -> None:
    source = tmp_path / source_name
    Image.new("L" if source_name == "in.jpg" else "LA", SIZE, 90).save(source, icc_profile=grey_profile)
    notes = upscale_picture(as_it_is(source, tmp_path / target_name, unchanging)).notes
    assert any("the profile, which is of greys, is not kept" in note for note in notes)
    upscale_picture(as_it_is(source, tmp_path / "out.png", unchanging))
    with Image.open(tmp_path / target_name) as in_colour, Image.open(tmp_path / "out.png") as png:
        assert "icc_profile" not in in_colour.info
        assert png.info["icc_profile"] == grey_profile


def test_a_profile_of_greys_is_kept_in_grey_avif(grey_profile: bytes, unchanging: Path, tmp_path: Path) -> None:
    Image.new("L", SIZE, 90).save(tmp_path / "in.jpg", icc_profile=grey_profile)
    upscale_picture(as_it_is(tmp_path / "in.jpg", tmp_path / "out.avif", unchanging))
    with Image.open(tmp_path / "out.avif") as image:
        assert (image.mode, image.info["icc_profile"]) == ("L", grey_profile)


def test_exif_that_cannot_be_written_does_not_stop_a_picture(unchanging: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "out.png"
    # A little-endian directory of one entry: the copyright, which is a text, as a DOUBLE.
    entry = struct.pack("<HHII", 0x8298, 12, 1, 26)
    exif = b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0) + struct.pack("<d", 0.5)
    Image.new("RGB", SIZE).save(source, exif=b"Exif\0\0" + exif)
    result = upscale_picture(as_it_is(source, target, unchanging))
    assert "its EXIF is damaged, and is not kept" in result.notes
    with Image.open(target) as image:
        assert not image.getexif()


def test_grey_tiff_has_no_colour_tags(unchanging: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 96), 30000, np.uint16)).save(tmp_path / "in.tif")
    assert read_picture(tmp_path / "in.tif").metadata.tags == UNSPECIFIED
    upscale_picture(as_it_is(tmp_path / "in.tif", tmp_path / "out.tif", unchanging))
    upscale_picture(as_it_is(tmp_path / "in.tif", tmp_path / "out.png", unchanging))
    assert b"cICP" not in (tmp_path / "out.png").read_bytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_in_many_strips(dtype: type, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    samples = rng.integers(0, np.iinfo(dtype).max, (700, 600, 3), dtype)
    write_tiff(tmp_path / "out.tif", samples, Metadata())
    pixel_format = "rgb24" if dtype is np.uint8 else "rgb48le"
    np.testing.assert_array_equal(decoded(tmp_path / "out.tif", pixel_format), samples)
    with Image.open(tmp_path / "out.tif") as image:
        shown = np.asarray(image)
    if dtype is np.uint8:
        np.testing.assert_array_equal(shown, samples)


@pytest.mark.parametrize("source_name", ["in.jpg", "in.png", "in.webp", "in.avif", "in.tif"])
@pytest.mark.parametrize("name", ["out.png", "out.tif", "out.jpg", "out.webp", "out.avif"])
def test_what_is_beside_the_samples(
    source_name: str, name: str, rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Camera"
    exif[EXIF_IFD] = {EXPOSURE: 0.25, EXIF_WIDTH: SIZE[0]}
    source, target = tmp_path / source_name, tmp_path / name
    extra: dict[str, Any] = {"xmp": XMP}
    if source_name == "in.png":
        from PIL.PngImagePlugin import PngInfo

        extra = {"pnginfo": PngInfo()}
        extra["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    elif source_name == "in.tif":
        exif[700] = XMP
        extra = {}
    Image.fromarray(rgb).save(source, icc_profile=profile, exif=exif.tobytes(), **extra)

    result = upscale_picture(as_it_is(source, target, unchanging, width=SIZE[1]))

    # Turned once: the file is upright, and says so.
    assert (result.source_size, result.target_size) == (SIZE[::-1], SIZE[::-1])
    with Image.open(target) as image:
        assert image.size == SIZE[::-1]
        found = image.getexif()
        assert found.get(ORIENTATION, 1) == 1
        assert found[MAKE] == "Camera"
        inner = found.get_ifd(EXIF_IFD)
        assert inner[EXPOSURE] == 0.25
        assert inner[EXIF_WIDTH] == SIZE[1]
        assert image.info["icc_profile"] == profile
        xmp = image.info["xmp"]
        assert b'tiff:Make="Camera"' in xmp
        assert b'tiff:Orientation="6"' not in xmp
        turned = np.rot90(rgb, -1).astype(int)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - turned).mean() < 12


def test_profile_and_exif_in_sixteen_bits(unchanging: Path, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    rng = np.random.default_rng(5)
    metadata = Metadata(icc=profile, exif=exif.tobytes(), xmp=XMP, dpi=(300.0, 300.0))
    write_tiff(tmp_path / "in.tif", rng.integers(0, 65536, (64, 96, 3), np.uint16), metadata)
    # Where EXIF says nothing of how to turn it, XMP does.
    upscale_picture(as_it_is(tmp_path / "in.tif", tmp_path / "out.png", unchanging, width=SIZE[1]))
    with Image.open(tmp_path / "out.png") as image:
        image.load()
        assert image.info["icc_profile"] == profile
        assert image.getexif()[MAKE] == "Camera"
        assert b"Camera" in image.info["xmp"]
        assert image.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    assert decoded(tmp_path / "out.png", "rgb48le").shape == (96, 64, 3)


@pytest.mark.parametrize("name", ["in.png", "in.webp", "in.avif", "in.tif"])
def test_alpha_goes_through_lanczos(name: str, rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    source = tmp_path / name
    Image.fromarray(np.dstack([rgb, rgb[::-1, :, 0]])).save(source, quality=90)
    with Image.open(source) as image:
        alpha = np.asarray(image.getchannel("A"))
    job = as_it_is(source, tmp_path / "out.png", unchanging, width=2 * SIZE[0])
    upscale_picture(job)
    with lanczos5(clip_of([alpha], vs.GRAY8, {}), 2 * SIZE[0], 2 * SIZE[1]).get_frame(0) as frame:
        np.testing.assert_array_equal(decoded(job.target, "rgba")[:, :, 3], np.asarray(frame[0]))


@pytest.fixture
def hdr(rgb: NDArray[np.uint8], tmp_path: Path) -> Path:
    """A picture of 10 bits, BT.2020 and PQ, as SVT-AV1 and FFmpeg write it."""
    full = clip_of([rgb[:, :, channel] for channel in range(3)], vs.RGB24, {"_Matrix": 0, "_Range": 1})
    clip = full.resize.Bicubic(format=vs.YUV420P10, matrix=9, range_s="limited")
    write_deep_avif(tmp_path / "hdr.avif", clip, Tags(9, 16), 90)
    return tmp_path / "hdr.avif"


def test_hdr_becomes_hdr(hdr: Path, unchanging: Path, tmp_path: Path) -> None:
    picture = read_picture(hdr)
    assert (picture.bits, picture.metadata.tags) == (10, Tags(9, 16))
    assert picture.q is not None
    for name, pixel_format, bits in (("out.png", "rgb48be", 16), ("out.avif", "yuv420p10le", 10)):
        assert upscale_picture(as_it_is(hdr, tmp_path / name, unchanging)).bits == bits
        with av.open(str(tmp_path / name)) as container:
            frame = next(container.decode(video=0))
        assert frame.format.name == pixel_format
        assert (frame.color_primaries, frame.color_trc) == (9, 16)
    assert (frame.colorspace, frame.color_range) == (9, 1)
    again = read_picture(tmp_path / "out.png")
    assert (again.bits, again.metadata.tags, again.is_rgb) == (16, Tags(9, 16), True)
    before, after = decoded(hdr, "yuv420p10le"), decoded(tmp_path / "out.avif", "yuv420p10le")
    assert np.abs(before.astype(int) - after).mean() < 8


def test_light_levels_are_in_png(tmp_path: Path) -> None:
    samples = np.zeros((64, 96, 3), np.uint16)
    metadata = Metadata(tags=Tags(9, 16), light=(1000, 400))
    write_samples(tmp_path / "out.png", PNG, samples, metadata, quality=90, lossless=False, subsampling=(0, 0))
    with vs_srcomp.source(tmp_path / "out.png").get_frame(0) as frame:
        props = dict(frame.props)
    assert (props["ContentLightLevelMax"], props["ContentLightLevelAverage"]) == (1000, 400)
    assert (props["_Primaries"], props["_Transfer"]) == (9, 16)


def test_a_deep_picture_can_be_turned(hdr: Path, unchanging: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from vs_srcomp.stills.run import upscale_read

    picture = replace(read_picture(hdr), orientation=6)
    job = as_it_is(hdr, tmp_path / "out.avif", unchanging, width=SIZE[1])
    assert upscale_read(picture, job).target_size == SIZE[::-1]
    luma = decoded(hdr, "yuv420p10le")[: SIZE[1]]
    turned = decoded(job.target, "yuv420p10le")[: SIZE[0]]
    assert np.abs(np.rot90(luma, -1).astype(int) - turned).mean() < 8


def test_a_gain_map_is_dropped_with_a_message(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    xmp = XMP.replace(b"tiff:Make", b'hdrgm:Version="1.0" tiff:Make')
    Image.fromarray(rgb).save(tmp_path / "in.jpg", xmp=xmp)
    result = upscale_picture(as_it_is(tmp_path / "in.jpg", tmp_path / "out.jpg", unchanging))
    assert any("gain map is dropped" in note for note in result.notes)
    with Image.open(tmp_path / "out.jpg") as image:
        assert b"hdrgm" not in image.info["xmp"]
        assert b"Camera" in image.info["xmp"]


def test_a_gain_map_of_avif_is_seen(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    Image.fromarray(rgb).save(tmp_path / "in.avif", exif=exif)
    assert not read_picture(tmp_path / "in.avif").notes
    data = (tmp_path / "in.avif").read_bytes()
    # The item that is described as EXIF is described as a picture with a gain map.
    at = next(match.end() - 4 for match in re.finditer(rb"infe.{8}Exif", data, re.DOTALL))
    (tmp_path / "in.avif").write_bytes(data[:at] + b"tmap" + data[at + 4 :])
    assert any("gain map" in note for note in read_picture(tmp_path / "in.avif").notes)


def test_the_colours_of_the_container_count_more_than_those_of_the_stream(
    rgb: NDArray[np.uint8], tmp_path: Path
) -> None:
    file = tmp_path / "in.avif"
    Image.fromarray(rgb).save(file)
    assert read_picture(file).metadata.tags == Tags(1, 13)
    data = file.read_bytes()
    at = data.index(b"colrnclx") + 8
    file.write_bytes(data[:at] + bytes([0, 9, 0, 16, 0, 9, 0x80]) + data[at + 7 :])
    picture = read_picture(file)
    assert picture.metadata.tags == Tags(9, 16)
    assert picture.clip.get_frame(0).props["_Matrix"] == 9


def test_of_several_views_the_first_is_taken(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    first, second = Image.fromarray(rgb), Image.fromarray(rgb[::-1].copy())
    first.save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=[second], quality=95)
    result = upscale_picture(as_it_is(tmp_path / "in.jpg", tmp_path / "out.png", unchanging))
    assert "of its 2 pictures, the first is taken" in result.notes
    assert np.abs(decoded(tmp_path / "out.png", "rgb24").astype(int) - rgb).mean() < 12


def test_palettes_and_single_bits(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    image = Image.fromarray(rgb)
    for source in (image.quantize(16), image.convert("1"), image.convert("LA")):
        source.save(tmp_path / "in.png")
        upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "out.png", unchanging, overwrite=True))
        wanted = {"P": "RGB", "1": "L", "LA": "LA"}[source.mode]
        with Image.open(tmp_path / "out.png") as made:
            assert made.mode == wanted
            np.testing.assert_array_equal(np.asarray(made), np.asarray(source.convert(wanted)))


@pytest.mark.parametrize("name", ["in.png", "in.webp"])
@pytest.mark.parametrize("exif", [b"garbage", b"II*\0"])
def test_damaged_exif_does_not_stop_a_picture(
    name: str, exif: bytes, rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path
) -> None:
    Image.fromarray(rgb).save(tmp_path / name, exif=exif, lossless=True)
    result = upscale_picture(as_it_is(tmp_path / name, tmp_path / "out.png", unchanging))
    assert "its EXIF is damaged, and is not kept" in result.notes
    np.testing.assert_array_equal(decoded(tmp_path / "out.png", "rgb24"), rgb)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_one_grey_is_transparent(bits: int, tmp_path: Path) -> None:
    """FFmpeg and Pillow lose what is transparent of 2 and 4 bits."""
    codes = np.tile(np.arange(16) % (1 << bits), (4, 1)).astype(np.uint8)
    codes[0] = (1 << bits) - 1
    for transparent in {0, 1, (1 << bits) - 1}:
        write_grey_png(tmp_path / "in.png", codes, bits=bits, transparent=transparent)
        picture = read_picture(tmp_path / "in.png")
        np.testing.assert_array_equal(picture.alpha, np.where(codes == transparent, 0, 255))
        with picture.clip.get_frame(0) as frame:
            np.testing.assert_array_equal(np.asarray(frame[0]), codes.astype(int) * 255 // ((1 << bits) - 1))


def test_jpeg_xl(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl", reason="the reader of JPEG XL is not installed: pip install pillow-jxl-plugin")
    Image.fromarray(rgb).save(tmp_path / "in.jxl", lossless=True)
    upscale_picture(as_it_is(tmp_path / "in.jxl", tmp_path / "out.png", unchanging))
    np.testing.assert_array_equal(decoded(tmp_path / "out.png", "rgb24"), rgb)


def test_twelve_bits_of_whole_chroma(unchanging: Path, tmp_path: Path) -> None:
    pattern = ("-f", "lavfi", "-i", "testsrc2=size=96x64", "-frames:v", "1")
    coded = ("-c:v", "libaom-av1", "-pix_fmt", "yuv444p12le", "-still-picture", "1", "-cpu-used", "8", "-crf", "20")
    source = tmp_path / "in.avif"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *pattern, *coded, str(source)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    picture = read_picture(source)
    assert (picture.bits, picture.clip.format.id) == (12, vs.YUV444P12)
    assert upscale_picture(as_it_is(source, tmp_path / "out.png", unchanging)).bits == 16
    # FFmpeg's own way to RGB rounds in another way.
    difference = decoded(tmp_path / "out.png", "rgb48le").astype(int) - decoded(source, "rgb48le")
    assert np.abs(difference).mean() < 256
    result = upscale_picture(as_it_is(source, tmp_path / "out.avif", unchanging))
    again = read_picture(tmp_path / "out.avif")
    assert (result.bits, result.notes, again.clip.format.id) == (12, (), vs.YUV444P12)
    assert np.abs(luma_of(again.clip).astype(int) - luma_of(picture.clip)).mean() < 16


def test_deep_colours_without_libaom(
    rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed
    Image.fromarray(rgb).save(tmp_path / "in.png")
    result = upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "out.avif", unchanging, depth=10))
    assert result.bits == 10
    assert any(note.startswith("its colours become 4:2:0; with imageio-ffmpeg they stay") for note in result.notes)
    with pytest.raises(vs.Error, match="without loss needs the package imageio-ffmpeg\npip install"):
        upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "o.avif", unchanging, lossless=True))
    with pytest.raises(vs.Error, match="12 bits needs the package imageio-ffmpeg\npip install"):
        upscale_picture(as_it_is(tmp_path / "in.png", tmp_path / "o.avif", unchanging, depth=12))


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("depth", [10, 12])
def test_avif_gets_the_bits_that_are_asked_for(
    depth: Literal[10, 12], lossless: bool, rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path
) -> None:
    Image.fromarray(rgb).save(tmp_path / "in.png")
    job = as_it_is(tmp_path / "in.png", tmp_path / "out.avif", unchanging, depth=depth, lossless=lossless)
    assert upscale_picture(job).bits == depth
    assert probe(tmp_path / "out.avif").bit_depth == depth


@pytest.mark.parametrize("is_gray", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_avif_without_loss_is_so_in_other_decoders(
    is_gray: bool, orientation: int, rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path
) -> None:
    samples = rgb[:, :, 0] if is_gray else rgb
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(samples).save(tmp_path / "in.png", exif=exif)
    width = SIZE[0] if orientation == 1 else SIZE[1]
    job = as_it_is(tmp_path / "in.png", tmp_path / "out.avif", unchanging, lossless=True, width=width)
    assert upscale_picture(job).bits == 8
    turned = samples if orientation == 1 else np.rot90(samples, -1)
    with Image.open(job.target) as image:  # by libavif
        shown = np.asarray(image.convert("L" if is_gray else "RGB"))
    np.testing.assert_array_equal(shown, turned)
    np.testing.assert_array_equal(decoded(job.target, "gray" if is_gray else "rgb24"), turned)


def test_twelve_bits_without_loss(unchanging: Path, tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(0, 4096, (SIZE[1], SIZE[0], 3), np.uint16)
    write_png(tmp_path / "in.png", (samples << 4) | (samples >> 8), Metadata(tags=Tags(9, 16)))
    job = as_it_is(tmp_path / "in.png", tmp_path / "out.avif", unchanging, lossless=True)
    assert upscale_picture(job).bits == 12
    with av.open(str(job.target)) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == "gbrp12le"
    green, blue, red = planes_of_frame(frame)
    # The way to YUV of 16 bits and back is off by less than one part in 4096.
    assert np.abs(np.dstack([red, green, blue]).astype(int) - samples).max() <= 1
    assert read_picture(job.target).metadata.tags == Tags(9, 16)


@pytest.mark.parametrize("name", ["out.jpg", "out.avif", "out.webp"])
def test_lossy_files_are_alike_in_other_decoders(
    name: str, rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path
) -> None:
    Image.fromarray(rgb).save(tmp_path / "in.png")
    sizes = []
    for quality in (95, 40):
        job = as_it_is(tmp_path / "in.png", tmp_path / name, unchanging, quality=quality, overwrite=True)
        sizes.append(upscale_picture(job).bytes)
        by_ffmpeg = decoded(tmp_path / name, "rgb24").astype(int)
        with Image.open(tmp_path / name) as image:
            assert np.abs(by_ffmpeg - np.asarray(image)).mean() < 8  # by the way chroma is enlarged
        assert np.abs(by_ffmpeg - rgb).mean() < (12 if quality > 90 else 24)
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
def test_colours_of_tiff_that_are_multiplied_by_alpha_are_divided(dtype: str, unchanging: Path, tmp_path: Path) -> None:
    peak = np.iinfo(np.dtype(dtype)).max
    rgba = np.zeros((32, 32, 4), dtype)
    rgba[:, :, 3] = peak // 2
    rgba[:, :, :3] = peak // 2  # white behind half of it
    rgba[:, :8, :] = 0
    write_raw_tiff(tmp_path / "in.tif", [rgba], extra=1)
    upscale_picture(as_it_is(tmp_path / "in.tif", tmp_path / "o.png", unchanging, width=32))
    out = decoded(tmp_path / "o.png", "rgba" if peak == 255 else "rgba64le")
    assert out[:, 12:, :3].min() >= peak * 0.996
    assert (out[:, 12:, 3] == peak // 2).all()


def test_pages_of_16_bits_in_colour_are_refused_and_grey_ones_are_read(unchanging: Path, tmp_path: Path) -> None:
    for count in (3, 1):
        write_raw_tiff(tmp_path / "in.tif", [np.full((32, 32, count), 30000, "<u2")] * 2)
        job = as_it_is(tmp_path / "in.tif", tmp_path / "%d.png", unchanging, width=32)
        if count == 3:
            with pytest.raises(vs.Error, match="pages of 16 bits in colour"):
                upscale_sequence(job)
        else:
            assert upscale_sequence(job).count == 2
            assert abs(int(decoded(tmp_path / "2.png", "gray16le")[16, 16]) - 30000) <= 1
