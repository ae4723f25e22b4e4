"""Muxers are tried before any work, and a refusal while writing names the stream and the reason."""

from pathlib import Path

import av
import pytest
import vapoursynth as vs

from tests.helpers.films import Studio, Upscaled
from vs_srcomp.media import mux
from vs_srcomp.media.muxer_probe import try_copy
from vs_srcomp.media.subtitles import AnyPacket


@pytest.mark.parametrize(("muxer", "index", "taken"), [("matroska", 1, True), ("mp4", 2, True), ("webm", 2, False)])
def test_streams_are_tried_with_their_packets(film: Path, muxer: str, index: int, taken: bool) -> None:
    with av.open(str(film)) as container:
        assert (try_copy(muxer, container.streams[index]) is None) == taken


def test_what_is_in_the_muxers_list_may_be_refused(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    picture = studio.picture("refusal-picture.mkv")
    tone = ("-f", "lavfi", "-i", "sine=duration=0.4", "-c:v", "copy", "-c:a", "truehd", "-strict", "-2")
    film = studio.make("-i", str(picture), *tone, "refusal.mkv")
    with pytest.raises(vs.Error, match=r"stream 1 \(audio, truehd\): .*experimental\nwrite a \.mkv file instead"):
        upscaled(film, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []
    assert upscaled(film, tmp_path / "out.mp4", drop_incompatible=True).frames == 10


def test_a_refusal_while_writing_names_the_stream_and_the_reason(
    film: Path, upscaled: Upscaled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unrepaired(self: mux.Muxer, packet: AnyPacket, stream: av.stream.Stream) -> None:
        assert packet.pts is not None
        packet.dts = packet.pts + 1000

    monkeypatch.setattr(mux.Muxer, "_make_rise", unrepaired)
    with pytest.raises(vs.Error, match=r"stream 2 \(audio, aac, eng\) cannot be written .*: pts") as refused:
        upscaled(film, tmp_path / "out.mkv")
    assert "permissions" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []
