"""The scripts in examples/, run by vspipe as a user runs them."""

import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
VSPIPE = Path(sys.executable).with_name("vspipe")
pytestmark = pytest.mark.usefixtures("configured_vapoursynth")
SIZES = {"upscale.vpy": (640, 352), "to_size.vpy": (512, 282), "compare.vpy": (640, 352)}


def test_every_script_has_a_test() -> None:
    assert {path.name for path in EXAMPLES.glob("*.vpy")} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_script_gives_clean_y4m_that_ffmpeg_reads(name: str) -> None:
    pipe = subprocess.run([VSPIPE, "-c", "y4m", "--end", "4", EXAMPLES / name, "-"], capture_output=True, check=False)
    assert pipe.returncode == 0, pipe.stderr.decode()
    width, height = SIZES[name]
    header, first_frame = pipe.stdout.split(b"\n", 1)
    assert header.startswith(b"YUV4MPEG2")
    assert {b"W%d" % width, b"H%d" % height, b"F25:1"} <= set(header.split(b" "))
    # A single byte of noise on stdout would move every frame.
    assert len(first_frame) == 5 * (len(b"FRAME\n") + width * height * 3 // 2)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", "-", "-f", "framemd5", "-"]
    checksums = subprocess.run(ffmpeg, input=pipe.stdout, capture_output=True, check=True).stdout
    assert len([line for line in checksums.splitlines() if not line.startswith(b"#")]) == 5


def test_arguments_reach_the_script() -> None:
    arguments = ["-a", "ratio=4:3", "-a", "q=50.5", "-a", "reuse=0"]
    command: list[str | Path] = [VSPIPE, "--info", *arguments, EXAMPLES / "upscale.vpy"]
    info = subprocess.run(command, capture_output=True, text=True, check=False)
    assert info.returncode == 0, info.stderr
    assert "Width: 426" in info.stdout


@pytest.mark.parametrize(
    ("name", "argument", "message"),
    [
        ("upscale.vpy", "ratio=7:3", "srcomp: no ratio is called '7:3'"),
        ("upscale.vpy", "q=abc", "srcomp: q='abc' is not a compression level\ngive a number from 0 to 63"),
        ("upscale.vpy", "reuse=maybe", "srcomp: reuse='maybe' is neither True nor False\ngive reuse=True"),
        ("to_size.vpy", "width=wide", "srcomp: 'wide' is not a size in pixels\ngive width and height"),
    ],
)
def test_a_mistake_is_reported_in_the_last_lines(name: str, argument: str, message: str) -> None:
    command: list[str | Path] = [VSPIPE, "--info", "-a", argument, EXAMPLES / name]
    info = subprocess.run(command, capture_output=True, text=True, check=False)
    assert info.returncode != 0
    assert message in "\n".join(line.rstrip() for line in info.stderr.splitlines()[-3:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "python examples/side_by_side.py in.mkv compared.png"),
        (["absent.mkv", "out.png"], "'absent.mkv' does not exist"),
        ([str(EXAMPLES / "demo.mkv"), "out.png", "500"], "has the frames 0 to 119, but no 500"),
        ([str(EXAMPLES / "demo.mkv"), "out.png", "first"], "has the frames 0 to 119, but no first"),
        ([str(EXAMPLES / "demo.mkv"), "none/out.png"], "cannot write none/out.png: "),
    ],
)
def test_the_comparison_tells_what_is_wrong(arguments: list[str], message: str, tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, EXAMPLES / "side_by_side.py", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())
