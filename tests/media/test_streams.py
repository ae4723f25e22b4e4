"""All other streams and metadata are copied."""

from pathlib import Path

import av
import pytest
import vapoursynth as vs

from tests.helpers.films import Studio, Upscaled, packets_of, times_of
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.transcode import Job, transcode


@pytest.fixture(scope="module")
def output(upscaled: Upscaled, film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upscaled(film, tmp_path_factory.mktemp("out") / "großer Film ✓.mkv").target


def test_every_packet_of_other_streams_is_copied(film: Path, output: Path) -> None:
    for index in range(1, 5):
        assert packets_of(output, index) == packets_of(film, index)


def test_order_dispositions_and_tags_of_streams(film: Path, output: Path) -> None:
    with av.open(str(film)) as before, av.open(str(output)) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        assert [s.disposition for s in after.streams] == [s.disposition for s in before.streams]
        for old, new in zip(before.streams, after.streams, strict=True):
            for tag in ("language", "title", "filename", "mimetype"):
                assert new.metadata.get(tag) == old.metadata.get(tag)
        assert after.streams[0].metadata["title"] == "Picture"
        assert "ENCODER" not in after.streams[0].metadata
        assert after.streams[1].metadata["ENCODER"] == before.streams[1].metadata["ENCODER"]


def test_chapters_tags_and_fonts(film: Path, output: Path) -> None:
    with av.open(str(film)) as before, av.open(str(output)) as after:
        assert after.metadata["title"] == "A film"
        assert after.metadata["DESCRIPTION"] == "made by a test"
        assert after.chapters() == before.chapters()
        assert len(after.chapters()) == 2
        assert after.streams.attachments[0].data == before.streams.attachments[0].data
        assert len(after.streams.attachments[0].data) == 2048


def test_the_picture_is_av1_and_twice_as_large(film: Path, output: Path) -> None:
    with av.open(str(output)) as container:
        context = container.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.width, context.height) == ("av1", 192, 128)
    assert times_of(output) == times_of(film)


def test_result_and_progress(film: Path, model: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    job = Job(source=film, target=tmp_path / "out.mkv", ratio="4:3", model=model, preset=12)
    result = transcode(job, progress=lambda done, total: calls.append((done, total)))
    assert (result.source_size, result.target_size, result.frames) == ((96, 64), (128, 86), 40)
    assert result.models == {"brighter.onnx": 40}
    assert result.bytes == (tmp_path / "out.mkv").stat().st_size
    assert calls == [(number, 40) for number in range(1, 41)]


def test_the_program_that_has_written_an_avi_is_no_tag(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    film = studio.picture("tagged.avi", "-metadata", "title=Kept")
    with av.open(str(film)) as container:
        assert "Lavf" in container.metadata["software"]
    output = upscaled(film, tmp_path / "out.mkv").target
    with av.open(str(output)) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}
    assert (tags["title"], "software" in tags) == ("Kept", False)
    assert [finding for finding in verify(Job(source=film, target=output)) if finding.fault] == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_second_picture_keeps_its_order(studio: Studio, upscaled: Upscaled, tmp_path: Path, suffix: str) -> None:
    """Matroska does not say when pictures are decoded that are shown in another order."""
    first = studio.picture("two-first.mkv", seconds=1)
    second = studio.picture("two-second.mkv", "-preset", "medium", "-bf", "3", "-x264-params", "b-adapt=0", seconds=1)
    film = studio.make("-i", str(first), "-i", str(second), "-map", "0", "-map", "1", "-c", "copy", "two.mkv")
    before = packets_of(film, 1)
    assert [time for time, _ in before] != sorted(time for time, _ in before)
    output = upscaled(film, tmp_path / f"out{suffix}").target
    assert packets_of(output, 1) == before
    assert [str(finding) for finding in verify(Job(source=film, target=output)) if finding.fault] == []
    bad = studio.make(
        "-i", str(output), "-map", "0", "-c", "copy", "-bsf:v:1", "setts=pts=PTS+2000*eq(N\\,5)", f"bad{suffix}"
    )
    assert any("packets: stream 1" in str(finding) for finding in verify(Job(source=film, target=bad)))


def test_subtitles_of_mp4_become_plain_text_in_matroska(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    picture = studio.picture("texts-picture.mkv", seconds=1.6)
    film = studio.make("-i", str(picture), "-i", "subtitles.srt", "-c:v", "copy", "-c:s", "mov_text", "texts.mp4")
    output = upscaled(film, tmp_path / "out.mkv").target
    assert [content.decode() for _, content in packets_of(output, 1)] == ["Grüße", "second"]
    assert [float(time) for time, _ in packets_of(output, 1)] == [0.2, 0.9]
    with av.open(str(output)) as container:
        assert container.streams[1].codec_context.codec.canonical_name == "subrip"


def test_chapters_and_subtitles_in_mp4(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    picture = studio.picture("chapters-picture.mkv", seconds=1.6)
    inputs = ("-i", str(picture), "-i", "subtitles.srt", "-i", "chapters.txt")
    film = studio.make(*inputs, "-c:v", "copy", "-c:s", "mov_text", "-map_chapters", "2", "chapters.mp4")
    output = upscaled(film, tmp_path / "out.mp4").target
    with av.open(str(output)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["Beginning", "Ende"]
    assert packets_of(output, 1) == packets_of(film, 1)


def test_cover_art_is_kept_where_it_can_be(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    picture = studio.picture("cover-picture.mkv")
    studio.make("-f", "lavfi", "-i", "testsrc2=size=32x32:duration=0.04", "-frames:v", "1", "cover.png")
    maps = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic")
    film = studio.make("-i", str(picture), "-i", "cover.png", *maps, "cover.mp4")
    with av.open(str(film)) as container:
        cover = container.streams.video[1].disposition
    for name in ("out.mp4", "out.mkv"):
        output = upscaled(film, tmp_path / name).target
        with av.open(str(output)) as container:
            assert container.streams.video[1].disposition & cover
            assert container.streams.video[1].codec_context.name == "png"
    with pytest.raises(vs.Error, match=r"\.webm files cannot hold stream 1 \(video, png"):
        upscaled(film, tmp_path / "out.webm")
    assert upscaled(film, tmp_path / "out.webm", drop_incompatible=True).frames == 10


@pytest.mark.parametrize(
    ("suffix", "misfits"),
    [
        (".mp4", ["subtitle, ass, fra", "subtitle, subrip, jpn", "attachment"]),
        (".webm", ["audio, aac, eng", "subtitle, ass, fra", "subtitle, subrip, jpn", "attachment"]),
    ],
)
def test_streams_that_do_not_fit_are_refused_before_any_work(
    upscaled: Upscaled, film: Path, tmp_path: Path, suffix: str, misfits: list[str]
) -> None:
    with pytest.raises(vs.Error, match=f"{suffix} files cannot hold") as refusal:
        upscaled(film, tmp_path / f"out{suffix}")
    for misfit in misfits:
        assert misfit in str(refusal.value)
    assert "write a .mkv file instead" in str(refusal.value).splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
    output = upscaled(film, tmp_path / f"out{suffix}", drop_incompatible=True).target
    with av.open(str(output)) as container:
        kept = [stream for stream in container.streams if stream.type != "data"]  # MP4 has its chapters in one
        assert len(kept) == 6 - len(misfits)


def test_a_second_video_track_is_copied_with_a_word(
    studio: Studio, upscaled: Upscaled, film: Path, tmp_path: Path, messages: list[str]
) -> None:
    picture = studio.picture("first.mkv")
    both = studio.make(
        *("-i", str(picture), "-i", str(picture), "-map", "0:v", "-map", "1:v", "-c", "copy", "both.mkv"),
    )
    target = upscaled(both, tmp_path / "out.mkv").target
    assert packets_of(target, 1) == packets_of(both, 1)
    said = "stream 1 (video, {}) is copied as it is: only the first video track is upscaled"
    with av.open(str(both)) as container:
        codec = container.streams[1].codec_context.name
    assert any(said.format(codec) in message for message in messages), messages
