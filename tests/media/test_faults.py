"""Small files of real programs that caused bugs, each with its expected result."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
import vapoursynth as vs

from tests.helpers.films import Studio, Upscaled, packets_of, times_of
from tests.tolerances import MATROSKA_SECONDS
from vs_srcomp.media.containers import container_for
from vs_srcomp.media.losses import losses
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.transcode import Job


@pytest.fixture(scope="module")
def faults(shared_data: Path) -> Path:
    folder = shared_data / "faults"
    if not folder.is_dir():
        pytest.skip(f"the files that went wrong are not there: {folder}")
    return folder


def wrong(source: Path, target: Path, **options: object) -> list[str]:
    """The faults that a check of the finished file finds."""
    return [str(finding) for finding in verify(Job(source=source, target=target, **options)) if finding.fault]  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_sound_that_steps_back_is_moved_forward(faults: Path, upscaled: Upscaled, tmp_path: Path, suffix: str) -> None:
    film = faults / "A-sound-steps-back.mkv"
    before = packets_of(film, 1)
    assert any(b < a for (a, _), (b, _) in pairwise(before))
    output = upscaled(film, tmp_path / f"out{suffix}", ratio="2:1").target
    after = packets_of(output, 1)
    assert len(times_of(output)) == 50
    assert [content for _, content in after] == [content for _, content in before]
    assert [time for time, _ in after] == sorted(time for time, _ in after)
    moved = [number for number in range(101) if abs(after[number][0] - before[number][0]) > Fraction(1, 2000)]
    assert len(moved) == 1
    assert 0 <= after[moved[0]][0] - before[moved[0] - 1][0] < Fraction(1, 1000)
    assert wrong(film, output) == []


def test_sound_of_an_unspecified_layout_is_stereo(faults: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    film = faults / "B-pcm-unspecified-layout.mkv"
    output = upscaled(film, tmp_path / "out.mp4", ratio="2:1").target
    with av.open(str(output)) as container:
        assert container.streams.audio[0].layout.name == "stereo"
    before, after = (b"".join(content for _, content in packets_of(file, 1)) for file in (film, output))
    assert after == before
    assert wrong(film, output) == []


def test_what_the_muxer_refuses_is_refused_before_any_work(faults: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    film = faults / "B-truehd.mkv"
    with pytest.raises(vs.Error, match=r"stream 1 \(audio, truehd\): truehd in MP4 support is experimental\n"):
        upscaled(film, tmp_path / "out.mp4", ratio="2:1")
    assert list(tmp_path.iterdir()) == []
    output = upscaled(film, tmp_path / "out.mp4", ratio="2:1", drop_incompatible=True).target
    with av.open(str(output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    output = upscaled(film, tmp_path / "out.mkv", ratio="2:1").target
    assert packets_of(output, 1) == packets_of(film, 1)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("name", ["C-joined.ts", "C-joined-with-sound.ts"])
def test_time_goes_on_where_the_clock_restarts(
    faults: Path, upscaled: Upscaled, tmp_path: Path, name: str, suffix: str
) -> None:
    film = faults / name
    output = upscaled(film, tmp_path / f"out{suffix}", ratio="2:1").target
    shown = times_of(output)
    assert len(shown) == 100
    steps = [float(b - a) for a, b in pairwise(shown)]
    assert steps == pytest.approx([0.04] * 99, abs=0.001)
    if "sound" in name:
        before, after = packets_of(film, 1), packets_of(output, 1)
        assert len(after) == len(before)
        assert all(old.endswith(new) for (_, old), (_, new) in zip(before, after, strict=True))  # without ADTS headers
        # Each half has its sound as long before or after its pictures as it had.
        pictures = packets_of(film, 0)
        for half in (0, 1):
            first = 50 * half
            number = 0 if half == 0 else next(n for n in range(1, len(before)) if before[n][0] < before[n - 1][0])
            was = before[number + 4][0] - min(time for time, _ in pictures[first : first + 3])
            assert float(after[number + 4][0] - shown[first]) == pytest.approx(float(was), abs=0.002)
    assert wrong(film, output) == []


def test_a_second_half_in_a_moment_is_found(faults: Path, studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    """What once came out, and was taken for right by a check that shared the code."""
    film = faults / "C-joined.ts"
    good = upscaled(film, tmp_path / "good.mkv", ratio="2:1").target
    squeezed = r"setts=ts=if(lt(N\,50)\,TS\,1960+(N-49)/50)"
    bad = studio.make("-i", str(good), "-c", "copy", "-bsf:v", squeezed, "squeezed.mkv")
    assert times_of(bad)[-1] < 2
    assert any("timestamps: 50 are wrong" in finding for finding in wrong(film, bad))


def test_a_part_across_the_join(faults: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    film = faults / "C-joined-with-sound.ts"
    section = {"start": Fraction(1), "end": Fraction(3)}
    output = upscaled(film, tmp_path / "out.mkv", ratio="2:1", **section).target
    assert len(times_of(output)) == 50
    sound = [float(time) for time, _ in packets_of(output, 1)]
    assert sound[0] < 0.05
    assert 1.94 < sound[-1] < 2
    assert max(b - a for a, b in pairwise(sound)) < 0.05
    assert wrong(film, output, **section) == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_two_frames_at_one_time(faults: Path, upscaled: Upscaled, tmp_path: Path, suffix: str) -> None:
    film = faults / "D-two-frames-at-one-time.mkv"
    output = upscaled(film, tmp_path / f"out{suffix}", ratio="2:1").target
    before, after = times_of(film), times_of(output)
    assert len(before) == len(after) == 50
    assert max(abs(b - a) for a, b in zip(before, after, strict=True)) <= Fraction(1, 1000)
    assert wrong(film, output) == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize(("name", "frames"), [("F-no-ctts.mp4", 48), ("F-b-frames.avi", 50), ("F-b-frames.asf", 50)])
def test_times_of_decoding_are_not_those_of_display(
    faults: Path, upscaled: Upscaled, tmp_path: Path, name: str, frames: int, suffix: str
) -> None:
    output = upscaled(faults / name, tmp_path / f"out{suffix}", ratio="2:1").target
    shown = times_of(output)
    assert len(shown) == frames
    assert [float(b - a) for a, b in pairwise(shown)] == pytest.approx([0.04] * (frames - 1), abs=MATROSKA_SECONDS)
    assert wrong(faults / name, output) == []


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_pixels_of_a_stereo_picture_keep_their_shape(
    faults: Path, upscaled: Upscaled, tmp_path: Path, suffix: str
) -> None:
    film = faults / "H-side-by-side.mkv"
    output = upscaled(film, tmp_path / f"out{suffix}", ratio="2:1").target
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == 2
        assert stream.metadata["stereo_mode"] == "left_right"
    header = output.read_bytes()
    header = header[: header.index(b"\x1f\x43\xb6\x75")]  # up to the first cluster
    assert header.count(b"\x54\xb0") == header.count(b"\x54\xba") == 1  # DisplayWidth and DisplayHeight
    assert wrong(film, output) == []


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("H-side-by-side.mkv", ["stereo 3D"]),
        ("I-alpha.webm", ["the alpha channel"]),
        ("I-captions.ts", ["captions inside the pictures (CEA-608 or CEA-708)"]),
        ("I-spherical.mkv", ["spherical description"]),
        (
            "I-tags-and-chapters.mkv",
            [
                "chapters have titles in several languages",
                "chapters inside of chapters",
                "'pt-BR', of which only the language 'por' is kept",
                "'zh-Hant', of which only the language 'chi' is kept",
            ],
        ),
    ],
)
def test_what_is_lost_is_reported_and_found(
    faults: Path, upscaled: Upscaled, tmp_path: Path, messages: list[str], name: str, lost: list[str]
) -> None:
    film, options = faults / name, {"drop_incompatible": True}
    output = upscaled(film, tmp_path / "out.mp4", ratio="2:1", **options).target
    findings = verify(Job(source=film, target=output, drop_incompatible=True))
    for words in lost:
        assert any(words in message for message in messages), messages
        assert any(words in finding.message for finding in findings if finding.subject == "losses"), findings
    assert wrong(film, output, **options) == []
    with av.open(str(output)) as container:
        assert "alpha_mode" not in {name.lower() for name in container.streams.video[0].metadata}


def test_an_alpha_channel_leaves_no_sign(faults: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    output = upscaled(faults / "I-alpha.webm", tmp_path / "out.webm", ratio="2:1").target
    with av.open(str(output)) as container:
        assert "alpha_mode" not in {name.lower() for name in container.streams.video[0].metadata}


def test_dolby_vision_is_reported_as_lost(shared_data: Path, tmp_path: Path) -> None:
    film = shared_data / "av1" / "video_dovi_3840x2160_30fps_dav1_10.mp4"
    assert any("Dolby Vision" in message for message in losses(str(film), container_for(tmp_path / "out.mkv")))


def test_files_without_anything_special_lose_nothing(shared_data: Path, tmp_path: Path) -> None:
    for name in ("parkjoy.mp4", "beach.webm", "hdr10-av1.mp4", "metadata_hdr_cll_mdcv.ivf"):
        assert losses(str(shared_data / "av1" / name), container_for(tmp_path / "out.mkv")) == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_cropping_of_the_container(faults: Path, upscaled: Upscaled, tmp_path: Path, suffix: str) -> None:
    film = faults / "G-cropped.mkv"
    result = upscaled(film, tmp_path / f"out{suffix}", ratio="2:1")
    assert (result.source_size, result.target_size) == ((48, 40), (96, 80))
    with av.open(str(result.target)) as container:
        stream = container.streams.video[0]
        # Matroska counts the shown width in whole pixels.
        assert float(stream.sample_aspect_ratio) == pytest.approx(10 / 9, abs=0.5 / 96)
    assert wrong(film, result.target) == []


@pytest.mark.parametrize("name", ["M-colour-changes.ts", "M-pixel-shape-changes.ts"])
def test_a_header_holds_one_description(
    faults: Path, upscaled: Upscaled, tmp_path: Path, messages: list[str], name: str
) -> None:
    result = upscaled(faults / name, tmp_path / "out.mkv", ratio="2:1")
    assert result.frames == 100
    assert any("header" in message for message in messages), messages
    assert wrong(faults / name, result.target) == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_parts_of_pictures_are_no_tracks(
    faults: Path, upscaled: Upscaled, tmp_path: Path, messages: list[str], suffix: str
) -> None:
    film = faults / "J-animated.avif"
    result = upscaled(film, tmp_path / f"out{suffix}", ratio="2:1")
    output = result.target
    assert result.frames == 5
    with av.open(str(output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    assert sum("is a part of a picture" in message for message in messages) == 3
    assert wrong(film, output) == []
