"""vs_srcomp/mpv/srcomp.vpy in mpv itself, where there is one that has the filter."""

import random
import subprocess
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

import vs_srcomp
from tests.mpv.conftest import SCRIPT
from tests.mpv.films import film, make
from tests.mpv.ipc import PATIENCE, Player

# mpv separates filters by commas and their options by colons; brackets keep what is in them together.
FILTER = f"vapoursynth=file=[{SCRIPT}]:concurrent-frames=2:user-data=[{{}}]"
LOSSLESS = ("-c:v", "ffv1", "-level", "3")


def encode(mpv: str, clip: Path, options: str) -> tuple[vs.VideoNode, str]:
    """What mpv makes of ``clip`` with the script, written without loss, and what it says."""
    out = clip.with_name("out.mkv")
    command = [
        mpv,
        "--no-config",
        "--no-audio",
        f"--vf={FILTER.format(options)}",
        str(clip),
        f"--o={out}",
        "--ovc=ffv1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return vs_srcomp.source(out), done.stdout + done.stderr


def assert_same_frames(played: vs.VideoNode, expected: vs.VideoNode) -> None:
    assert (played.num_frames, played.format.name) == (expected.num_frames, expected.format.name)
    for one, other in zip(played.frames(), expected.frames(), strict=True):
        for plane in range(3):
            np.testing.assert_array_equal(np.asarray(one[plane]), np.asarray(other[plane]))
        for name in ("_Range", "_Matrix"):
            assert one.props.get(name) == other.props.get(name), name


@pytest.mark.parametrize(
    "options",
    [
        ("-pix_fmt", "yuv420p"),
        ("-pix_fmt", "yuv420p10le"),
        ("-pix_fmt", "yuv444p"),
        ("-pix_fmt", "yuv420p", "-vf", "scale=out_range=pc", "-color_range", "pc"),
        ("-pix_fmt", "yuv420p10le", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"),
    ],
    ids=["8 bit", "10 bit", "4:4:4", "full range", "HDR"],
)
def test_mpv_gives_what_a_script_gives(mpv: str, tmp_path: Path, options: tuple[str, ...]) -> None:
    clip = make(tmp_path / "clip.mkv", *LOSSLESS, "-colorspace", "bt709", "-color_range", "tv", *options)
    played, log = encode(mpv, clip, "ratio=2:1,q=20,adapt=no")
    assert "Disabling" not in log
    source = vs_srcomp.source(clip)
    if "pc" in options:
        # What mpv takes full range for, where the file does not tell.
        source = source.std.SetFrameProps(_ChromaLocation=vs.CHROMA_CENTER)
    assert_same_frames(played, vs_srcomp.upscale(source, ratio="2:1", q=20))


def test_every_time_of_a_variable_frame_rate_is_kept(mpv: str, tmp_path: Path) -> None:
    times = ("-vf", "settb=1/1000,setpts='N*40+10*mod(N\\,3)+100*gt(N\\,10)'", "-fps_mode", "passthrough")
    clip = make(tmp_path / "clip.mkv", *LOSSLESS, "-pix_fmt", "yuv420p", "-enc_time_base", "1/1000", *times)
    played, _ = encode(mpv, clip, "ratio=4:3,q=20,adapt=no")
    source = vs_srcomp.source(clip)
    assert source.fps == 0
    before, after = ([frame.props["_AbsoluteTime"] for frame in node.frames()] for node in (source, played))
    assert after == pytest.approx(before, abs=0.0015)


def test_a_mistake_leaves_the_picture_and_is_reported(mpv: str, tmp_path: Path) -> None:
    clip = make(tmp_path / "clip.mkv", *LOSSLESS, "-pix_fmt", "yuv420p")
    played, log = encode(mpv, clip, "ratio=7:3")
    assert played.width == 160
    assert "srcomp: ratio=7:3 cannot be understood" in log


def test_messages_reach_the_terminal(mpv: str, tmp_path: Path) -> None:
    clip = make(tmp_path / "clip.mkv", *LOSSLESS, "-pix_fmt", "yuv420p")
    _, log = encode(mpv, clip, "display=160x96")
    assert "srcomp: the picture of 160x96 is left as it is: the display has about its size" in log


def test_fifty_seeks(mpv: str, tmp_path: Path) -> None:
    with Player(mpv, tmp_path, film(tmp_path), f"--vf={FILTER.format('ratio=2:1,q=20,adapt=no')}") as player:
        player.event("playback-restart")
        moments = random.Random(1)
        for number in range(50):
            player.forget_events()
            to = moments.uniform(0, 9.5)
            player.command("seek", to, "absolute", "exact" if number % 5 == 0 else "keyframes")
            player.event("playback-restart")
            assert abs(player.get("time-pos") - to) < 1.1
            assert player.get("video-out-params/w") == 320
        assert player.troubles() == ""


def test_the_filter_is_switched_on_and_off(mpv: str, tmp_path: Path) -> None:
    with Player(mpv, tmp_path, film(tmp_path)) as player:
        player.event("playback-restart")
        for width in (320, 160, 320, 160):
            player.command("vf", "toggle", f"@srcomp:{FILTER.format('ratio=2:1,q=20,adapt=no')}")
            player.expect("video-out-params/w", width)
        assert player.troubles() == ""


def test_the_size_changes_in_mid_stream(mpv: str, tmp_path: Path) -> None:
    coder = ("-c:v", "libx264", "-preset", "ultrafast")
    parts = [make(tmp_path / f"{size}.h264", *coder, size=size) for size in ("160x96", "240x160")]
    clip = tmp_path / "both.h264"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    with Player(mpv, tmp_path, clip, f"--vf={FILTER.format('ratio=2:1,q=20,adapt=no')}") as player:
        for width in (320, 480):
            player.expect("video-out-params/w", width)
        assert player.troubles() == ""


def test_a_network_that_does_not_keep_up_gives_way(mpv: str, tmp_path: Path) -> None:
    clip = make(tmp_path / "film.mkv", "-c:v", "libx264", "-preset", "ultrafast", "-r", "1000", frames=2000)
    status = tmp_path / "status"
    with Player(mpv, tmp_path, clip, f"--vf={FILTER.format(f'ratio=2:1,q=20,status={status}')}") as player:
        player.wait(lambda: status.exists() and '"too_slow": "fast"' in status.read_text())
        assert player.get("video-out-params/w") == 320
