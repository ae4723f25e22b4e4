from pathlib import Path

import av
import pytest

from tests.helpers.films import Studio, Upscaled
from vs_srcomp.media.containers import container_for
from vs_srcomp.media.tags import lost_tags, tags_to_write
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.transcode.job import Job

MKV, MP4 = (container_for(Path(name)) for name in ("out.mkv", "out.mp4"))
PLACE = "com.apple.quicktime.location.ISO6709"


def test_a_container_of_free_tags_holds_all() -> None:
    tags = {"anything": "1", PLACE: "+48.1370+011.5750/"}
    assert lost_tags(tags, MKV) == []
    assert tags_to_write(tags, MKV) == tags


def test_what_mp4_cannot_hold_is_named() -> None:
    tags = {"TITLE": "A title", "comment": "A comment", "REPLAYGAIN": "-6 dB", "make": "Apple"}
    assert lost_tags(tags, MP4) == ["REPLAYGAIN", "make"]
    assert lost_tags({}, MP4) == []


def test_the_place_of_a_phone_has_another_name_in_mp4() -> None:
    assert tags_to_write({PLACE: "+48.1370+011.5750/"}, MP4) == {"location": "+48.1370+011.5750/"}
    assert tags_to_write({PLACE: "+1+1/", "location": "+2+2/"}, MP4) == {"location": "+2+2/"}
    assert lost_tags({PLACE: "+48.1370+011.5750/"}, MP4) == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_video_of_a_phone_keeps_its_place(
    suffix: str, studio: Studio, upscaled: Upscaled, tmp_path: Path, messages: list[str]
) -> None:
    film = studio.make(
        *("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=0.2", "-c:v", "mpeg4"),
        *("-movflags", "use_metadata_tags", "-metadata", f"{PLACE}=+48.1370+011.5750/", "-metadata", "shoe=42"),
        "phone.mov",
    )
    with av.open(str(film)) as container:
        assert container.metadata[PLACE] == "+48.1370+011.5750/"
    with av.open(str(upscaled(film, tmp_path / f"out{suffix}").target)) as container:
        held = {name.upper(): value for name, value in container.metadata.items()}
    assert held["LOCATION" if suffix == ".mp4" else PLACE.upper()] == "+48.1370+011.5750/"
    told = [message for message in messages if "tags are left out" in message]
    assert [message.endswith("cannot hold them: shoe") for message in told] == [True] * (suffix == ".mp4")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_titles_of_tracks_stay_titles(suffix: str, studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    film = studio.make(
        *("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=0.2", "-f", "lavfi", "-i", "sine=duration=0.2"),
        *("-c:v", "mpeg4", "-metadata:s:0", "title=Picture", "-metadata:s:1", "title=Commentary"),
        "titles.mp4",
    )
    output = upscaled(film, tmp_path / f"out{suffix}").target
    with av.open(str(film)) as before, av.open(str(output)) as after:
        assert [stream.metadata["name"] for stream in before.streams] == ["Picture", "Commentary"]
        name = "name" if suffix == ".mp4" else "title"  # as FFmpeg reads it
        assert [stream.metadata[name] for stream in after.streams] == ["Picture", "Commentary"]
        assert suffix == ".mp4" or "NAME" not in after.streams[1].metadata
    assert [str(finding) for finding in verify(Job(source=film, target=output))] == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_timecode_track_is_kept_as_a_tag(
    suffix: str, studio: Studio, upscaled: Upscaled, tmp_path: Path, messages: list[str]
) -> None:
    film = studio.make(
        *("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=0.2", "-c:v", "mpeg4"),
        *("-timecode", "01:02:03:04", "timecode.mov"),
    )
    with av.open(str(film)) as container:
        assert [stream.type for stream in container.streams] == ["video", "data"]
    with av.open(str(upscaled(film, tmp_path / f"out{suffix}").target)) as container:
        tags = {name.lower(): value for name, value in container.streams.video[0].metadata.items()}
        assert tags["timecode"] == "01:02:03:04"
        assert len(container.streams.data) == (suffix == ".mp4")
    assert not any("left out" in message for message in messages)
