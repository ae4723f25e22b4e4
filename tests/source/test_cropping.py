"""Cropping by the container is applied and logged."""

import struct
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.probe import probe
from vs_srcomp.source import source
from vs_srcomp.source.formats import pixel_format
from vs_srcomp.source.media import Cropping

from .reference import clip_arrays, write_scenes


def rewritten(cropped: Path, file: Path, *, left: int, top: int, right: int, bottom: int) -> Path:
    """``cropped`` with other values in Matroska's PixelCropBottom, -Top, -Left and -Right, each of one byte."""
    data = cropped.read_bytes()
    for element, old, new in ((0xAA, 4, bottom), (0xBB, 4, top), (0xCC, 8, left), (0xDD, 8, right)):
        before = bytes([0x54, element, 0x81, old])
        assert data.count(before) == 1
        data = data.replace(before, bytes([0x54, element, 0x81, new]))
    file.write_bytes(data)
    return file


def check(clip: vs.VideoNode, whole: vs.VideoNode, left: int, top: int) -> None:
    for n in (0, 7, 3):
        planes = zip(clip_arrays(clip.get_frame(n)), clip_arrays(whole.get_frame(n)), (0, 1, 1), strict=True)
        for mine, all_of_it, halved in planes:
            x, y = left >> halved, top >> halved
            height, width = mine.shape
            assert (mine == all_of_it[y : y + height, x : x + width]).all()


def test_pixel_crop_of_matroska(shared_data: Path, tmp_path: Path, messages: list[str]) -> None:
    file = shared_data / "faults/G-cropped.mkv"
    clip = source(file)
    assert (clip.width, clip.height, len(clip)) == (48, 40, 50)
    (report,) = [message for message in messages if "cropped" in message]
    assert report.endswith("is cropped to 48x40, as it asks for")
    whole = source(rewritten(file, tmp_path / "whole.mkv", left=0, top=0, right=0, bottom=0))
    assert (whole.width, whole.height) == (64, 48)
    check(clip, whole, 8, 4)
    # What is left is shown at 64x48, DisplayWidth and DisplayHeight of the file.
    props = clip.get_frame(0).props
    assert (props["_SARNum"], props["_SARDen"]) == (10, 9)
    found = probe(file)
    assert (found.width, found.height) == (48, 40)


def test_chroma_keeps_its_place_where_the_cropping_is_odd(shared_data: Path, tmp_path: Path) -> None:
    cropped = shared_data / "faults/G-cropped.mkv"
    file = rewritten(cropped, tmp_path / "odd.mkv", left=3, top=5, right=4, bottom=0)
    clip = source(file)
    assert (clip.width, clip.height) == (56, 42)
    check(clip, source(rewritten(cropped, tmp_path / "whole.mkv", left=0, top=0, right=0, bottom=0)), 2, 4)
    found = probe(file)
    assert (found.width, found.height) == (56, 42)


def test_a_cropping_that_leaves_nothing_is_none() -> None:
    window = pixel_format("yuv420p").window
    assert window(64, 48, Cropping(left=62, right=2)) == (0, 0, 64, 48)
    assert window(64, 48, Cropping(top=4_000_000_000)) == (0, 0, 64, 48)
    assert window(64, 48, Cropping(left=62)) == (62, 0, 2, 48)


def test_clean_aperture_of_mp4(tmp_path: Path) -> None:
    whole = write_scenes(tmp_path / "whole.mp4", 10, codec="libx264", rate=25)
    # ISO/IEC 14496-12, 12.1.4: size and offset of its centre, each a fraction; 8 columns more are left out at the left.
    clap = struct.pack(">I4s8i", 40, b"clap", 48, 1, 40, 1, 4, 1, 0, 1)
    data = whole.read_bytes()
    assert data.index(b"moov") > data.index(b"mdat")  # so that no offset changes
    cropped = tmp_path / "cropped.mp4"
    path = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")
    cropped.write_bytes(with_box(data, path, clap))
    clip = source(cropped)
    assert (clip.width, clip.height) == (48, 40)
    check(clip, source(whole), 12, 4)


def with_box(data: bytes, path: tuple[bytes, ...], box: bytes) -> bytes:
    """``data`` with ``box`` as the last one inside the boxes of ``path``, whose sizes grow."""
    changed = bytearray(data)
    at = 0
    for name in path:
        at = changed.index(name, at)
        size = int.from_bytes(changed[at - 4 : at])
        changed[at - 4 : at] = (size + len(box)).to_bytes(4)
    changed[at - 4 + size : at - 4 + size] = box
    return bytes(changed)
