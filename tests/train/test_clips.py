"""Clips: what is read of video files, and what is written."""

from pathlib import Path

import numpy as np
import pytest

from tests.train.videos import make_video
from train.clips import encode_clip, list_videos, read_video
from train.errors import EncoderError
from vs_srcomp.geometry import RATIOS, Ratio, ratio_by_name
from vs_srcomp.source import source


def test_originals_are_the_samples_of_the_file_cut_to_a_multiple_of_16(tmp_path: Path) -> None:
    make_video(tmp_path / "a.y4m")
    raw = (tmp_path / "a.y4m").read_bytes().partition(b"\n")[2]
    frame = np.frombuffer(raw, np.uint8).reshape(9, -1)[4, len("FRAME\n") :]
    luma = frame[: 96 * 70].reshape(70, 96)
    original = read_video(tmp_path / "a.y4m", 5)
    assert len(original) == 5
    # 70 lines to 64: three from the top and from the bottom; FFmpeg starts at an even line, for chroma's sake.
    assert np.array_equal(original[4][0], luma[2:66])
    assert [plane.shape for plane in original[4]] == [(64, 96), (32, 48), (32, 48)]


@pytest.mark.parametrize(("size", "fitted"), [("1280x720", (352, 640)), ("480x900", (640, 336)), ("64x64", (64, 64))])
def test_large_originals_are_fitted_into_640_by_640(size: str, fitted: tuple[int, int], tmp_path: Path) -> None:
    make_video(tmp_path / "a.y4m", size, 1)
    assert read_video(tmp_path / "a.y4m", 1)[0][0].shape == fitted


def test_what_is_no_video_is_reported(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(ValueError, match=r"text\.mp4: not a readable video"):
        read_video(tmp_path / "text.mp4", 1)


def test_only_videos_are_taken_from_a_folder_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.webm", "README.md", "a.MKV"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    assert [path.name for path in list_videos(tmp_path)] == ["a.MKV", "b.webm"]


@pytest.mark.parametrize("ratio", RATIOS, ids=lambda ratio: ratio.slug)
def test_a_clip_is_coded_frame_by_frame_and_smaller_by_the_ratio(ratio: Ratio, tmp_path: Path) -> None:
    make_video(tmp_path / "a.y4m", "128x96", 3)
    original = read_video(tmp_path / "a.y4m", 3)
    encode_clip(original, ratio, "-c:v ffv1", tmp_path / "a.mkv")
    coded = source(tmp_path / "a.mkv")
    assert (coded.num_frames, coded.width, coded.height) == (3, 128 / ratio.factor, 96 / ratio.factor)
    for planes, frame in zip(original, coded.frames(close=True), strict=True):
        assert np.asarray(frame[0]).mean() == pytest.approx(planes[0].mean(), abs=0.5)


def test_an_encoder_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    luma, chroma = np.zeros((64, 96), np.uint8), np.zeros((32, 48), np.uint8)
    with pytest.raises(EncoderError, match=r"a\.mkv: the encoder failed: .*nothing"):
        encode_clip([[luma, chroma, chroma]], ratio_by_name("2:1"), "-c:v nothing", tmp_path / "a.mkv")
    assert not list(tmp_path.iterdir())
