"""A check finds nothing in a good file, and the differences in a wrong one."""

import threading
from fractions import Fraction
from pathlib import Path

import pytest

from tests.helpers.films import Studio, Upscaled
from vs_srcomp.progress import CancelledError
from vs_srcomp.quality.verify.finding import Finding
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.source import source
from vs_srcomp.transcode import Job


def faults(findings: list[Finding]) -> list[str]:
    return [str(finding) for finding in findings if finding.fault]


@pytest.fixture(scope="module")
def good(upscaled: Upscaled, film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upscaled(film, tmp_path_factory.mktemp("verify") / "good.mkv").target


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("all.mkv", {}),
        ("part.mkv", {"start": Fraction(2, 5), "end": Fraction(6, 5)}),
        ("all.mp4", {"drop_incompatible": True}),
        ("all.webm", {"drop_incompatible": True}),
    ],
)
def test_a_good_file_has_no_faults(
    upscaled: Upscaled, film: Path, tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    target = upscaled(film, tmp_path / name, **options).target
    findings = verify(Job(source=film, target=target, **options))  # type: ignore[arg-type]
    assert faults(findings) == []
    lost = {str(finding) for finding in findings}
    if name.endswith(".mkv"):
        assert lost == set()
    if name.endswith(".webm"):
        assert lost == {
            "streams: stream 2 (audio, aac, eng) is left out: .webm files cannot hold it",
            "streams: stream 3 (subtitle, ass, fra) is left out: .webm files cannot hold it",
            "streams: stream 4 (subtitle, subrip, jpn) is left out: .webm files cannot hold it",
            "attachments: 'font.ttf' is left out: .webm files cannot hold it",
        }


TONE = ("-f", "lavfi", "-i", "sine=duration=0.3")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_good_files_of_other_kinds_have_no_faults(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, suffix: str
) -> None:
    plain = studio.picture("verify-plain.mp4", rate="30000/1001", seconds=0.2)
    long = studio.sound(studio.picture("verify-long.mkv", "-bf", "2", seconds=0.6), "verify-long-sound.mkv", "aac")
    mixed = ("-vf", r"settb=1/1000,setpts=if(lt(N\,20)\,N*125/3\,2500/3+(N-20)*100/3)")
    films = [
        studio.make("-display_rotation:v:0", "90", "-i", str(plain), "-c", "copy", "verify-turned.mp4"),
        studio.picture("verify-sar.mkv", "-vf", "setsar=4/3", seconds=0.2),
        studio.sound(plain, "verify-broadcast.ts", "mp2"),
        studio.make(
            "-ss", "0.08", "-i", str(studio.sound(plain, "verify-edit.mov", "pcm_s16le")), "-c", "copy", "cut.mp4"
        ),
        studio.make(*TONE, "-i", str(plain), "-map", "0", "-map", "1", "-c:v", "copy", "verify-sound-first.mkv"),
        studio.make("-i", str(plain), "-c", "copy", "-metadata:s:v", "creation_time=2026-01-02T03:04:05Z", "date.mp4"),
        studio.make(*TONE, "-i", str(plain), "-c:v", "libtheora", "-c:a", "libvorbis", "verify-theora.ogv"),
        # Theora repeats a picture by a packet of 0 bytes.
        studio.make("-i", str(plain), "-vf", "fps=8,fps=25", "-c:v", "libtheora", "-q:v", "7", "verify-repeated.ogv"),
        # Cut without coding it again: Matroska leaves out the times of pictures before 0.
        studio.make("-ss", "0.2", "-i", str(long), "-c", "copy", "-avoid_negative_ts", "disabled", "verify-early.mkv"),
        studio.make("-i", str(long), "-an", "-c:v", "libxvid", "-bf", "2", "-g", "10", "verify-packed.avi"),
        # 24 and then 30 frames a second: without a default duration, that of the last frame is a guess.
        studio.picture("verify-mix.mkv", *mixed, "-fps_mode", "passthrough", "-enc_time_base", "1/1000", seconds=1.8),
        studio.picture("verify-shift.mkv", "-vf", r"setpts=PTS+(0.5+0.015*mod(N\,3))/TB", "-fps_mode", "vfr"),
    ]
    for film in films:
        target = upscaled(film, tmp_path / f"{film.stem}{suffix}", drop_incompatible=True).target
        assert faults(verify(Job(source=film, target=target, drop_incompatible=True))) == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("tags", [("-colorspace", "bt709"), ("-color_range", "pc", "-pix_fmt", "yuvj420p")])
def test_ffv1_keeps_colour_tags_that_are_incomplete(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, suffix: str, tags: tuple[str, ...]
) -> None:
    """The stream has none, so that the file alone can tell."""
    film = studio.picture(f"verify{tags[0]}.mkv", *tags, seconds=0.1)
    target = upscaled(film, tmp_path / f"out{suffix}", encoder="ffv1", preset=None, crf=None).target
    assert faults(verify(Job(source=film, target=target, encoder="ffv1", preset=None, crf=None))) == []
    before, after = (source(file).get_frame(0).props for file in (film, target))
    names = ("_Matrix", "_Range")
    assert [after.get(name) for name in names] == [before.get(name) for name in names] != [None, None]


@pytest.mark.parametrize("encoder", ["x264", "x265"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_how_long_the_last_frame_is_shown_at_a_variable_rate(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, encoder: str, suffix: str
) -> None:
    """FFmpeg guesses it from an average rate, or has that of the frame that was decoded last."""
    times = r"settb=1/1000,setpts=N*100+40*mod(N\,3)-95*eq(N\,9)"
    film = studio.picture("verify-vfr.mp4", "-vf", times, "-fps_mode", "passthrough", "-enc_time_base", "1/1000")
    options = {"encoder": encoder, "preset": "medium", "crf": None}
    target = upscaled(film, tmp_path / f"out{suffix}", **options).target
    assert faults(verify(Job(source=film, target=target, **options))) == []  # type: ignore[arg-type]


def test_hdr_metadata_of_a_real_clip(upscaled: Upscaled, tmp_path: Path, shared_data: Path) -> None:
    film = shared_data / "av1" / "metadata_hdr_cll_mdcv.ivf"
    target = upscaled(film, tmp_path / "hdr.mkv", ratio="4:3").target
    assert faults(verify(Job(source=film, target=target))) == []
    plain = upscaled(shared_data / "av1" / "parkjoy.mp4", tmp_path / "plain.mkv", end=Fraction(1, 10)).target
    subjects = {finding.message for finding in verify(Job(source=film, target=plain)) if finding.subject == "hdr"}
    assert "MasteringDisplayMaxLuminance is missing" in subjects
    assert "ContentLightLevelMax is missing" in subjects


# FFmpeg would mark tracks as default by itself.
MAPPED = ("-map", "0", "-c", "copy", "-default_mode", "passthrough", "-disposition:s:0", "forced")
DAMAGES = {
    "the last frame is missing": (
        ("-frames:v", "39"),
        ["frames: there are 39; there should be 40", "packets: stream 1", "packets: stream 2"],
    ),
    "all is later": (
        ("-bsf:v", "setts=ts=TS+20"),
        ["timestamps: 40 are wrong; frame 0 is shown at 0.0200 s, not at 0.0000 s"],
    ),
    "one frame is late": (
        ("-bsf:v", r"setts=ts=TS+2*eq(N\,39)"),
        ["timestamps: 1 are wrong; frame 39 is shown at 1.5620 s, not at 1.5600 s"],
    ),
    "a sound is missing": (
        ("-map", "-0:2"),
        [
            "streams: there are video, av1; audio, opus, deu; subtitle, ass, fra; subtitle, subrip, jpn; "
            "there should be video, h264; audio, opus, deu; audio, aac, eng; subtitle, ass, fra; subtitle, subrip, jpn",
        ],
    ),
    "a sound is shifted": (
        ("-bsf:a:0", "setts=ts=TS+40"),
        ["packets: stream 1 (audio, opus, deu): packet 0 is at 0.0330 s, not at -0.0070 s"],
    ),
    "a sound has another content": (
        ("-bsf:a:1", r"noise=amount=eq(n\,20)*5"),
        ["packets: stream 2 (audio, aac, eng): packet 20, at "],
    ),
    "a sound ends early": (("-bsf:a:1", r"noise=drop=gt(n\,50)"), ["there are 51 packets; there should be "]),
    "a subtitle is longer": (
        ("-bsf:s:1", "setts=duration=DURATION+300"),
        ["packets: stream 4 (subtitle, subrip, jpn): packet 0, at 0.2000 s, lasts 0.8000 s, not 0.5000 s"],
    ),
    "another language": (
        ("-metadata:s:a:0", "language=nld"),
        ["tags: stream 1 (audio, opus, nld) has language 'nld' instead of 'deu'"],
    ),
    "no forced subtitles": (
        ("-disposition:s:0", "0"),
        ["streams: stream 3 (subtitle, ass, fra) is no longer marked as forced"],
    ),
    "no chapters": (("-map_chapters", "-1"), ["chapters: there are 0; there should be 2"]),
    "another tag": (("-metadata", "title=B"), ["tags: file: tag 'title' is 'B' instead of 'A film'"]),
    "no attachment": (("-map", "-0:t"), ["attachments: 'font.ttf' is missing or has changed"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_with_a_file_is_found_and_nothing_else(
    studio: Studio, film: Path, good: Path, damage: str
) -> None:
    options, expected = DAMAGES[damage]
    bad = studio.make("-i", str(good), *MAPPED, *options, "verify-bad.mkv")
    found = faults(verify(Job(source=film, target=bad)))
    for part in expected:
        assert any(part in message for message in found), found
    # Another end of a stream may be another end of the file.
    assert len([message for message in found if not message.startswith("duration: ")]) == len(expected), found


def test_colour_depth_and_shape(studio: Studio, film: Path, good: Path) -> None:
    bad = studio.make(
        *("-i", str(good), "-map", "0", "-c", "copy", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-vf", "format=yuv420p,setparams=color_primaries=bt709:range=full,setsar=2", "verify-bad.mkv"),
    )
    found = set(faults(verify(Job(source=film, target=bad))))
    assert {
        "picture: samples have 8 bits; those of the source have 10",
        "picture: pixels are 2 as wide as high instead of 1",
        "colour: primaries is 1 instead of 9",
    } <= found


def test_a_file_that_was_cut_off_is_found(film: Path, good: Path, tmp_path: Path) -> None:
    bad = tmp_path / "cut.mkv"
    content = good.read_bytes()
    bad.write_bytes(content[: len(content) * 2 // 3])
    found = faults(verify(Job(source=film, target=bad)))
    assert any(message.startswith("frames: there are ") for message in found)
    assert any(message.startswith("packets: stream 1") for message in found)


def test_two_pieces_that_have_changed_places_are_found(studio: Studio, film: Path, good: Path) -> None:
    """As from pieces that were joined in the wrong order: times run back."""
    bad = studio.make("-i", str(good), *MAPPED, "-bsf:v", r"setts=pts=PTS+1000*lt(N\,20)", "verify-bad.mkv")
    assert any("timestamps: " in message for message in faults(verify(Job(source=film, target=bad))))


def test_progress_and_cancel(film: Path, good: Path) -> None:
    cancel = threading.Event()
    calls: list[tuple[int, int]] = []
    assert verify(Job(source=film, target=good), progress=lambda done, total: calls.append((done, total))) == []
    assert calls[-1] == (40, 40)
    cancel.set()
    with pytest.raises(CancelledError):
        verify(Job(source=film, target=good), cancel=cancel)
