"""The scripts and command lines that are written for a file, run by a shell."""

import os
import shlex
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from shutil import which

import av
import imageio_ffmpeg
import numpy as np
import pytest
import vapoursynth as vs
from click.testing import CliRunner, Result

import vs_srcomp
from tests.helpers.films import Studio
from vs_srcomp.cli import main

# Set on the frames: options of the output do not hold against what those say.
BT709 = ("-vf", "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709")
FULL = (
    "-vf",
    "scale=out_range=pc,setsar=16/15,setparams=range=pc:colorspace=smpte170m:color_primaries=unknown:color_trc=unknown",
)
HDR = (
    *("-vf", "setparams=range=tv:colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084"),
    *("-pix_fmt", "yuv420p10le", "-chroma_sample_location", "topleft"),
)
METADATA = (
    "hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which vspipe starts and there is an ffmpeg."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "XDG_CONFIG_HOME": str(folder)}
    subprocess.run([sys.executable, "-m", "vapoursynth", "config"], env=environment, check=True, capture_output=True)
    if not (folder / "vapoursynth" / "vapoursynth.toml").read_text():
        pytest.skip("this Python has no shared libpython: vspipe cannot start")
    return environment


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["script", *map(str, arguments), "--q", "20", "--overwrite"])


def in_shell(command: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    argv = ["bash", "-c", command]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_script_is_printed_with_its_command(studio: Studio) -> None:
    film = studio.picture("it's.mkv", seconds=0.2)
    result = run(film, "--ratio", "4:3", "--sharpness", "0.2", "--no-reuse")
    assert result.exit_code == 0, result.output
    assert "sharpness=0.2, reuse=False" in result.stdout
    lines = result.stdout.splitlines()
    assert lines[0] == "# To be saved as it's.vpy and run with"
    assert lines[2].startswith("#   set -o pipefail; ")
    assert "# 5 frames of 128x86 in 8 bits, 25 frames a second" in lines
    given: dict[str, object] = {}
    exec(result.stdout.replace("clip.set_output()", ""), given)
    assert (given["clip"].width, given["clip"].num_frames) == (128, 5)  # type: ignore[attr-defined]
    assert shlex.split(lines[2][4:])[-1] == "it's.srcomp.mkv"


def test_looks_names_passes_and_ensembles_come_into_the_script(studio: Studio, carried: Path) -> None:
    film = studio.picture("small.mkv", seconds=0.2)
    crisp = run(film, "--look", "crisp", "--ensemble", "4").stdout
    assert 'upscale(clip, ratio="2:1", q=20.0, model="fast", look="crisp", ensemble=4)' in crisp
    twice = run(film, "--model", "espcn-2x", "--passes", "2").stdout
    assert 'upscale(clip, q=20.0, model="espcn-2x", passes=2)' in twice
    refused = run(film, "--model", "espcn-9x")
    assert refused.exit_code != 0
    assert "there is no model 'espcn-9x'" in refused.output


@pytest.mark.parametrize(
    ("name", "options", "tags", "sar"),
    [
        ("sdr", BT709, (1, 1, 1, 1), 1),
        ("full", FULL, (6, 2, 2, 2), Fraction(16, 15)),
        ("hdr", HDR, (9, 9, 16, 1), 1),
    ],
)
def test_ffmpeg_gets_what_y4m_loses(
    studio: Studio,
    shell: dict[str, str],
    tmp_path: Path,
    name: str,
    options: tuple[str, ...],
    tags: tuple[int, ...],
    sar: Fraction,
) -> None:
    film = studio.picture(f"{name}.mkv", *options)
    written = run(film, "-o", tmp_path / "s.vpy", "--for", "ffmpeg")
    assert written.exit_code == 0, written.output
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    with av.open(tmp_path / f"{name}.srcomp.mkv") as made:
        stream = made.streams.video[0]
        context = stream.codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == tags
        assert stream.sample_aspect_ratio == sar
        assert sum(1 for _ in made.decode(video=0)) == 10
        assert (context.width, context.height) == (192, 128)


def test_what_a_file_does_not_specify_is_not_made_up(studio: Studio, tmp_path: Path) -> None:
    film = studio.picture("untagged.mkv")
    for program in ("ffmpeg", "x265", "mpv"):
        command = words(run(film, "-o", tmp_path / "s.vpy", "--for", program))
        line = " ".join(command)
        assert not [
            name
            for name in ("colorspace", "matrix", "prim", "trc", "transfer", "gamma", "setsar", "dar")
            if name in line
        ]


def test_chroma_whose_location_is_unknown_is_not_centred(studio: Studio, shell: dict[str, str], tmp_path: Path) -> None:
    """y4m has one name for both, which FFmpeg takes for the centre."""
    film = studio.picture("unsited.mkv", "-c:v", "ffv1")
    assert "_ChromaLocation" not in vs_srcomp.source(film).get_frame(0).props
    written = run(film, "-o", tmp_path / "s.vpy")
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    assert location_in(tmp_path / "unsited.srcomp.mkv") == 1
    played = words(run(film, "-o", tmp_path / "s.vpy", "--for", "mpv"))
    assert "--vf=format=colorlevels=limited:chroma-location=mpeg2/4/h264" in played
    deep = studio.picture("unsited10.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p10le")
    assert "-chroma_sample_location" not in words(run(deep, "-o", tmp_path / "s.vpy"))


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_centred_chroma_is_moved_to_where_av1_has_it(
    pixel_format: str, studio: Studio, shell: dict[str, str], tmp_path: Path
) -> None:
    film = studio.picture(f"{pixel_format}.mkv", "-c:v", "mjpeg", "-pix_fmt", pixel_format)
    assert vs_srcomp.source(film).get_frame(0).props["_ChromaLocation"] == 1
    written = run(film, "-o", tmp_path / "s.vpy")
    assert 'dither_type="error_diffusion", chromaloc_s="left")' in (tmp_path / "s.vpy").read_text()
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    assert location_in(tmp_path / f"{pixel_format}.srcomp.mkv") == 1
    by_program = words(run(film, "-o", tmp_path / "s.vpy", "--for", "svtav1"))
    assert after(by_program, "--chroma-sample-position") == "left"


def location_in(file: Path) -> int:
    """The chroma location in FFmpeg's numbers."""
    with av.open(file) as made:
        return int(made.streams.video[0].codec_context.chroma_sample_location)


# In milliseconds: with a gap, and of 24 and then 30 frames a second.
@pytest.mark.parametrize("times", ["N*40+100*gt(N\\,4)+7*mod(N\\,2)", "if(lt(N\\,4)\\,N*125/3\\,500/3+(N-4)*100/3)"])
def test_varying_rates_go_as_matroska(times: str, studio: Studio, shell: dict[str, str], tmp_path: Path) -> None:
    given = ("-vf", f"settb=1/1000,setpts='{times}'", "-fps_mode", "passthrough")
    film = studio.picture("vfr.mkv", *given, "-enc_time_base", "1/1000")
    written = run(film, "-o", tmp_path / "s.vpy", "--for", "ffmpeg")
    assert " -c mkv " in written.stdout
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = (
        [frame.props["_AbsoluteTime"] for frame in vs_srcomp.source(path).frames()]
        for path in (film, tmp_path / "vfr.srcomp.mkv")
    )
    assert after == pytest.approx(before, abs=0.0011)


def test_further_videos_are_kept_and_a_cover_is_left_out_with_a_note(
    studio: Studio, shell: dict[str, str], tmp_path: Path
) -> None:
    first, second = studio.picture("one.mp4"), studio.picture("two.mp4", size="64x48")
    cover = studio.make("-f", "lavfi", "-i", "color=red:size=32x32", "-frames:v", "1", "cover.png")
    inputs = [part for path in (first, second, cover) for part in ("-i", str(path))]
    mapped = ("-map", "0", "-map", "1", "-map", "2", "-c", "copy", "-disposition:v:2", "attached_pic")
    film = studio.make(*inputs, *mapped, "three.mp4")
    written = run(film, "-o", tmp_path / "s.vpy")
    assert "the cover is left out: vs-srcomp upscale keeps it" in written.stderr
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    with av.open(tmp_path / "three.srcomp.mkv") as made:
        found = [(stream.codec_context.name, stream.width) for stream in made.streams.video]
    assert found == [("libdav1d", 192), ("h264", 64)]


@pytest.mark.parametrize("name", ["J-grid.avif", "J-animated.avif"])
def test_parts_of_pictures_are_no_further_videos(name: str, shared_data: Path, tmp_path: Path) -> None:
    command = words(run(shared_data / "faults" / name, "-o", tmp_path / "s.vpy"))
    mapped = [stream for option, stream in pairwise(command) if option == "-map"]
    assert mapped == ["0:v", "1:a?", "1:s?", "1:t?"]


@pytest.mark.parametrize("program", ["svtav1", "x265"])
def test_varying_rates_are_refused_where_they_would_be_lost(studio: Studio, tmp_path: Path, program: str) -> None:
    times = ("-vf", "settb=1/1000,setpts='N*40+100*gt(N\\,4)'", "-fps_mode", "passthrough")
    film = studio.picture("vfr2.mkv", *times, "-enc_time_base", "1/1000")
    result = run(film, "-o", tmp_path / "s.vpy", "--for", program)
    assert result.exit_code == 1
    assert "the frame rate varies" in result.output
    assert not (tmp_path / "s.vpy").exists()


def test_a_failing_script_fails_the_command(studio: Studio, shell: dict[str, str], tmp_path: Path) -> None:
    film = studio.picture("sound.mkv")
    written = run(film, "-o", tmp_path / "s.vpy")
    (tmp_path / "s.vpy").write_text((tmp_path / "s.vpy").read_text().replace('model="fast"', 'model="none"'))
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode != 0
    assert "srcomp: there is no model 'none'" in done.stderr


@pytest.mark.parametrize("name", ["-dash.mkv", "co:lon.mkv"])
def test_names_that_look_like_options_or_addresses(
    name: str, studio: Studio, shell: dict[str, str], tmp_path: Path
) -> None:
    film = studio.picture("plain-name.mkv", seconds=0.2).rename(tmp_path / name)
    result = run(film)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    (tmp_path / f"{Path(name).stem}.vpy").write_text(result.stdout)
    done = in_shell(lines[2].removeprefix("#   "), shell, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{Path(name).stem}.srcomp.mkv").stat().st_size > 0


def test_a_line_break_in_a_name_never_becomes_program_text(studio: Studio, tmp_path: Path) -> None:
    film = studio.picture("broken-line.mkv", seconds=0.2).rename(tmp_path / "a\nraise SystemExit.mkv")
    result = run(film)
    assert result.exit_code != 0
    assert result.stdout == ""
    assert "has a line break" in result.stderr
    written = run(film, "-o", tmp_path / "s.vpy")
    assert written.exit_code == 0, written.output
    compile((tmp_path / "s.vpy").read_text(), "s.vpy", "exec")


def test_sound_and_chapters_come_along(studio: Studio, shell: dict[str, str], tmp_path: Path) -> None:
    film = studio.film()
    written = run(film, "-o", tmp_path / "s.vpy", "--ratio", "4:3")
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    with av.open(film) as before, av.open(tmp_path / f"{film.stem}.srcomp.mkv") as after:
        kinds = [
            [stream.type for stream in container.streams if stream.type in ("audio", "subtitle")]
            for container in (before, after)
        ]
        assert kinds[0] == kinds[1] != []
        assert len(before.chapters()) == len(after.chapters()) != 0


@pytest.mark.parametrize("program", ["ffmpeg", "mpv"])
def test_sound_that_begins_before_the_picture_stays_in_time(
    program: str, studio: Studio, shell: dict[str, str], tmp_path: Path
) -> None:
    picture = studio.picture("on-time.mkv", "-c:v", "ffv1", seconds=0.4)
    # No whole number of frames late.
    offset = ("-itsoffset", "0.507", "-i", str(picture))
    film = studio.make("-f", "lavfi", "-i", "sine=duration=1", *offset, "-c:v", "copy", "late.mkv")
    written = run(film, "-o", tmp_path / "s.vpy", "--for", program)
    if program == "mpv":
        assert "--audio-delay=-0.507000" in words(written)
        return
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = first_times(film), first_times(tmp_path / f"{film.stem}.srcomp.mkv")
    assert before["video"] - before["audio"] > 0.5
    assert after["video"] - after["audio"] == pytest.approx(before["video"] - before["audio"], abs=0.001)


@pytest.mark.parametrize("name", ["late.ts", "late.mpg", "late.mkv"])
def test_sound_that_begins_after_the_picture_stays_in_time(
    name: str, studio: Studio, shell: dict[str, str], tmp_path: Path
) -> None:
    """FFmpeg counts the times of the first two from the first stream that it uses, which is the sound."""
    picture = studio.picture("early.mkv", "-c:v", "mpeg2video", seconds=0.4)
    sound = ("-itsoffset", "0.507", "-f", "lavfi", "-i", "sine=duration=1")
    film = studio.make("-i", str(picture), *sound, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "mp2", name)
    done = in_shell(run(film, "-o", tmp_path / "s.vpy").stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = first_times(film), first_times(tmp_path / f"{film.stem}.srcomp.mkv")
    assert before["audio"] - before["video"] > 0.4
    assert after["audio"] - after["video"] == pytest.approx(before["audio"] - before["video"], abs=0.002)


def test_a_late_picture_is_late_in_the_muxer(studio: Studio, tmp_path: Path) -> None:
    picture = studio.picture("on-time.mkv", "-c:v", "ffv1", seconds=0.4)
    offset = ("-itsoffset", "0.507", "-i", str(picture))
    film = studio.make("-f", "lavfi", "-i", "sine=duration=1", *offset, "-c:v", "copy", "synced.mkv")
    told = run(film, "-o", tmp_path / "s.vpy", "--for", "x265").stderr
    assert f"mkvmerge -o synced.srcomp.mkv --sync 0:507 synced.srcomp.hevc --no-video {film}" in told


def first_times(path: Path) -> dict[str, float]:
    """The time of the first packet of each kind, in seconds."""
    times: dict[str, float] = {}
    with av.open(path) as container:
        for packet in container.demux():
            if packet.pts is not None:
                times.setdefault(packet.stream.type, float(packet.pts * packet.time_base))
    return times


def words(result: Result) -> list[str]:
    """Of the command after the pipe."""
    assert result.exit_code == 0, result.output
    return shlex.split(result.stdout.partition(" | ")[2])


def after(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


@pytest.fixture(scope="module")
def hdr(studio: Studio) -> Path:
    source = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.2")
    return studio.make(*source, "-c:v", "libx265", "-preset", "ultrafast", *HDR, "-x265-params", METADATA, "meta.mkv")


def test_hdr_metadata_in_each_programs_own_words(hdr: Path, tmp_path: Path) -> None:
    commands = {name: words(run(hdr, "-o", tmp_path / "s.vpy", "--for", name)) for name in ("ffmpeg", "svtav1", "x265")}
    floats = "G(0.265000,0.690000)B(0.150000,0.060000)R(0.680000,0.320000)WP(0.312700,0.329000)L(1000.0000,0.005000)"
    assert after(commands["ffmpeg"], "-svtav1-params") == f"mastering-display={floats}:content-light=1000,400"
    assert after(commands["svtav1"], "--mastering-display") == floats
    assert after(commands["svtav1"], "--content-light") == "1000,400"
    assert f"master-display={after(commands['x265'], '--master-display')}" in METADATA
    assert after(commands["x265"], "--max-cll") == "1000,400"
    assert after(commands["x265"], "--transfer") == "smpte2084"
    assert after(commands["svtav1"], "--transfer-characteristics") == "16"
    played = words(run(hdr, "-o", tmp_path / "s.vpy", "--for", "mpv"))
    filters = "colormatrix=bt.2020-ncl:primaries=bt.2020:gamma=pq:colorlevels=limited:chroma-location=uhd"
    assert f"--vf=format={filters}" in played


@pytest.mark.parametrize(("program", "made"), [("svtav1", "ivf"), ("x265", "hevc")])
def test_what_encoders_leave_out_is_reported(studio: Studio, tmp_path: Path, program: str, made: str) -> None:
    film = studio.sound(studio.picture("mute.mkv"), "loud.mkv", "aac")
    result = run(film, "-o", tmp_path / "s.vpy", "--for", program)
    assert f"loud.srcomp.{made} has only the video" in result.stderr
    assert f"mkvmerge -o loud.srcomp.mkv loud.srcomp.{made} --no-video {film}" in result.stderr
    assert "adds the other 1 stream" in result.stderr
    assert "only the video" not in run(studio.picture("mute.mkv"), "--for", program).stderr


def test_the_backend_goes_into_the_script(studio: Studio) -> None:
    result = run(studio.picture("backend.mkv"), "--backend", "openvino:precision=f32,threads=1")
    assert 'backend=vs_srcomp.Backend.OpenVINO(precision="f32", threads=1)' in result.stdout
    exec(result.stdout, {})


def test_what_matroska_needs_and_has_room_for_comes_along(
    studio: Studio, shell: dict[str, str], tmp_path: Path
) -> None:
    """Text of MP4 as plain text, the rotation, and the name and language of the video; from Matroska, fonts."""
    picture = studio.picture("turned.mkv", "-metadata:s:v:0", "language=ger")
    video = ("-display_rotation", "90", "-i", str(picture), "-i", "subtitles.srt", "-map", "0:v", "-map", "1")
    turned = studio.make(*video, "-c:v", "copy", "-c:s", "mov_text", "turned.mp4")
    font = ("-attach", "font.ttf", "-metadata:s:t", "mimetype=font/ttf", "-metadata:s:v:0", "title=A name")
    fonts = studio.make("-i", str(picture), *font, "-c", "copy", "fonts.mkv")
    for film in (turned, fonts):
        written = run(film, "-o", tmp_path / "s.vpy")
        assert written.exit_code == 0, written.output
        done = in_shell(written.stdout, shell, tmp_path)
        assert done.returncode == 0, done.stderr
    with av.open(tmp_path / "turned.srcomp.mkv") as container:
        assert [stream.codec_context.name for stream in container.streams.subtitles] == ["srt"]
        assert next(container.decode(video=0)).rotation == 90
        assert container.streams.video[0].metadata["language"] == "ger"
    with av.open(tmp_path / "fonts.srcomp.mkv") as container:
        assert container.streams.video[0].metadata["title"] == "A name"
        assert [stream.type for stream in container.streams] == ["video", "attachment"]
    assert "--video-rotate=270" in words(run(turned, "-o", tmp_path / "s.vpy", "--for", "mpv"))
    assert "turn the picture by 270 degrees" in run(turned, "-o", tmp_path / "s.vpy", "--for", "x265").stderr


def test_pixels_that_are_not_square(studio: Studio, tmp_path: Path) -> None:
    film = studio.picture("wide.mkv", "-vf", "setsar=16/15")
    assert after(words(run(film, "-o", tmp_path / "s.vpy", "--for", "x265")), "--sar") == "16:15"
    played = words(run(film, "-o", tmp_path / "s.vpy", "--for", "mpv"))
    assert any("dar=1.600000" in word for word in played)
    result = run(film, "-o", tmp_path / "s.vpy", "--for", "svtav1")
    assert "--aspect-ratio-factor 0:16/15" in result.stderr


def test_what_svt_av1_cannot_take_is_converted(studio: Studio, shell: dict[str, str], tmp_path: Path) -> None:
    film = studio.make(
        "-f", "lavfi", "-i", "testsrc2=size=96x64:duration=0.2", "-pix_fmt", "yuv444p12le", "-c:v", "ffv1", "444.mkv"
    )
    written = run(film, "-o", tmp_path / "s.vpy")
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    with av.open(tmp_path / "444.srcomp.mkv") as made:
        assert made.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
    assert "resize" not in run(film, "--for", "x265").stdout


def test_grey_of_full_range_keeps_it(studio: Studio, shell: dict[str, str], tmp_path: Path) -> None:
    film = studio.make(
        *("-f", "lavfi", "-i", "color=white:size=64x48:duration=0.1", "-vf", "format=gray,geq=lum=250"),
        *("-color_range", "pc", "-c:v", "ffv1", "grey.mkv"),
    )
    done = in_shell(run(film, "-o", tmp_path / "s.vpy").stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    with vs_srcomp.source(tmp_path / "grey.srcomp.mkv").get_frame(0) as frame:
        assert frame.props["_Range"] == vs.RANGE_FULL
        assert np.asarray(frame[0]).mean() == pytest.approx(250, abs=1)


@pytest.mark.parametrize(("program", "binary", "made"), [("x265", "x265", "hevc"), ("svtav1", "SvtAv1EncApp", "ivf")])
def test_encoders_of_their_own(
    hdr: Path, shell: dict[str, str], tmp_path: Path, program: str, binary: str, made: str
) -> None:
    if which(binary) is None:
        pytest.skip(f"{binary} is not installed")
    written = run(hdr, "-o", tmp_path / "s.vpy", "--for", program)
    done = in_shell(written.stdout, shell, tmp_path)
    assert done.returncode == 0, done.stderr
    with av.open(tmp_path / f"meta.srcomp.{made}") as container:
        context = container.streams.video[0].codec_context
        assert sum(1 for _ in container.decode(video=0)) == 5
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (9, 9, 16, 1)


def test_losses_that_no_encoder_can_help_are_reported(shared_data: Path) -> None:
    film = shared_data / "faults" / "I-captions.ts"
    if not film.exists():
        pytest.skip(f"there is no {film}")
    assert "CEA-608" in run(film).stderr
    assert "CEA-608" not in run(film, "--for", "mpv").stderr


def test_wrong_usage(studio: Studio) -> None:
    film = studio.picture("usage.mkv", seconds=0.1)
    assert run(film, "--ratio", "2:1", "--width", "192").exit_code == 2
    assert run(film, "--for", "vlc").exit_code == 2


def test_the_times_of_frames_are_exact(studio: Studio, shell: dict[str, str], tmp_path: Path) -> None:
    film = studio.picture("ntsc.mkv", rate="30000/1001")
    written = run(film, "-o", tmp_path / "s.vpy")
    assert in_shell(written.stdout, shell, tmp_path).returncode == 0
    assert vs_srcomp.source(tmp_path / "ntsc.srcomp.mkv").fps == Fraction(30000, 1001)


def test_a_script_that_was_changed_is_replaced_only_on_demand(studio: Studio, tmp_path: Path) -> None:
    film, target = studio.picture("edited.mkv"), tmp_path / "s.vpy"

    def again(*more: str) -> Result:
        return CliRunner().invoke(main, ["script", str(film), "-o", str(target), *more])

    assert [again().exit_code for _ in range(2)] == [0, 0]
    target.write_text("# mine\n")
    done = again()
    assert done.exit_code == 1
    assert "exists and differs\ngive the script another name, or replace it with --overwrite" in done.stderr
    assert target.read_text() == "# mine\n"
    assert again("--overwrite").exit_code == 0
    assert "vs_srcomp.upscale" in target.read_text()


def test_a_script_whose_name_vspipe_cannot_read_is_refused(studio: Studio, tmp_path: Path) -> None:
    film = studio.picture("named.mkv")
    strange = tmp_path / "film-\udcff.mkv"
    strange.write_bytes(film.read_bytes())
    done = CliRunner().invoke(main, ["script", str(strange)])
    assert done.exit_code == 1
    assert "is not UTF-8, and vspipe opens no such script\ngive -o OUT.vpy another name" in done.stderr
