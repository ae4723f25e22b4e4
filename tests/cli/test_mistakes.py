"""Typical mistakes on the command line: one error in one form, and the right exit code."""

import shlex
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.cli.conftest import Command
from tests.helpers.films import INTERLACED, Studio
from vs_srcomp.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a clip, a picture, a text, an empty file, and a clip that is not deinterlaced."""
    studio = Studio(tmp_path_factory.mktemp("mistakes"))
    studio.picture("in.mkv", seconds=0.08)
    studio.picture("fields.mkv", *INTERLACED, rate="50", seconds=0.08)
    (studio.folder / "others").mkdir()
    (studio.folder / "notes.txt").write_text("no video at all\n")
    (studio.folder / "empty.mkv").touch()
    (studio.folder / "there.mkv").write_bytes(b"something else")
    with av.open(studio.folder / "in.png", "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
    return studio.folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


# What is typed, the exit code, what is wrong, and what to do.
MISTAKES = [
    ("script in.mkv -o there.mkv", 2, "'there.mkv' does not end in .vpy", "--help"),
    ("batch in.mkv --out up --suffix /x", 2, "'/x' has a slash", "--help"),
    ("upscal in.mkv out.mkv", 2, "no such command 'upscal'", "--help"),
    ("upscale", 2, "missing argument 'IN'", "--help"),
    ("upscale in.mkv", 2, "missing argument 'OUT'", "--help"),
    ("upscale in.mkv out.mkv more.mkv", 2, "unexpected extra argument", "--help"),
    ("upscale in.mkv out.mkv --hight 1080", 2, "no such option '--hight'", "--height"),
    ("upscale in.mkv out.mkv --width=full", 2, "'full' is not a whole number", "--help"),
    ("upscale in.mkv out.mkv --width 0", 2, "0 is not in the range", "--help"),
    ("upscale in.mkv out.mkv --ratio 3:1", 2, "'3:1' is not one of '2:1', '8:5', '4:3'", "--help"),
    ("upscale in.mkv out.mkv --ratio 2:1 --width 200", 2, "exclude each other", "--help"),
    ("upscale in.mkv out.mkv --q high", 2, "'high' is not a compression level: give auto", "--help"),
    ("upscale in.mkv out.mkv --q 64", 2, "a number from 0 to 63", "--help"),
    ("upscale in.mkv out.mkv --sharpness 2", 2, "2.0 is not in the range", "--help"),
    ("upscale in.mkv out.mkv --crf 99", 2, "SVT-AV1 has no CRF 99", "from 1 to 63"),
    ("upscale in.mkv out.mkv --preset slow", 2, "SVT-AV1 has no preset 'slow'", "from 0 to 13"),
    ("upscale in.mkv out.mkv --encoder h264", 2, "'h264' is not one of", "--help"),
    ("upscale in.mkv out.mkv --encoder ffv1 --crf 3", 2, "FFV1 is lossless and has no CRF", "leave the CRF out"),
    ("upscale in.mkv out.mkv --start 0:00:05 --end 2", 2, "the end, 2 s, is not after the start, 5 s", "a later end"),
    ("upscale in.mkv out.mkv --start 0:61", 2, "'0:61' is not a time", "HH:MM:SS.mmm"),
    ("upscale in.mkv out.mkv --start 1:60:00", 2, "'1:60:00' is not a time", "HH:MM:SS.mmm"),
    ("upscale in.mkv out.mkv --start soon", 2, "'soon' is not a time", "--help"),
    ("upscale in.mkv out.mkv --backend abacus", 2, "there is no backend 'abacus'", "use one of auto, tensorrt"),
    ("upscale in.mkv out.mkv --backend openvino:precision=f8", 2, "precision", "bf16"),
    ("upscale in.mkv out.mkv --backend openvino:beads=3", 2, "no setting 'beads'", "use one of"),
    ("upscale in.mkv out.mkv --pipe no-such-program", 2, "no-such-program", ""),
    ("upscale in.mkv out.mkv --pipe-format raw", 2, "--pipe-format goes with --pipe", "--help"),
    ("upscale in.mkv out.mkv --crf 30 --encoder-options b=2000000", 2, "setting b exclude each other", "leave one"),
    ("upscale in.mkv out.mkv --crf 30 --svt-params rc=1:tbr=900", 2, "setting rc, tbr exclude", "leave one"),
    (
        "upscale in.mkv out.mkv --preset 9 --encoder-options g=9,preset=3",
        2,
        "setting preset exclude each other",
        "leave one",
    ),
    ("upscale in.mkv out.mkv --encoder-options fast", 2, "does not name settings", "--help"),
    ("upscale nothere.mkv out.mkv", 1, "'nothere.mkv' does not exist", "check the path"),
    (
        "upscale https://example.com/in.mkv out.mkv",
        1,
        "'https://example.com/in.mkv' is an address",
        "download it first",
    ),
    ("upscale . out.mkv", 1, "is not a regular file", "path of a video file"),
    ("upscale notes.txt out.mkv", 1, "cannot be opened", "a video file"),
    ("upscale empty.mkv out.mkv", 1, "is empty", "give a file that is whole"),
    ("upscale there.mkv out.mkv", 1, "cannot be opened", "video file"),
    ("upscale in.png out.mkv", 1, "RGB", "ffmpeg -i IN"),
    ("upscale in.mkv there.mkv", 1, "'there.mkv' exists", "--overwrite"),
    ("upscale in.mkv in.mkv --overwrite", 1, "the output is the input", "another name"),
    ("upscale in.mkv out.avi", 1, "no container that can be written", ".mkv, .mp4 or .webm"),
    ("upscale in.mkv out", 1, "no container that can be written", ".mkv, .mp4 or .webm"),
    ("upscale in.mkv nowhere/out.mkv", 1, "the folder 'nowhere' does not exist", "make it"),
    ("upscale in.mkv out.webm --encoder x264", 1, ".webm files cannot hold", "another encoder"),
    ("upscale in.mkv out.mkv --width 48", 1, "is smaller than the clip (96x64)", "give a size that is not smaller"),
    ("upscale in.mkv out.mkv --width 100000", 1, "100000x66666 is too large", "smaller size"),
    (
        "upscale in.mkv out.mkv --width 16000 --height 8800",
        1,
        "SVT-AV1 takes pictures up to 16384x8704",
        "smaller size",
    ),
    ("upscale in.mkv out.mkv --model best", 2, "no model 'best'", "light"),
    ("upscale in.mkv out.mkv --model best.onnx", 2, "the model 'best.onnx' does not exist", "check the path"),
    (
        "upscale in.mkv out.mkv --start 10",
        1,
        "no frame is shown between the start and the end that were asked for",
        "the last frame is shown at 0.040 s",
    ),
    ("upscale -i in.mkv -o out.mkv", 2, "no such option '-i'", "--help"),
    ("upscale in.mkv out.mkv --scale 2", 2, "no such option '--scale'", "--help"),
    ("upscale in.mkv out.mkv --deinterlace --film-grain restore", 2, "exclude each other", "leave one"),
    ("upscale in.mkv .", 1, "no container that can be written", ".mkv, .mp4 or .webm"),
    ("batch", 2, "missing option '--out'", "--help"),
    ("batch --out done", 2, "name at least one input", "--help"),
    ("batch nothere --out done", 1, "'nothere' does not exist", "check the path"),
    ("batch nothere/*.mkv --out done", 1, "names no video file", "check the path"),
    ("batch in.mkv --out there.mkv", 1, "'there.mkv' cannot be made", "another folder"),
    ("batch in.mkv --out there.mkv/up", 1, "there.mkv' is a file", "another folder"),
    ("batch in.mkv --out done --jobs 2 --cluster", 2, "exclude each other", "--help"),
    ("batch in.mkv --out done --storage copied", 2, "--storage is for a cluster", "--help"),
    ("batch in.mkv --out done --gpus-per-task 1", 2, "--gpus-per-task is for a cluster", "--help"),
    ("batch in.mkv --out .", 1, "the output of 'in.mkv' is the input", "another --out"),
    ("script nothere.mkv", 1, "nothere.mkv' does not exist", "check the path"),
    ("script in.mkv -o nowhere/in.vpy", 1, "the folder 'nowhere' does not exist", "make it"),
    ("script in.mkv --for vlc", 2, "'vlc' is not one of", "--help"),
    ("probe nothere.mkv", 1, "'nothere.mkv' does not exist", "check the path"),
    ("probe notes.txt", 1, "cannot be opened", "a video file"),
    ("bench nothere.mkv", 1, "'nothere.mkv' does not exist", "check the path"),
    ("bench --size big", 2, "'big' is not a size", "--help"),
    ("bench --backend abacus", 2, "there is no backend 'abacus'", "use one of auto, tensorrt"),
    ("mpv instal", 2, "no such command 'instal'", "--help"),
    # names of files
    ("upscale '' out.mkv", 2, "the name of a file is empty", "give the path"),
    ("upscale in.mkv ''", 2, "the name of a file is empty", "give the path"),
    ("upscale file:///nowhere/in.mkv out.mkv", 1, "'/nowhere/in.mkv' does not exist", "check the path"),
    ("upscale file://host/in.mkv out.mkv", 2, "another computer, 'host'", "file:///"),
    ("upscale in.mkv http://example.com/out.mkv", 2, "'http://example.com/out.mkv' is an address", "path of a file"),
    ("script in.mkv -o http://example.com/in.vpy", 2, "the output must be a file", "path of a file"),
    ("probe in.mkv --plot nowhere/in.png", 1, "the folder 'nowhere' does not exist", "make it"),
    ("probe in.mkv --plot .", 1, "'.' is a folder", "path of a file"),
    ("bench --json nowhere/bench.json", 1, "the folder 'nowhere' does not exist", "make it"),
    ("bench --plot there.mkv/bench.png", 1, "the folder 'there.mkv' is not one", "make it"),
    ("bench --vs nowhere/peer.vpy", 1, "'nowhere/peer.vpy' does not exist", "check the path"),
    ("batch in.mkv --out http://example.com/done", 2, "'http://example.com/done' is an address", "path of a file"),
    ("batch in.mkv --out done --list nowhere.txt", 2, "nowhere.txt", "--help"),
    ("batch in.mkv --out done --report nowhere/report.jsonl", 1, "the folder 'nowhere' does not exist", "make it"),
    ("batch in.mkv --out done --metrics nowhere", 1, "'nowhere' does not exist", "check the path"),
    ("batch in.mkv --out done --metrics others", 1, "there are 0 files in 'others'", "one for each source"),
    # what no clip could be done with
    ("batch in.mkv in.mkv --out done --model best", 2, "no model 'best'", "light"),
    ("batch in.mkv --out done --look crisp --model vdsr", 2, "no look 'crisp'", "use the look faithful"),
    ("batch in.mkv --out done --model best.onnx", 2, "the model 'best.onnx' does not exist", "check the path"),
    ("batch in.mkv --out done --backend tensorrt", 1, "TensorRT cannot run here", "doctor"),
    ("batch in.mkv --out done --svt-params foo=1", 2, "error parsing option foo", "change the settings"),
    ("script in.mkv --model best", 2, "no model 'best'", "light"),
    ("bench --model best", 2, "no model 'best'", "light"),
    # numbers
    ("upscale in.mkv out.mkv --width 12x34", 2, "'12x34' is not a whole number", "upscale --help"),
    ("upscale in.mkv out.mkv --sharpness much", 2, "'much' is not a number", "upscale --help"),
    ("batch in.mkv --out done --jobs all", 2, "'all' is not a whole number", "batch --help"),
    ("upscale in.mkv out.mkv --model", 2, "option '--model' requires an argument", " upscale --help"),
    ("upscale in.mkv out.mkv --backend openvino:tile=2", 1, "tile=2 is too small", "at least"),
    ("upscale in.mkv out.mkv --backend openvino:tile=-3", 2, "tile=-3: it cannot be negative", "0 for the default"),
    ("upscale in.mkv out.mkv --backend openvino:threads=100000", 2, "threads=100000 is too many", "up to 1024"),
    ("upscale in.mkv out.mkv --backend onnxruntime:streams=9999", 2, "streams=9999 is too many", "up to 256"),
    ("upscale in.mkv out.mkv --sharpness nan", 2, "nan is not a finite number", "upscale --help"),
    ("upscale in.mkv out.mkv --svt-params foo", 2, "'foo' in the settings of SVT-AV1 is not name=value", "name=value"),
    ("upscale in.mkv out.mkv --svt-params foo=1", 2, "error parsing option foo", "change the settings"),
    ("upscale in.mkv out.mkv --encoder-options foo=1", 2, "there is no option 'foo'", "encoder=libsvtav1"),
    # pictures
    ("script in.png", 1, "RGB", "ffmpeg -i IN"),
    ("script fields.mkv", 1, "is interlaced", "--deinterlace"),
    ("doctor --mend", 2, "no such option '--mend'", "--help"),
]


@pytest.mark.parametrize(("typed", "code", "wrong", "todo"), MISTAKES, ids=[typed for typed, *_ in MISTAKES])
def test_one_form_for_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, wrong: str, todo: str
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    done = run(*shlex.split(typed))
    *_, first, last = done.stderr.splitlines()
    assert first.startswith("vs-srcomp: error: "), done.stderr
    assert wrong in first
    assert todo in first + last
    assert "fault of vs-srcomp" not in last
    assert (done.exit_code, done.stdout) == (code, "")
    assert sorted(folder.rglob("*")) == before


def test_what_does_not_fit_into_memory_is_reported_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("vs_srcomp.memory.memory_limit", lambda: 200_000_000)
    done = run("upscale", "in.mkv", "out.mkv", "--width", "3840", "--height", "2160")
    assert done.exit_code == 1
    assert "3840x2160 in SVT-AV1 takes more than 0.4 GB" in done.stderr
    assert "give a smaller size" in done.stderr
    assert not Path("out.mkv").exists()


def test_addresses_of_local_files_are_opened(folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "a b.mkv", tmp_path / "ü.mkv"
    source.symlink_to(folder / "in.mkv")
    done = run("upscale", source.as_uri(), target.as_uri(), "--preset", "12", "--model", "light")
    assert done.exit_code == 0, done.stderr
    assert target.exists()
    out = tmp_path / "out"
    done = run("batch", source.as_uri(), "--out", out.as_uri(), "--preset", "12", "--model", "light", "--dry-run")
    assert done.exit_code == 0, done.stderr


def test_ordinary_errors_of_the_system_are_not_called_faults(folder: Path, command: Command) -> None:
    done = command("script", folder / "in.mkv", "-o", "/proc/in.vpy")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "vs-srcomp: error: '/proc/in.vpy': no such file or directory",
        "check the path, its permissions and the free space",
    ]


def test_the_command_for_pictures_helps(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    advice = command("upscale", folder / "in.png", tmp_path / "out.mkv").stderr.splitlines()[-1].partition(": ")[2]
    convert = advice.replace("IN", str(folder / "in.png")).split()
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *convert[1:]], cwd=tmp_path, check=True, capture_output=True)
    assert command("upscale", tmp_path / "yuv.mkv", tmp_path / "out.mkv").returncode == 0


def test_sizes_that_cannot_be_are_reported(folder: Path, tmp_path: Path, command: Command) -> None:
    done = command("upscale", folder / "in.mkv", tmp_path / "out.mkv", "--width", "191", "--preset", "12")
    assert done.returncode == 0
    assert "width 191 becomes 192" in done.stderr
    assert "2 frames in" in done.stderr


def test_one_is_no_plural(folder: Path, tmp_path: Path, command: Command) -> None:
    done = command("batch", folder / "in.mkv", "--out", tmp_path, "--end", "0.03", "--preset", "12")
    assert done.returncode == 0, done.stderr
    assert " 1 frame in" in done.stderr
    assert done.stderr.splitlines()[-1] == "1 clip: 1 done"
