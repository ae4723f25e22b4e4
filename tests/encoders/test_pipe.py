"""Programs that encode frames from a pipe."""

import shlex
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
import vapoursynth as vs

import vs_srcomp
from tests.batch.here import Here, PowerCutError, files_in, run
from tests.helpers.films import Studio, durations_of, frames_of, packets_of, times_of
from vs_srcomp.batch.cut import cut
from vs_srcomp.batch.join import join
from vs_srcomp.batch.segments import encode_segment
from vs_srcomp.encoders.library import encodable
from vs_srcomp.encoders.pipe_command import PipeCommand
from vs_srcomp.encoders.settings import PIPE
from vs_srcomp.encoders.y4m import FRAME, samples, stream_header
from vs_srcomp.media.picture import Picture, describe_picture
from vs_srcomp.progress import CancelledError
from vs_srcomp.transcode import Job, transcode

FFMPEG = f"{shlex.quote(imageio_ffmpeg.get_ffmpeg_exe())} -v error -i -"
X264 = f"{FFMPEG} -c:v libx264 -preset ultrafast -bf 2 -threads 2 {{out}}.h264"


@pytest.fixture
def job(film: Path, model: Path, tmp_path: Path) -> Job:
    folder = tmp_path / "out"
    folder.mkdir()
    return Job(source=film, target=folder / "film.mkv", model=model, segment_seconds=0.4, pipe=X264)


def in_pieces(job: Job, folder: Path) -> Path:
    folder.mkdir()
    segments = cut(job)
    assert len(segments) > 1
    records = [encode_segment(job, segment, folder / segment.name) for segment in segments]
    join(job, segments, records, folder)
    return job.target


def program(folder: Path, code: str) -> str:
    """A program of such Python ``code``; gives the beginning of a command."""
    file = folder / "program.py"
    file.write_text(code)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(file))}"


@pytest.mark.parametrize(
    ("output", "suffix", "codec"),
    [
        ("-c:v libx264 -preset ultrafast -bf 2 -g 5 {out}.h264", ".mkv", "h264"),
        ("-c:v libx264 -preset ultrafast -bf 2 {out}.mp4", ".mp4", "h264"),
        ("-c:v libx265 -preset ultrafast -bf 3 -x265-params log-level=error {out}.hevc", ".mp4", "hevc"),
        ("-c:v libx265 -preset ultrafast -x265-params log-level=error {out}", ".mkv", "hevc"),
        ("-c:v libsvtav1 -preset 12 {out}.ivf", ".mp4", "libdav1d"),
        ("-c:v libsvtav1 -preset 12 {out}.obu", ".webm", "libdav1d"),
        ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 {out}.ivf", ".webm", "vp9"),
    ],
)
def test_what_a_program_has_written_becomes_the_video(
    job: Job, tmp_path: Path, output: str, suffix: str, codec: str
) -> None:
    job = replace(
        job,
        pipe=f"{FFMPEG} {output}",
        target=job.target.with_suffix(suffix),
        drop_incompatible=True,
        segment_seconds=0.8,
    )
    pieces = in_pieces(job, tmp_path / "parts")
    whole = transcode(replace(job, target=tmp_path / f"whole{suffix}")).target
    for made in (pieces, whole):
        assert times_of(made) == times_of(job.source)
        assert durations_of(made) == [Fraction(1, 25)] * 40
        with av.open(str(made)) as container:
            context = container.streams.video[0].codec_context
            assert context.name == codec
            # What the bitstream says replaces what the container says as soon as frames are decoded.
            for frames in (0, 40):
                assert len([*container.decode(video=0)] if frames else []) == frames
                assert (context.width, context.height, context.pix_fmt) == (192, 128, "yuv420p10le")
                assert (context.colorspace, context.color_range) == (9, 1)
                assert (context.color_primaries, context.color_trc) == (9, 18)
                if codec != "vp9" and frames:
                    assert context.chroma_sample_location == 3
    assert packets_of(pieces, 1) == packets_of(whole, 1)


@pytest.mark.parametrize("suffix", ["h264", "mp4", "mkv"])
def test_reordered_frames_come_back_in_their_places(job: Job, tmp_path: Path, suffix: str) -> None:
    encoder = "-c:v libx264 -preset fast -bf 3 -b_strategy 0 -qp 8"
    made = in_pieces(replace(job, pipe=f"{FFMPEG} {encoder} {{out}}.{suffix}"), tmp_path / "parts")
    with av.open(str(made)) as container:
        decoded = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert decoded != sorted(decoded, key=lambda time: time or 0)
    wanted = vs_srcomp.upscale(vs_srcomp.source(job.source), model=job.model)
    lumas = [np.asarray(frame[0]).astype(int) for frame in wanted.frames()]
    frames = frames_of(made)
    assert [Fraction(frame.pts or 0) * Fraction(1, 1000) for frame in frames] == times_of(job.source)
    for number, frame in enumerate(frames):
        luma = np.frombuffer(frame.planes[0], np.uint16).reshape(128, -1)[:, :192]
        errors = [np.abs(luma - other).mean() for other in lumas]
        assert int(np.argmin(errors)) == number
        assert errors[number] < 3


def test_varying_frame_rates_keep_their_times(studio: Studio, job: Job, tmp_path: Path) -> None:
    shift = r"settb=1/1000,setpts=PTS+(0.008*mod(N\,4)+0.5*gt(N\,13))/TB"
    film = studio.picture(
        "varying-pipe.mkv", "-vf", shift, "-fps_mode", "passthrough", "-enc_time_base", "1:1000", seconds=1.2
    )
    assert len({after - before for before, after in pairwise(times_of(film))}) > 2
    job = replace(job, source=film)
    assert times_of(in_pieces(job, tmp_path / "parts")) == times_of(film)
    assert times_of(transcode(replace(job, target=tmp_path / "whole.mkv")).target) == times_of(film)


@pytest.mark.parametrize(
    ("format_", "location", "range_"),
    [
        (vs.YUV420P8, 1, 1),
        (vs.YUV420P8, 2, 2),
        (vs.YUV420P8, 3, 0),
        (vs.YUV422P8, 0, 0),
        (vs.YUV444P8, 0, 0),
        (vs.YUV420P10, 0, 1),
        (vs.YUV422P12, 0, 0),
        (vs.YUV444P16, 0, 0),
    ],
)
def test_y4m_as_ffmpeg_reads_it(format_: int, location: int, range_: int) -> None:
    clip = vs.core.std.BlankClip(width=22, height=18, format=format_, length=3, keep=True)
    noise = np.random.default_rng(5)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        for plane in range(3):
            values = np.asarray(frame[plane])
            values[:] = noise.integers(0, 1 << clip.format.bits_per_sample, values.shape)
        return frame

    frames = list(clip.std.ModifyFrame(clip, fill).frames())
    props = {"_ChromaLocation": location - 1} if location else {}
    picture = describe_picture(clip, {}, {**props, "_SARNum": 8, "_SARDen": 9})
    picture = replace(picture, colour=replace(picture.colour, range=range_))
    head = stream_header(picture, Fraction(24000, 1001))
    data = head + b"".join(FRAME + b"".join(samples(frame)) for frame in frames)
    with av.open(BytesIO(data), "r", format="yuv4mpegpipe") as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(24000, 1001)
        assert stream.sample_aspect_ratio == Fraction(8, 9)
        assert stream.codec_context.pix_fmt == picture.pixel_format
        assert stream.codec_context.color_range == range_
        if location:
            assert stream.codec_context.chroma_sample_location == location
        read = list(container.decode(stream))
    assert len(read) == 3
    for one, other in zip(read, frames, strict=True):
        for plane in range(3):
            there = np.asarray(other[plane])
            values = np.frombuffer(one.planes[plane], there.dtype).reshape(one.planes[plane].height, -1)
            assert np.array_equal(values[:, : one.planes[plane].width], there)


def test_raw_frames_are_nothing_but_samples(job: Job, tmp_path: Path) -> None:
    fake = program(
        tmp_path,
        "import subprocess, sys\n"
        "saved, *command = sys.argv[1:]\n"
        "data = sys.stdin.buffer.read()\n"
        "open(saved, 'wb').write(data)\n"
        "subprocess.run(command, input=data, check=True)\n",
    )
    saved = tmp_path / "saved"
    raw = "-f rawvideo -pix_fmt {pixel_format} -s {width}x{height} -r {fps}"
    ffmpeg = FFMPEG.replace(" -i -", f" {raw} -i -")
    pipe = f"{fake} {saved} {ffmpeg} -c:v libx264 -qp 0 {{out}}.h264"
    job = replace(job, pipe=pipe, pipe_format="raw", end=Fraction(1, 2))
    transcode(job)
    wanted = vs_srcomp.upscale(vs_srcomp.source(job.source), model=job.model)[:13]
    assert saved.read_bytes() == b"".join(bytes(part) for frame in wanted.frames() for part in samples(frame))
    assert times_of(job.target) == times_of(job.source)[:13]


def test_placeholders_are_filled_in(job: Job, tmp_path: Path) -> None:
    fake = program(
        tmp_path,
        "import subprocess, sys\n"
        "saved, facts, *command = sys.argv[1:]\n"
        "open(saved, 'w').write(facts)\n"
        "subprocess.run(command, check=True)\n",
    )
    facts = (
        "{width} {height} {fps} {fps_num} {fps_den} {frames} {depth} {primaries} {transfer} {matrix} {full_range} {{}}"
    )
    job = replace(job, pipe=f"{fake} {tmp_path}/saved '{facts}' {X264}", start=Fraction("0.4"), end=Fraction("0.8"))
    transcode(job)
    assert (tmp_path / "saved").read_text() == "192 128 25/1 25 1 10 10 9 18 9 0 {}"


def test_no_shell_reads_the_command() -> None:
    command = PipeCommand.parse("cat $HOME 'a b'\\ c > {out}.ivf; * {{x}}")
    assert command.arguments("/film.ivf", {})[1:] == ["$HOME", "a b c", ">", "/film.ivf;", "*", "{x}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no {out}\nadd it as the output file"),
        ("x264 -", "has no {out}\nadd it as the output file"),
        ("x264 '{out}", "cannot be split into words: no closing quotation\ncheck its quotes"),
        ("x265 {out}.hevc --csv {out}.csv", "writes to {out}.csv and {out}.hevc\nlet it write one file only"),
        ("x265 {out} {size}", "the unknown placeholder {size}\nuse {out}, {width}"),
        ("x265 {out} {", "single '{' encountered in format string\nwrite braces as {{ and }}"),
        ("nonsense {out}", "there is no program 'nonsense'\ninstall it, or give its path in --pipe"),
    ],
)
def test_commands_that_cannot_work(text: str, problem: str) -> None:
    with pytest.raises(vs.Error) as caught:
        PipeCommand.parse(text).path  # noqa: B018
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("pipe", "problem"),
    [
        (f"{FFMPEG} -c:v libx264 -frames:v 7 {{out}}.mp4", "of 40 frames"),
        (f"{FFMPEG} -r 12 -c:v libx264 {{out}}.mp4", "has made 21 frames of 40"),
        (f"{FFMPEG} -r 50 -c:v libx264 {{out}}.mp4", "of 40, in "),
        (f"{FFMPEG} -c:v nonsense {{out}}.mp4", "Unknown encoder 'nonsense'\n"),
        (
            f"{FFMPEG} -c:v mpeg4 {{out}}.mp4",
            "has written mpeg4 video, which is not taken over\nlet it write one of av1",
        ),
        (f"{FFMPEG} -s 64x64 -c:v libx264 {{out}}.mp4", "has made pictures of 64x64 from 192x128\n"),
        (
            "sh -c 'cat >/dev/null' {out}",
            "'sh' has ended without an error, and has written nothing to {out}\ncheck the command in --pipe",
        ),
        (
            "sh -c 'cat >{out}; echo oh no >&2; exit 3'",
            "'sh' ended with code 3 after at most 40 of 40 frames\n  oh no\n",
        ),
        ("sh -c 'cat >/dev/null; echo nonsense >{out}'", "what 'sh' has written cannot be read"),
        ("sh -c 'kill -9 $$' {out}", "'sh' was ended by SIGKILL after "),
        ("/ {out}", "there is no program '/'"),
    ],
)
def test_programs_that_fail_leave_nothing(job: Job, pipe: str, problem: str) -> None:
    with pytest.raises(vs.Error) as caught:
        transcode(replace(job, pipe=pipe))
    assert problem in str(caught.value)
    assert str(caught.value).startswith("srcomp: ")
    assert list(job.target.parent.iterdir()) == []


def test_a_truncated_file_is_an_error(job: Job, tmp_path: Path) -> None:
    cutting = program(
        tmp_path,
        "import os, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True)\n"
        "os.truncate(sys.argv[-1], os.path.getsize(sys.argv[-1]) * 2 // 3)\n",
    )
    for suffix in ("ivf", "h264"):
        encoder = {"ivf": "libsvtav1 -preset 12", "h264": "libx264"}[suffix]
        with pytest.raises(vs.Error, match=r"has made \d+ frames of 40|cannot be read"):
            transcode(replace(job, pipe=f"{cutting} {FFMPEG} -c:v {encoder} {{out}}.{suffix}"))
    assert list(job.target.parent.iterdir()) == []


def test_containers_refuse_what_they_cannot_hold(job: Job) -> None:
    target = job.target.with_suffix(".webm")
    with pytest.raises(vs.Error, match=r"\.webm files cannot hold what the pipe makes\nwrite a \.mkv file"):
        transcode(replace(job, target=target, drop_incompatible=True))
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("reads", [True, False])
def test_a_program_that_hangs_ends_when_the_work_is_cancelled(job: Job, tmp_path: Path, reads: bool) -> None:
    pid = tmp_path / "pid"
    waiting = program(
        tmp_path,
        "import os, sys, time\n"
        f"open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
        f"{'sys.stdin.buffer.read()' if reads else ''}\n"
        "time.sleep(600)\n",
    )
    cancel = threading.Event()

    def set_when_it_runs() -> None:
        deadline = time.monotonic() + 30
        while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        cancel.set()

    thread = threading.Thread(target=set_when_it_runs)
    thread.start()
    with pytest.raises(CancelledError):
        transcode(replace(job, pipe=f"{waiting} {{out}}"), cancel=cancel)
    thread.join()
    assert not Path(f"/proc/{pid.read_text()}").exists()
    assert list(job.target.parent.iterdir()) == []


def test_a_run_that_was_cut_off_goes_on_with_the_same_result(job: Job, tmp_path: Path) -> None:
    run(replace(job, target=tmp_path / "film.mkv"))
    with pytest.raises(PowerCutError):
        run(job, pool=Here(cut_off_after=3))
    left = job.target.parent / ".srcomp" / "film.mkv.parts" / ".000000.srcomp-abcdefgh.piped"
    left.mkdir()
    (left / "video.h264").touch()
    outcome = run(job)["film.mkv"]
    assert (outcome.status, outcome.segments, outcome.reused) == ("done", 4, 2)
    assert packets_of(job.target, 0) == packets_of(tmp_path / "film.mkv", 0)
    assert files_in(job.target.parent) == {"film.mkv", ".srcomp/film.mkv.json", ".srcomp/film.mkv.lock"}
    assert not left.exists()


def test_another_command_and_another_program_make_something_else(job: Job, tmp_path: Path) -> None:
    fake = program(tmp_path, "import subprocess, sys\nsubprocess.run(sys.argv[1:], check=True)\n").split()[1]
    script = tmp_path / "encoder"
    script.write_text(f"#!{sys.executable}\nexec(open({fake!r}).read())\n")
    script.chmod(0o755)
    job = replace(job, pipe=f"{script} {X264}")
    assert run(job)["film.mkv"].status == "done"
    assert run(job)["film.mkv"].status == "skipped"
    assert "pipe and encoder exclude each other" in run(replace(job, encoder="ffv1"))["film.mkv"].message
    other = run(replace(job, pipe=job.pipe.replace("-bf 2", "-bf 0")))["film.mkv"]
    assert other.status == "failed"
    assert "was made from something else (pipe: " in other.message
    assert "pipe_format: y4m, now raw" in run(replace(job, pipe_format="raw"))["film.mkv"].message
    script.write_text(script.read_text() + "# a newer version\n")
    assert "was made from something else (program: " in run(job)["film.mkv"].message
    assert run(job, restart=True)["film.mkv"].status == "done"


def test_depths_of_y4m(model: Path) -> None:
    clip = vs.core.std.BlankClip(width=16, height=16, format=vs.YUV422P9, length=1)
    assert encodable(clip, PIPE).format.id == vs.YUV422P10
    gray = vs.core.std.BlankClip(width=16, height=16, format=vs.GRAY8, length=1)
    assert encodable(gray, PIPE).format.id == vs.YUV420P8


def test_pictures_of_unknown_shape_are_square() -> None:
    clip = vs.core.std.BlankClip(width=16, height=8, format=vs.YUV420P8, length=1)
    picture: Picture = describe_picture(clip, {}, {})
    assert stream_header(picture, Fraction(25)) == b"YUV4MPEG2 W16 H8 F25:1 Ip A1:1 C420mpeg2\n"
