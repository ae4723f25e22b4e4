"""Metadata of the video is kept, in the container and in the bitstream."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs
from av.codec.context import CodecContext
from av.sidedata.sidedata import Type
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

import vs_srcomp
from tests.helpers.films import Studio, Upscaled, frames_of
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.source import source
from vs_srcomp.transcode import Job

type Tags = tuple[int, int, int, int, int]


def tags_of_stream(path: Path) -> Tags:
    with av.open(str(path)) as container:
        c = container.streams.video[0].codec_context
        return c.colorspace, c.color_primaries, c.color_trc, c.color_range, c.chroma_sample_location


def tags_of_frame(frame: VideoFrame) -> Tags:
    f = frame
    return f.colorspace, f.color_primaries, f.color_trc, f.color_range, f.chroma_location


def bare_frame(path: Path) -> VideoFrame:
    """The first picture of an AV1 file, decoded from its packets alone: what the container says is not known here."""
    decoder = CodecContext.create("libdav1d", "r")
    assert isinstance(decoder, VideoCodecContext)
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            for frame in decoder.decode(av.Packet(bytes(packet)) if packet.size else None):
                return frame
    raise AssertionError(f"{path} has no picture")


def test_hlg_colour_and_depth_are_kept(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    source = tags_of_frame(frames_of(film)[0])
    assert source == (9, 9, 18, 1, 3)
    for name in ("out.mkv", "out.mp4"):
        output = upscaled(film, tmp_path / name, drop_incompatible=True).target
        assert tags_of_stream(output) == source
        assert tags_of_frame(frames_of(output)[0]) == source
        assert tags_of_frame(bare_frame(output)) == source
        assert frames_of(output)[0].format.name == "yuv420p10le"


def test_unknown_colour_stays_unknown(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    output = upscaled(studio.picture("plain.mkv"), tmp_path / "out.mkv").target
    assert tags_of_stream(output)[:3] == (2, 2, 2)
    assert frames_of(output)[0].format.name == "yuv420p"


def test_full_range_is_kept(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    film = studio.picture("full.mkv", "-vf", "scale=out_range=full,setparams=range=full")
    output = upscaled(film, tmp_path / "out.mkv").target
    assert tags_of_stream(output)[3] == 2
    assert frames_of(output)[0].color_range == 2


def test_hdr10_metadata_is_in_container_and_bitstream(upscaled: Upscaled, tmp_path: Path, shared_data: Path) -> None:
    film = shared_data / "av1" / "metadata_hdr_cll_mdcv.ivf"
    source = {kind: bytes(data) for kind, data in frames_of(film)[0].side_data.items()}
    wanted = {Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL}
    assert wanted <= set(source)
    for name in ("out.mkv", "out.mp4"):
        output = upscaled(film, tmp_path / name, ratio="4:3").target
        bitstream = {kind: bytes(data) for kind, data in bare_frame(output).side_data.items()}
        assert {kind: bitstream[kind] for kind in wanted} == {kind: source[kind] for kind in wanted}
        with av.open(str(output)) as container:
            stream = container.streams.video[0].codec_context.coded_side_data
        assert stream["content_light_level"] == source[Type.CONTENT_LIGHT_LEVEL]
        was = mastering_display(source[Type.MASTERING_DISPLAY_METADATA])
        # MP4 counts chromaticities in steps of 1/50000 and luminances in steps of 1/10000.
        assert mastering_display(stream["mastering_display_metadata"]) == pytest.approx(was, abs=1e-4)


def mastering_display(data: bytes) -> list[float]:
    """FFmpeg's AVMasteringDisplayMetadata: ten rationals and two flags."""
    numbers = struct.unpack("=20i2i", data)
    return [num / den for num, den in zip(numbers[:20:2], numbers[1:20:2], strict=True)] + list(numbers[20:])


# Zeros are outside of the range of values, and mean that a half is unknown (ITU-T H.265, D.3.28).
HALVES = {
    "primaries": "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(0,0)",
    "luminance": "G(0,0)B(0,0)R(0,0)WP(0,0)L(10000000,50)",
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize(
    ("encoder", "suffix", "is_kept"),
    [
        ("svt-av1", ".mkv", True),
        ("svt-av1", ".webm", True),
        ("svt-av1", ".mp4", False),
        ("x264", ".mp4", True),
        ("x265", ".mp4", True),
        ("ffv1", ".mp4", False),
    ],
)
def test_half_of_a_mastering_display_is_kept_or_named_as_lost(
    studio: Studio,
    upscaled: Upscaled,
    tmp_path: Path,
    messages: list[str],
    half: str,
    encoder: str,
    suffix: str,
    is_kept: bool,
) -> None:
    params = f"log-level=error:max-cll=1000,400:master-display={HALVES[half]}"
    hevc = ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", params)
    film = studio.picture(f"half-{half}.mkv", *hevc)
    options = {"encoder": encoder, "preset": {"svt-av1": 12, "ffv1": None}.get(encoder, "ultrafast"), "crf": None}
    output = upscaled(film, tmp_path / f"out{suffix}", **options).target
    before, after = (set(source(file).get_frame(0).props) for file in (film, output))
    mastering = {name for name in before if name.startswith("MasteringDisplay")}
    assert mastering == {name for name in HDR_PROPS if ("Luminance" in name) == (half == "luminance")}
    assert {name for name in after if name.startswith("MasteringDisplay")} == (mastering if is_kept else set())
    found = verify(Job(source=film, target=output, **options))  # type: ignore[arg-type]
    assert [str(finding) for finding in found if finding.fault] == []
    for said in (messages, [finding.message for finding in found if finding.subject == "losses"]):
        lost = [message for message in said if "mastering display" in message]
        assert len(lost) == (not is_kept), said
        assert all(f"the source has its {half} without" in message for message in lost)


HDR_PROPS = {
    *("MasteringDisplayPrimariesX", "MasteringDisplayPrimariesY"),
    *("MasteringDisplayWhitePointX", "MasteringDisplayWhitePointY"),
    *("MasteringDisplayMinLuminance", "MasteringDisplayMaxLuminance"),
}


def test_real_hdr10_clip(upscaled: Upscaled, tmp_path: Path, shared_data: Path) -> None:
    film = shared_data / "av1" / "hdr10-av1.mp4"
    output = upscaled(film, tmp_path / "out.mp4", end=0.1).target
    assert tags_of_frame(frames_of(output)[0]) == tags_of_frame(frames_of(film)[0]) == (9, 9, 16, 1, 1)
    assert [(f.width, f.height, f.format.name) for f in frames_of(output)] == [(1440, 2560, "yuv420p10le")] * 3


@pytest.mark.parametrize("title", ["", "Anamorphic"])
@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4"])
def test_pixels_that_are_not_square(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, suffix: str, title: str
) -> None:
    film = studio.picture(f"sar{title}.mkv", "-vf", "setsar=4/3", "-metadata:s:v:0", f"title={title}")
    output = upscaled(film, tmp_path / f"out{suffix}").target
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        assert (stream.sample_aspect_ratio.numerator, stream.sample_aspect_ratio.denominator) == (4, 3)
        assert stream.metadata.get("name" if suffix == ".mp4" else "title", "") == title
    assert len(frames_of(output)) == 10
    assert vs_srcomp.source(output).get_frame(9).props["_SARNum"] == 4


@pytest.mark.parametrize("mode", ["left_right", "top_bottom", "row_interleaved_lr"])
@pytest.mark.parametrize("shape", ["1", "4/3"])
def test_pixels_of_stereo_pictures(studio: Studio, upscaled: Upscaled, tmp_path: Path, mode: str, shape: str) -> None:
    options = ("-vf", f"setsar={shape}", "-metadata:s:v:0", f"stereo_mode={mode}")
    film = studio.picture(f"stereo-{mode}.mkv", *options, seconds=0.2)
    for suffix in (".mkv", ".webm"):
        output = upscaled(film, tmp_path / f"out{suffix}").target
        with av.open(str(film)) as before, av.open(str(output)) as after:
            old, new = before.streams.video[0], after.streams.video[0]
            assert float(new.sample_aspect_ratio) == pytest.approx(float(old.sample_aspect_ratio), abs=0.01)
            kept = suffix == ".mkv" or mode != "row_interleaved_lr"  # WebM does not know it
            assert new.metadata.get("stereo_mode") == (mode if kept else None)


def test_a_target_of_another_shape_changes_the_pixels(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    output = upscaled(studio.picture("square.mkv"), tmp_path / "out.mkv", width=192, height=96).target
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (192, 96)
        assert (stream.sample_aspect_ratio.numerator, stream.sample_aspect_ratio.denominator) == (3, 4)


@pytest.mark.parametrize("turn", [("-display_rotation:v:0", "90"), ("-display_rotation:v:0", "180")])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_rotation(studio: Studio, upscaled: Upscaled, tmp_path: Path, suffix: str, turn: tuple[str, str]) -> None:
    upright = studio.picture("upright.mp4")
    film = studio.make(*turn, "-i", str(upright), "-c", "copy", f"turned{turn[1]}.mp4")
    output = upscaled(film, tmp_path / f"out{suffix}").target
    before, after = (vs_srcomp.source(path).get_frame(0).props for path in (film, output))
    assert before["Rotation"] in (90, 180, 270)
    assert (after["Rotation"], after["FlipVertical"]) == (before["Rotation"], before["FlipVertical"])
    assert frames_of(output)[0].rotation == frames_of(film)[0].rotation


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        ("yuv420p10le", "yuv420p10le"),
        ("yuv422p", "yuv420p"),
        ("yuv444p10le", "yuv420p10le"),
        ("yuv420p12le", "yuv420p10le"),
        ("gray", "yuv420p"),
    ],
)
def test_formats_become_what_the_encoder_takes(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, messages: list[str], pixels: str, wanted: str
) -> None:
    film = studio.picture(f"{pixels}.mkv", "-c:v", "ffv1", "-pix_fmt", pixels, seconds=0.08)
    output = upscaled(film, tmp_path / "out.mkv", crf=5).target
    (frame, _) = frames_of(output)
    assert frame.format.name == wanted
    assert any("is converted to" in line for line in messages) == (pixels != wanted)
    if pixels == "gray":
        assert {int(np.median(frame.to_ndarray()[128:]))} == {128}


def test_brightness_and_colour_come_through(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    film = studio.picture("colours.mkv", "-qp", "0", seconds=0.08)
    before = frames_of(film)[0].to_ndarray().astype(float)
    after = frames_of(upscaled(film, tmp_path / "out.mkv", crf=3).target)[0].to_ndarray().astype(float)
    luma = before[:64].mean()
    assert after[:128].mean() == pytest.approx(1.02 * luma, abs=0.01 * luma)
    assert after[128:].mean() == pytest.approx(before[64:].mean(), abs=0.5)


@pytest.mark.parametrize(("pixels", "size"), [("yuv420p", (118, 106)), ("yuv444p", (120, 106))])
def test_odd_sizes(studio: Studio, upscaled: Upscaled, tmp_path: Path, pixels: str, size: tuple[int, int]) -> None:
    odd = ("-vf", "scale=75:67", "-c:v", "ffv1", "-pix_fmt", pixels)
    film = studio.picture(f"odd-{pixels}.mkv", *odd, seconds=0.08)
    result = upscaled(film, tmp_path / "out.mkv", ratio="8:5")
    assert result.target_size == size
    assert [(frame.width, frame.height) for frame in frames_of(result.target)] == [size] * 2


def test_rgb_is_refused(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    film = studio.picture("rgb.mkv", "-c:v", "ffv1", "-pix_fmt", "gbrp", seconds=0.08)
    with pytest.raises(vs.Error, match="the video is RGB"):
        upscaled(film, tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == []
