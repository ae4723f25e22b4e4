"""Film grain put back after super-resolution."""

from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

import vs_srcomp
from tests.helpers.networks import random_network
from tests.source.reference import scene, video_frame, write_video
from tests.tolerances import TWO_CODES
from vs_srcomp.grain import restore_grain
from vs_srcomp.resample import lanczos5

core = vs.core


@pytest.fixture(scope="module", params=["yuv420p", "yuv420p10le"])
def stream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"preset": "12", "crf": "35", "svtav1-params": "film-grain=30:lp=1"}
    file = tmp_path_factory.mktemp("grain") / "grain.mkv"
    pictures = (video_frame(scene_planes(n), "yuv420p", 128, 96).reformat(format=request.param) for n in range(4))
    return write_video(file, pictures, codec="libsvtav1", options=options)


def scene_planes(number: int) -> list[np.ndarray]:
    gray = np.full((48, 64), 128, np.uint8)
    return [scene(number, 128, 96), gray, gray]


def planes(clip: vs.VideoNode, number: int) -> list[np.ndarray]:
    with clip.get_frame(number) as frame:
        return [np.array(frame[index]).astype(int) for index in range(frame.format.num_planes)]


def test_it_is_the_grain_that_a_player_shows(stream: Path) -> None:
    """By linearity: what Lanczos makes of the grainy picture beyond what it makes of the clean one."""
    clean, grainy = (vs_srcomp.source(stream, film_grain=grain) for grain in (False, True))
    up = lanczos5(clean, 256, 192)
    got, shown, plain = (planes(clip, 2) for clip in (restore_grain(up, clean, grainy), lanczos5(grainy, 256, 192), up))
    for ours, player in zip(got, shown, strict=True):
        assert np.abs(ours - player).max() <= TWO_CODES
    assert np.std(got[0] - plain[0]) > 0.5


def test_it_goes_on_top_of_what_the_network_made(stream: Path, tmp_path: Path) -> None:
    network = tmp_path / "network.onnx"
    network.write_bytes(random_network())
    clean, grainy = (vs_srcomp.source(stream, film_grain=grain) for grain in (False, True))
    up = vs_srcomp.upscale(clean, model=network)
    out = restore_grain(up, clean, grainy)
    assert (out.width, out.height, out.format.id, out.num_frames) == (256, 192, clean.format.id, 4)
    grain = [with_it - without for with_it, without in zip(planes(out, 1), planes(up, 1), strict=True)]
    middle = 1 << (clean.format.bits_per_sample - 1)
    wanted = [plane - middle for plane in planes(lanczos5(core.std.MakeDiff(grainy, clean), 256, 192), 1)]
    top = (1 << clean.format.bits_per_sample) - 1
    for ours, expected, plane in zip(grain, wanted, planes(out, 1), strict=True):
        inside = (plane > 0) & (plane < top)
        assert np.array_equal(ours[inside], expected[inside])
    with out.get_frame(1) as frame, up.get_frame(1) as before:
        assert dict(frame.props) == dict(before.props)


def test_without_grain_nothing_changes(stream: Path) -> None:
    clean = vs_srcomp.source(stream)
    up = lanczos5(clean, 192, 144)
    for ours, before in zip(planes(restore_grain(up, clean, clean), 3), planes(up, 3), strict=True):
        assert np.array_equal(ours, before)


def test_clips_that_do_not_belong_together_are_refused() -> None:
    clip = core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=3)
    for grainy, upscaled in (
        (clip[:2], clip),
        (clip, clip[1:]),
        (clip, clip.resize.Point(format=vs.YUV420P10)),
        (clip.resize.Point(16, 16), clip),
    ):
        with pytest.raises(vs.Error, match=r"^srcomp: .*\n.+$"):
            restore_grain(upscaled, clip, grainy)
    half = clip.resize.Point(format=vs.YUV420PH)
    with pytest.raises(vs.Error, match=r"^srcomp: .*\n.+$"):
        restore_grain(half, half, half)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_no_clip_of_one_size_and_format_is_refused(place: int) -> None:
    clip = core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=2)
    varied = core.std.Splice([clip, clip.resize.Point(32, 32)], mismatch=True)
    deep = core.std.BlankClip(format=vs.GRAY32, width=64, height=48, length=2)
    for wrong in (None, "clip", core.std.BlankAudio(), varied, deep):
        clips = [clip] * 3
        clips[place] = wrong
        with pytest.raises(vs.Error, match=r"^srcomp: .*\n"):
            restore_grain(*clips)
