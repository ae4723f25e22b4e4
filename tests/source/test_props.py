"""Frame properties: the same as BestSource's, but for differences that are listed here with their reasons."""

import struct
from fractions import Fraction
from math import cos, radians, sin
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

from tests.helpers.films import Studio
from vs_srcomp.source import source
from vs_srcomp.source.props import orientation
from vs_srcomp.upscale import upscale

from .reference import scene, shared_files, video_frame, write_scenes, write_video

UNSPECIFIED = {"_Matrix": 2, "_Primaries": 2, "_Transfer": 2}


def deliberate_differences(theirs: dict[str, Any]) -> dict[str, Any]:
    """BestSource's properties without those that are left to differ."""
    kept = dict(theirs)
    for name, unspecified in UNSPECIFIED.items():
        if kept.get(name) == unspecified:
            del kept[name]  # unknown is not set
    for name in ("Rotation", "FlipVertical"):
        if not kept.get(name):
            kept.pop(name, None)  # a file that says nothing of orientation says nothing of it
    for name in ("RepeatField", "TopFieldFirst"):
        kept.pop(name, None)  # PyAV does not tell them
    if kept.get("_PictType") == "?":
        del kept["_PictType"]
    return kept


def mine_to_compare(mine: dict[str, Any], theirs: dict[str, Any], number: int, last: int) -> dict[str, Any]:
    """Our properties without those that BestSource does not set."""
    kept = {name: value for name, value in mine.items() if not name.startswith("Srcomp")}
    del kept["_AbsoluteTime"]
    if "_DurationNum" not in theirs:
        # BestSource takes durations from the next timestamp alone: none for the last frame and raw streams.
        assert number == last or theirs.get("_AbsoluteTime") is None
        del kept["_DurationNum"], kept["_DurationDen"]
    for name in ("Rotation", "FlipVertical"):
        if not kept.get(name):
            kept.pop(name, None)
    return kept


# BestSource gives a mean rate to streams whose timestamps keep to none.
VARIABLE = {"video/hdr10-video-with-sdr-container.mp4", "video/portrait_4k60.mp4"}
# Five frames of 33 or 34 ms: BestSource takes FFmpeg's estimate, 359/12.
ROUNDED = {"av1/av1.webm"}
# Neither has a decoder for BestSource, and the last is broken on purpose.
NOT_COMPARED = {
    "av1/video_dovi_3840x2160_30fps_dav1_10.mp4",
    "av1/sample_av1c_fragmented_clearkey.mp4",
    "av1/vase_tile_list.ivf",
}


@pytest.mark.parametrize("name", [n for n in shared_files("av1", "video") if n not in NOT_COMPARED])
def test_like_bestsource(name: str, shared_data: Path) -> None:
    if not hasattr(vs.core, "bs"):
        pytest.skip("BestSource is not installed")
    theirs = vs.core.bs.VideoSource(str(shared_data / name), cachemode=0, apply_rotation=0)
    mine = source(shared_data / name)
    assert (mine.width, mine.height, mine.format.id) == (theirs.width, theirs.height, theirs.format.id)
    assert len(mine) == len(theirs)
    if name in VARIABLE:
        assert mine.fps == 0
    elif name not in ROUNDED:
        assert mine.fps == theirs.fps
    last = len(mine) - 1
    for number in {0, 1, min(5, last), last} if len(mine) < 1000 else {0, 1, 5}:
        their_props = dict(theirs.get_frame(number).props)
        my_props = dict(mine.get_frame(number).props)
        assert mine_to_compare(my_props, their_props, number, last) == deliberate_differences(their_props)


def test_hdr_properties_are_really_compared(shared_data: Path) -> None:
    static = {
        *(f"MasteringDisplay{what}{axis}" for what in ("Primaries", "WhitePoint") for axis in "XY"),
        "ContentLightLevelMax",
        "ContentLightLevelAverage",
    }
    luminance = {"MasteringDisplayMinLuminance", "MasteringDisplayMaxLuminance"}
    hevc = source(shared_data / "video/hdr10-video-with-sdr-container.mp4").get_frame(0).props
    assert static | {"HDR10Plus"} <= set(hevc)
    av1 = source(shared_data / "av1/metadata_hdr_cll_mdcv.ivf").get_frame(0).props
    assert static | luminance <= set(av1)


def test_colour_and_shape_are_those_of_the_stream(tmp_path: Path) -> None:
    file = write_scenes(
        tmp_path / "c.mp4",
        3,
        codec="libx264",
        setup={
            "color_range": 2,
            "colorspace": 9,
            "color_primaries": 9,
            "color_trc": 16,
            "chroma_sample_location": 3,
            "sample_aspect_ratio": Fraction(8, 9),
        },
    )
    props = source(file).get_frame(0).props
    assert props["_Range"] == vs.RANGE_FULL
    assert (props["_Matrix"], props["_Primaries"], props["_Transfer"]) == (9, 9, 16)
    assert props["_ChromaLocation"] == vs.CHROMA_TOP_LEFT
    assert (props["_SARNum"], props["_SARDen"]) == (8, 9)


def test_unknown_is_not_set(tmp_path: Path) -> None:
    frame = video_frame([scene(0, 64, 48)], "gray", 64, 48)
    props = source(write_video(tmp_path / "g.nut", [frame])).get_frame(0).props
    assert not {"_Matrix", "_Primaries", "_Transfer", "_ChromaLocation", "Rotation"} & set(props)
    assert "ContentLightLevelMax" not in props


def test_picture_types(tmp_path: Path) -> None:
    options = {"bf": "2", "g": "10", "x264-params": "b-adapt=0:scenecut=0"}
    clip = source(write_scenes(tmp_path / "b.mp4", 20, codec="libx264", options=options))
    types = "".join(frame.props["_PictType"] for frame in clip.frames())
    assert types[0] == "I"
    assert set(types) == {"I", "P", "B"}


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("order", ["forward", "backward", "second half first"])
def test_pixel_shape_follows_the_stream(order: str, threads: int, shared_data: Path) -> None:
    clip = source(shared_data / "faults/M-pixel-shape-changes.ts", threads=threads)
    numbers = {"forward": [*range(100)], "backward": [*range(100)[::-1]], "second half first": [80, 49, 50, 99, 0, 51]}
    for n in numbers[order]:
        props = clip.get_frame(n).props
        assert (props["_SARNum"], props["_SARDen"]) == ((29, 27) if n < 50 else (116, 81)), n


@pytest.mark.parametrize("threads", [1, 2, 4, 7])
@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("libx264", "v.264", {"bf": "2", "g": "12"}),
        ("libx265", "v.265", {"x265-params": "log-level=none:keyint=12:bframes=3"}),
        ("libx264", "v.ts", {"bf": "3", "g": "8"}),
        ("mpeg2video", "v.mpg", {"bf": "2", "g": "12"}),
    ],
)
def test_pixel_shape_is_that_of_each_frame(
    codec: str, name: str, options: dict[str, str], threads: int, tmp_path: Path
) -> None:
    """The decoder tells it of what it has decoded last, several packets ahead of what it shows."""
    parts = [
        write_scenes(
            tmp_path / f"{number}{name}", 40, codec=codec, options=options, setup={"sample_aspect_ratio": ratio}
        )
        for number, ratio in enumerate([Fraction(1), Fraction(4, 3), Fraction(1)])
    ]
    file = tmp_path / name
    file.write_bytes(b"".join(part.read_bytes() for part in parts))
    clip = source(file, threads=threads)
    assert len(clip) == 120
    for n in (60, 41, *range(30, 120), *range(0, 120, 7), *range(100, 20, -1)):
        props = clip.get_frame(n).props
        assert (props["_SARNum"], props["_SARDen"]) == ((4, 3) if 40 <= n < 80 else (1, 1)), n


@pytest.mark.parametrize(("name", "what"), [("pixel-shape", "pixel shape"), ("colour", "colour")])
def test_a_change_of_what_a_header_can_hold_once_is_reported_once(
    name: str, what: str, shared_data: Path, messages: list[str]
) -> None:
    for frame in source(shared_data / f"faults/M-{name}-changes.ts").frames(close=True):
        frame.close()
    found = [message for message in messages if "changes its" in message]
    assert len(found) == 1
    assert f"changes its {what} at frame 50: " in found[0]
    assert found[0].endswith("can hold one only")


def test_colour_follows_the_stream(shared_data: Path) -> None:
    clip = source(shared_data / "faults/M-colour-changes.ts")
    for n in (99, 49, 50, 0):
        props = clip.get_frame(n).props
        expected = (1, 1, 1) if n < 50 else (9, 9, 16)
        assert (props["_Matrix"], props["_Primaries"], props["_Transfer"]) == expected


@pytest.mark.parametrize(("tff", "expected"), [("1", vs.FIELD_TOP), ("0", vs.FIELD_BOTTOM)])
def test_interlaced_frames_say_their_field_order(tff: str, expected: int, tmp_path: Path) -> None:
    order = "tff=1" if tff == "1" else "bff=1"
    file = write_scenes(tmp_path / "i.mp4", 4, codec="libx264", options={"x264-params": order})
    assert {frame.props["_FieldBased"] for frame in source(file).frames()} == {expected}


@pytest.mark.parametrize(("order", "expected"), [("tff", vs.FIELD_TOP), ("bff", vs.FIELD_BOTTOM)])
@pytest.mark.parametrize(
    ("name", "coding"),
    [
        ("i.mkv", ("-c:v", "mpeg2video", "-flags", "+ildct+ilme")),
        ("i.mp4", ("-c:v", "mpeg2video", "-flags", "+ildct+ilme")),
        ("i.ts", ("-c:v", "mpeg2video", "-flags", "+ildct+ilme")),
        ("i.mkv", ("-c:v", "libx264", "-flags", "+ildct+ilme")),
        ("i.mkv", ("-c:v", "ffv1")),
        ("i.mov", ("-c:v", "prores_ks", "-flags", "+ildct")),
    ],
)
def test_field_order_is_that_of_other_readers(
    name: str, coding: tuple[str, ...], order: str, expected: int, tmp_path: Path
) -> None:
    film = Studio(tmp_path).picture(name, "-vf", f"setfield={order}", *coding, size="128x96")
    (found,) = {frame.props["_FieldBased"] for frame in source(film).frames(close=True)}
    theirs = vs.core.bs.VideoSource(str(film), cachemode=0).get_frame(0).props["_FieldBased"]
    assert found == expected == theirs


def matrix(degrees: float, flip_horizontal: bool = False) -> bytes:
    """A display matrix that turns the picture clockwise, mirrored first or not."""
    a, b = round(cos(radians(degrees)) * 65536), round(sin(radians(degrees)) * 65536)
    mirror = -1 if flip_horizontal else 1
    return struct.pack("=9i", mirror * a, mirror * b, 0, -b, a, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation(degrees: int) -> None:
    assert orientation(matrix(degrees)) == {"Rotation": degrees, "FlipVertical": 0}


def test_a_mirrored_picture_is_flipped_vertically_and_turned(shared_data: Path) -> None:
    # Left-right mirroring is a vertical flip and half a turn.
    assert orientation(matrix(0, flip_horizontal=True)) == {"Rotation": 180, "FlipVertical": 1}
    assert orientation(None) == {}
    assert source(shared_data / "video/portrait_4k60.mp4").get_frame(0).props["Rotation"] == 90


def test_interlaced_frames_in_a_progressive_stream_are_interlaced(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    parts = [
        studio.picture(name, "-c:v", "mpeg2video", *options)
        for name, options in (("p.m2v", ()), ("i.m2v", ("-flags", "+ildct+ilme")))
    ]
    mixed = tmp_path / "mixed.m2v"
    mixed.write_bytes(b"".join(part.read_bytes() for part in parts))
    clip = source(mixed)
    fields = [frame.props["_FieldBased"] for frame in clip.frames(close=True)]
    assert fields == [vs.FIELD_PROGRESSIVE] * 10 + [vs.FIELD_TOP] * 10
    with pytest.raises(vs.Error, match="interlaced"):
        upscale(clip, q=30).get_frame(15)


def test_dv_has_the_bottom_field_first(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    options = ("-vf", "setfield=bff", "-pix_fmt", "yuv420p", "-c:v", "dvvideo")
    film = studio.picture("dv.avi", *options, "-flags", "+ildct", size="720x576")
    assert {frame.props["_FieldBased"] for frame in source(film).frames(close=True)} == {vs.FIELD_BOTTOM}
