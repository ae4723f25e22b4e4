"""Samples arrive unchanged, whatever pixel format the stream has."""

import re
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs

from vs_srcomp.source import source
from vs_srcomp.source.formats import pixel_format

from .reference import clip_arrays, pattern, video_frame, write_video

SUBSAMPLING = {"444": (0, 0), "440": (0, 1), "422": (1, 0), "420": (1, 1), "411": (2, 0), "410": (2, 2)}


def subsamplings(planar: str) -> list[tuple[int, int]]:
    """log2 subsampling of each plane, horizontally and vertically."""
    if yuv := re.match(r"yuvj?(4\d\d)", planar):
        return [(0, 0), SUBSAMPLING[yuv[1]], SUBSAMPLING[yuv[1]]]
    return [(0, 0)] * (1 if planar.startswith("gray") else 3)


def bits_of(planar: str) -> int:
    return int(match[1]) if (match := re.search(r"p?(9|1[0-6])le", planar)) else 8


PLANAR = {
    "yuv420p": "YUV420P8",
    "yuv422p": "YUV422P8",
    "yuv444p": "YUV444P8",
    "yuv410p": "YUV410P8",
    "yuv411p": "YUV411P8",
    "yuv440p": "YUV440P8",
    "yuv420p10le": "YUV420P10",
    "yuv422p10le": "YUV422P10",
    "yuv444p10le": "YUV444P10",
    "yuv420p12le": "YUV420P12",
    "yuv422p12le": "YUV422P12",
    "yuv444p12le": "YUV444P12",
    "yuv444p14le": "YUV444P14",
    "yuv420p16le": "YUV420P16",
    "gray": "Gray8",
    "gray10le": "Gray10",
    "gray12le": "Gray12",
    "gray16le": "Gray16",
    "gbrp": "RGB24",
    "gbrp10le": "RGB30",
    "gbrp12le": "RGB36",
    "gbrp16le": "RGB48",
}


@pytest.mark.parametrize("name", PLANAR)
def test_planar_formats_are_copied_as_they_are(name: str, tmp_path: Path) -> None:
    # 72 pixels: the rows are padded in memory.
    frames = [pattern(n, 72, 48, bits_of(name), subsamplings(name)) for n in range(3)]
    codec = "rawvideo" if name in {"yuv440p", "yuv444p14le", "gbrp"} else "ffv1"
    file = write_video(tmp_path / "f.nut", (video_frame(f, name, 72, 48) for f in frames), codec=codec)
    clip = source(file)
    assert clip.format.name == PLANAR[name]
    for n in (2, 0, 1):
        for got, expected in zip(clip_arrays(clip.get_frame(n)), frames[n], strict=True):
            assert (got == expected).all()


# Formats to read, and the planar format to make their pictures from; PyAV writes all of them as raw video.
REARRANGED = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "p410le": "yuv444p10le",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "y210le": "yuv422p10le",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "rgb0": "gbrp",
    "bgr0": "gbrp",
    "rgba": "gbrp",
    "rgb48le": "gbrp16le",
    "x2rgb10le": "gbrp10le",
    "gray10be": "gray10le",
    "yuv420p10be": "yuv420p10le",
    "gbrap": "gbrp",
    "yuva420p": "yuv420p",
}


@pytest.mark.parametrize("color_range", [1, 2])
@pytest.mark.parametrize("name", REARRANGED)
def test_other_formats_are_rearranged_without_loss(name: str, color_range: int) -> None:
    planar = REARRANGED[name]
    arrays = pattern(1, 72, 48, bits_of(planar), subsamplings(planar))
    frame = video_frame(arrays, planar, 72, 48).reformat(format=name, src_color_range=1, dst_color_range=1, threads=1)
    frame.color_range = color_range
    layout = pixel_format(name)
    target = vs.core.create_video_frame(layout.video_format(), *layout.size(frame))
    for _ in range(10):  # a race would show now and then
        layout.copy(frame, target)
        for got, expected in zip(clip_arrays(target), arrays, strict=True):
            assert (got == expected).all()


def test_palette_pictures_become_rgb(tmp_path: Path) -> None:
    gray, red = pattern(1), np.zeros((48, 64), np.uint8)
    rgb = video_frame([red, red, gray[0] & 0xE0], "gbrp", 64, 48)
    file = tmp_path / "p.gif"
    write_video(file, [rgb.reformat(format="rgb8")], codec="gif")
    with av.open(str(file)) as container:
        expected = next(container.decode(video=0)).to_ndarray(format="rgb24")
    clip = source(file)
    assert clip.format.color_family == vs.RGB
    assert (np.dstack([np.asarray(clip.get_frame(0)[plane]) for plane in range(3)]) == expected).all()


def test_full_range_in_the_format_becomes_a_property(tmp_path: Path) -> None:
    arrays = pattern(0, planes=subsamplings("yuvj420p"))
    file = write_video(tmp_path / "j.mov", [video_frame(arrays, "yuvj420p", 64, 48)], codec="mjpeg")
    frame = source(file).get_frame(0)
    assert frame.format.name == "YUV420P8"
    assert frame.props["_Range"] == vs.RANGE_FULL


@pytest.mark.parametrize("name", ["rgb565le", "rgb8", "bayer_rggb8", "xyz12le", "gbrpf16le"])
def test_formats_without_counterpart_are_refused(name: str) -> None:
    with pytest.raises(vs.Error, match=r"srcomp: the pixel format .* has no counterpart"):
        pixel_format(name)


def test_a_size_the_subsampling_does_not_divide_is_cropped(tmp_path: Path) -> None:
    arrays = pattern(0, 35, 27, planes=subsamplings("yuv420p"))
    clip = source(write_video(tmp_path / "o.nut", [video_frame(arrays, "yuv420p", 35, 27)]))
    assert (clip.width, clip.height) == (34, 26)
    luma, u, v = clip_arrays(clip.get_frame(0))
    assert (luma == arrays[0][:26, :34]).all()
    assert (u == arrays[1][:13, :17]).all()
    assert (v == arrays[2][:13, :17]).all()


def test_alpha_is_left_out_and_reported(tmp_path: Path, messages: list[str]) -> None:
    arrays = pattern(0, planes=[(0, 0), (1, 1), (1, 1), (0, 0)])
    file = write_video(tmp_path / "a.nut", [video_frame(arrays, "yuva420p", 64, 48)])
    clip = source(file)
    assert clip.format.name == "YUV420P8"
    assert [message for message in messages if "alpha" in message]
    for got, expected in zip(clip_arrays(clip.get_frame(0)), arrays[:3], strict=True):
        assert (got == expected).all()
