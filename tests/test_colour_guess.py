"""Colours that players assume for untagged video, before and after upscaling."""

from pathlib import Path

import av
import pytest
import vapoursynth as vs

import vs_srcomp
from tests.helpers.films import Studio
from vs_srcomp.cli.programs import command_line
from vs_srcomp.cli.script import _examine
from vs_srcomp.colour_guess import Colours, assumed_colours, keep_assumed_colours, tags_to_keep
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.transcode import Job, transcode

# Width, height, matrix, primaries: by the functions of mpv and libplacebo that the module names.
ASSUMED = [
    (1279, 576, 6, 5),
    (1280, 576, 1, 1),
    (1280, 480, 1, 1),
    (720, 577, 1, 1),
    (720, 576, 6, 5),
    (720, 480, 6, 6),
    (720, 486, 6, 6),
    (640, 360, 6, 1),
    (854, 575, 6, 1),
]


@pytest.mark.parametrize(("width", "height", "matrix", "primaries"), ASSUMED)
def test_untagged_pictures(width: int, height: int, matrix: int, primaries: int) -> None:
    assert assumed_colours({}, width, height) == (matrix, primaries)
    assert assumed_colours({"_Matrix": 2, "_Primaries": 2, "_Transfer": 13}, width, height) == (matrix, primaries)


def test_what_is_tagged_goes_first() -> None:
    assert assumed_colours({"_Matrix": 9}, 720, 480) == Colours(9, 9)
    assert assumed_colours({"_Matrix": 1}, 720, 480) == Colours(1, 1)
    assert assumed_colours({"_Matrix": 6}, 1920, 1080) == Colours(6, 1)
    assert assumed_colours({"_Primaries": 5}, 720, 480) == Colours(6, 5)


@pytest.mark.parametrize(
    ("props", "size", "new_size", "tags"),
    [
        ({}, (720, 480), (1440, 960), {"_Matrix": 6, "_Primaries": 6}),
        ({}, (720, 576), (1440, 1152), {"_Matrix": 6, "_Primaries": 5}),
        ({}, (640, 360), (1280, 720), {"_Matrix": 6, "_Primaries": 1}),
        ({}, (640, 272), (1280, 544), {"_Matrix": 6, "_Primaries": 1}),
        # The primaries alone depend on 480 and 576 lines.
        ({}, (352, 288), (704, 576), {"_Matrix": 6, "_Primaries": 1}),
        ({}, (352, 240), (704, 480), {"_Matrix": 6, "_Primaries": 1}),
        ({"_Matrix": 6}, (720, 480), (1440, 960), {"_Primaries": 6}),
        ({"_Primaries": 1}, (720, 480), (1440, 960), {"_Matrix": 6}),
        ({"_Matrix": 2, "_Primaries": 2}, (720, 480), (1440, 960), {"_Matrix": 6, "_Primaries": 6}),
        # Nothing to keep.
        ({}, (320, 180), (640, 360), {}),
        ({}, (1280, 720), (2560, 1440), {}),
        ({"_Matrix": 1}, (720, 480), (1440, 960), {}),
        ({"_Matrix": 6, "_Primaries": 6}, (720, 480), (1440, 960), {}),
        ({"_Matrix": 9}, (720, 480), (1440, 960), {}),
    ],
)
def test_tags_that_a_new_size_needs(
    props: dict[str, int], size: tuple[int, int], new_size: tuple[int, int], tags: dict[str, int]
) -> None:
    assert tags_to_keep(props, size, new_size) == tags
    assert assumed_colours(props, *size) == assumed_colours(props | tags, *new_size)


def test_each_frame_is_looked_at_and_it_is_reported_once(messages: list[str]) -> None:
    blank = vs.core.std.BlankClip(width=720, height=480, format=vs.YUV420P8, length=2)
    untagged = blank.std.RemoveFrameProps(["_Matrix", "_Primaries", "_Transfer"])
    clip = untagged + untagged.std.SetFrameProps(_Matrix=1) + untagged.std.SetFrameProps(_ColorSpace=6)
    large = clip.resize.Point(1440, 960).std.CopyFrameProps(clip)
    kept = keep_assumed_colours(large, 720, 480)
    found = [(frame.props.get("_Matrix"), frame.props.get("_Primaries")) for frame in kept.frames()]
    assert found == [(6, 6)] * 2 + [(1, None)] * 2 + [(None, None)] * 2
    (line,) = messages
    assert "720x480 for BT.601 of 525 lines" in line
    assert "1440x960 for BT.709" in line


def test_nothing_is_added_where_nothing_can_change() -> None:
    small = vs.core.std.BlankClip(width=640, height=360, format=vs.YUV420P8, length=1)
    assert keep_assumed_colours(small, 320, 180) is small
    grey = vs.core.std.BlankClip(width=1440, height=960, format=vs.GRAY8, length=1)
    assert keep_assumed_colours(grey, 720, 480) is grey


@pytest.fixture(scope="module")
def untagged(studio: Studio) -> Path:
    """480 lines."""
    return studio.picture("untagged-480.mkv", size="64x480", seconds=0.08)


def test_scripts_and_their_commands(untagged: Path, model: Path) -> None:
    clip = vs_srcomp.upscale(vs_srcomp.source(untagged), model=model)
    props = clip.get_frame(0).props
    assert (props["_Matrix"], props["_Primaries"], "_Transfer" in props) == (6, 6, False)
    described, _ = _examine(untagged, {"ratio": "2:1", "model": str(model)}, "ffmpeg", deinterlace=False)
    assert "setparams=range=limited:colorspace=smpte170m:color_primaries=smpte170m" in command_line(
        "ffmpeg", described, Path("a.vpy")
    )
    assert "colormatrix=bt.601:primaries=bt.601-525" in command_line("mpv", described, Path("a.vpy"))


@pytest.mark.parametrize("encoder", ["svt-av1", "x264"])
@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_files(untagged: Path, model: Path, tmp_path: Path, encoder: str, name: str) -> None:
    job = Job(source=untagged, target=tmp_path / name, model=model, encoder=encoder)
    transcode(job)
    with av.open(job.target) as container:
        frame = next(container.decode(video=0))
        context = container.streams.video[0].codec_context
        assert (frame.height, frame.colorspace, frame.color_primaries, frame.color_trc) == (960, 6, 6, 2)
        assert (context.colorspace, context.color_primaries, context.color_trc) == (6, 6, 2)
    assert [finding for finding in verify(job) if finding.fault] == []


def test_files_of_another_format(studio: Studio, model: Path, tmp_path: Path) -> None:
    # The resize to 4:2:0 has guesses of its own.
    source = studio.picture("444.mkv", "-pix_fmt", "yuv444p", size="64x480", seconds=0.04)
    small = studio.picture("small-444.mkv", "-pix_fmt", "yuv444p", size="64x96", seconds=0.04)
    for film, tags in ((source, (6, 6, 2)), (small, (2, 2, 2))):
        target = tmp_path / film.name
        transcode(Job(source=film, target=target, model=model))
        with av.open(target) as container:
            context = container.streams.video[0].codec_context
            assert (context.colorspace, context.color_primaries, context.color_trc) == tags
