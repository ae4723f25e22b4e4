"""Numbered pictures, in and out."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image

import vs_srcomp
from tests.helpers.films import Studio
from tests.stills.conftest import SIZE, as_it_is, decoded, luma_of
from vs_srcomp.batch.sequence import numbered_files, upscale_sequence
from vs_srcomp.stills.formats import is_pattern


def test_numbers_are_kept(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    for number in (7, 8, 10):
        Image.fromarray(np.roll(rgb, number, 1)).save(tmp_path / f"in{number:05d}.png")
    Image.fromarray(rgb).save(tmp_path / "in1.png")  # not so many digits
    (tmp_path / "up").mkdir()
    calls: list[tuple[int, int]] = []
    job = as_it_is(tmp_path / "in%05d.png", tmp_path / "up" / "%03d.png", unchanging)
    result = upscale_sequence(job, progress=lambda done, total: calls.append((done, total)))
    assert (result.count, result.target_size, calls) == (3, SIZE, [(1, 3), (2, 3), (3, 3)])
    assert sorted(path.name for path in (tmp_path / "up").glob("*.png")) == ["007.png", "008.png", "010.png"]
    np.testing.assert_array_equal(decoded(tmp_path / "up" / "010.png", "rgb24"), np.roll(rgb, 10, 1))


def test_an_animation_becomes_numbered_pictures(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(rgb, shift, 1)) for shift in (0, 5, 9)]
    frames[0].save(tmp_path / "in.webp", save_all=True, append_images=frames[1:], lossless=True)
    result = upscale_sequence(as_it_is(tmp_path / "in.webp", tmp_path / "%d.png", unchanging))
    assert result.count == 3
    np.testing.assert_array_equal(decoded(tmp_path / "3.png", "rgb24"), np.roll(rgb, 9, 1))


def test_a_video_becomes_numbered_pictures(unchanging: Path, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "faults" / "J-animated.avif"
    result = upscale_sequence(as_it_is(source, tmp_path / "%02d.png", unchanging, width=64))
    assert result.count == 5
    assert result.target_size == (64, 48)
    clip = vs_srcomp.source(source)
    with clip.resize.Bicubic(format=vs.RGB24).std.ShufflePlanes(0, vs.GRAY)[4].get_frame(0) as frame:
        red = np.asarray(frame[0]).astype(int)
    assert np.abs(decoded(tmp_path / "05.png", "rgb24")[:, :, 0].astype(int) - red).max() <= 1


def test_untagged_video_has_the_colours_that_players_take(unchanging: Path, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        frame = av.VideoFrame(64, 48, "yuv444p")
        for plane, value in zip(frame.planes, (82, 90, 240), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    upscale_sequence(as_it_is(tmp_path / "in.mkv", tmp_path / "%d.png", unchanging, width=64))
    red = decoded(tmp_path / "1.png", "rgb24")[20, 20].astype(int)
    assert np.abs(red - [255, 0, 0]).max() <= 2  # by BT.601, which is what players take SD video for
    assert luma_of(vs_srcomp.source(tmp_path / "in.mkv"))[0, 0] == 82


def test_several_into_one_is_refused(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    Image.fromarray(rgb).save(tmp_path / "1.png")
    with pytest.raises(vs.Error, match=r"do not go into one file.*\nnumber the outputs, such as .*%05d\.png"):
        upscale_sequence(as_it_is(tmp_path / "%d.png", tmp_path / "out.png", unchanging))
    with pytest.raises(vs.Error, match=r"not a video\nwrite such as up/%05d.png"):
        upscale_sequence(as_it_is(tmp_path / "%d.png", tmp_path / "out.mkv", unchanging))
    with pytest.raises(vs.Error, match="no file has a name like"):
        upscale_sequence(as_it_is(tmp_path / "%05d.png", tmp_path / "o%d.png", unchanging))
    for source, target in (("%d-%d.png", "o%d.png"), ("%d.png", "o%d%05d.png")):
        with pytest.raises(vs.Error, match=r"has more than one number\nleave one"):
            upscale_sequence(as_it_is(tmp_path / source, tmp_path / target, unchanging))


def test_what_is_there_is_kept_unless_it_is_ours(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    Image.fromarray(rgb).save(tmp_path / "1.png")
    job = as_it_is(tmp_path / "%d.png", tmp_path / "o%d.png", unchanging)
    target = tmp_path / "o1.png"
    target.write_text("mine")
    with pytest.raises(vs.Error, match=r"o1\.png' exists\n.*--overwrite"):
        upscale_sequence(job)
    assert target.read_text() == "mine"
    first = upscale_sequence(replace(job, overwrite=True))
    assert (first.count, first.skipped, first.target_size) == (1, 0, SIZE)
    before = target.stat().st_mtime_ns
    again = upscale_sequence(job)
    assert (again.count, again.skipped, again.source_size) == (1, 1, None)
    assert target.stat().st_mtime_ns == before
    other = replace(job, q=44.0)
    with pytest.raises(vs.Error, match=r"was made from something else \(q: 30, now 44\)\nredo it with --overwrite"):
        upscale_sequence(other)
    assert upscale_sequence(replace(other, overwrite=True)).skipped == 0
    Image.fromarray(np.roll(rgb, 1, 1)).save(tmp_path / "1.png")
    with pytest.raises(vs.Error, match="the source file has changed"):
        upscale_sequence(other)


def test_zeros_lead_only_as_printf_writes_them(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    for name in ("003.png", "1000.png", "00003.png"):
        Image.fromarray(rgb).save(tmp_path / name)
    assert list(numbered_files(tmp_path / "%03d.png")) == [3, 1000]
    job = as_it_is(tmp_path / "%03d.png", tmp_path / "%06d.png", unchanging, overwrite=True)
    assert [upscale_sequence(job).skipped for _ in range(2)] == [0, 2]
    assert not is_pattern(tmp_path / "%0999999999999d.png")


def test_different_sizes_are_reported(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    Image.fromarray(rgb).save(tmp_path / "1.png")
    Image.fromarray(rgb[:40]).save(tmp_path / "2.png")
    job = as_it_is(tmp_path / "%d.png", tmp_path / "o%d.png", unchanging, width=None, ratio="2:1")
    assert any("2 different sizes" in note for note in upscale_sequence(job).notes)


def test_outputs_never_replace_inputs(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        Image.fromarray(rgb).save(tmp_path / f"{number:05d}.png")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "link").symlink_to(tmp_path)
    for target in ("%05d.png", "link/%05d.png"):
        with pytest.raises(vs.Error, match=r"the outputs are the inputs\nnumber the outputs in another folder"):
            upscale_sequence(as_it_is(tmp_path / "%05d.png", tmp_path / target, unchanging, overwrite=True))
    assert {path: path.read_bytes() for path in before} == before


def test_a_file_whose_name_has_a_percent_sign_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "50%d.png").touch()
    assert not is_pattern(tmp_path / "50%d.png")
    assert is_pattern(tmp_path / "%05d.png")
    assert not is_pattern(tmp_path / "100%.png")


def test_two_pictures_of_one_number_are_refused(rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path) -> None:
    for name in ("1.png", "01.png", "2.png"):
        Image.fromarray(rgb).save(tmp_path / name)
    job = as_it_is(tmp_path / "%d.png", tmp_path / "up" / "%d.png", unchanging)
    with pytest.raises(vs.Error, match=r"01\.png and 1\.png have the same number\nkeep one of them in "):
        upscale_sequence(job)


@pytest.mark.parametrize("turn", [("90",), ("180",), ("270",), ("0", "h"), ("90", "h"), ("270", "h")], ids="-".join)
def test_a_video_that_is_turned_becomes_upright_pictures(
    turn: tuple[str, ...], unchanging: Path, tmp_path: Path
) -> None:
    studio = Studio(tmp_path)
    studio.picture("plain.mp4", seconds=0.04)
    flip = ("-display_hflip",) if "h" in turn else ()
    film = studio.make("-display_rotation", turn[0], *flip, "-i", "plain.mp4", "-c", "copy", "turned.mp4")
    upright = studio.make("-i", "turned.mp4", "-frames:v", "1", "upright.png")  # FFmpeg turns it
    width = 64 if turn[0] in ("90", "270") else 96
    upscale_sequence(as_it_is(film, tmp_path / "o%d.png", unchanging, width=width))
    found, expected = (decoded(path, "rgb24").astype(int) for path in (tmp_path / "o1.png", upright))
    assert found.shape == expected.shape
    # Chroma is enlarged in another way; turned wrongly, it is 60 and more.
    assert np.abs(found - expected).mean() < 10


def test_what_avif_has_beside_its_pictures_is_kept_or_named(
    rgb: NDArray[np.uint8], unchanging: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with_alpha = Image.fromarray(np.dstack([rgb, np.full(rgb.shape[:2], 128, np.uint8)]))
    with_alpha.save(tmp_path / "one.avif", exif=exif)
    with_alpha.save(tmp_path / "two.avif", save_all=True, append_images=[with_alpha])
    for name, size, mode in (("one", SIZE[::-1], "RGBA"), ("two", SIZE, "RGB")):
        job = as_it_is(tmp_path / f"{name}.avif", tmp_path / f"{name}%d.png", unchanging, width=size[0])
        notes = upscale_sequence(job).notes
        with Image.open(tmp_path / f"{name}1.png") as out:
            assert (out.size, out.mode) == (size, mode)
        assert ("the alpha of an animation is left out" in notes) == (mode == "RGB")


def test_pixels_that_are_not_square_are_named(unchanging: Path, tmp_path: Path) -> None:
    film = Studio(tmp_path).picture("wide.mp4", "-vf", "setsar=4/3", seconds=0.04)
    result = upscale_sequence(as_it_is(film, tmp_path / "%d.png", unchanging, width=96))
    assert "its pixels are 4/3 times as wide as high, which pictures cannot state" in result.notes


def test_a_section_of_a_video_keeps_the_numbers_of_its_frames(unchanging: Path, tmp_path: Path, studio: Studio) -> None:
    film = studio.picture("numbered.mkv", "-c:v", "ffv1", "-output_ts_offset", "3")  # ten frames, 25 a second
    job = as_it_is(film, tmp_path / "%02d.png", unchanging, start=Fraction(1, 10), end=Fraction(1, 5))
    assert upscale_sequence(job).count == 2  # at 0.12 and 0.16
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["04.png", "05.png"]
    whole = upscale_sequence(replace(job, start=None, end=None))
    assert (whole.count, whole.skipped) == (10, 2)
    with pytest.raises(vs.Error, match="no frame is shown between the start and the end"):
        upscale_sequence(replace(job, start=Fraction(5), end=None))
    with pytest.raises(vs.Error, match=r"the end, 1 s, is not after the start, 2 s\ngive a later end"):
        upscale_sequence(replace(job, start=Fraction(2), end=Fraction(1)))
    for pictures in ("animation.gif", "%d.png"):
        with pytest.raises(vs.Error, match=r"a start and an end are for videos, not for pictures\nleave them out"):
            upscale_sequence(replace(job, source=tmp_path / pictures))
