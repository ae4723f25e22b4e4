"""The video of a file is not always its first stream: pictures may be beside it, or make it up."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs

from vs_srcomp.probe import probe
from vs_srcomp.source import source
from vs_srcomp.source.grid import Grid, read_grid

from .reference import clip_arrays, clip_digest, decoded_arrays, digest, linear_digests, scene, video_frame


def test_an_animation_is_not_its_first_picture(shared_data: Path) -> None:
    file = shared_data / "faults/J-animated.avif"
    with av.open(str(file)) as container:
        expected = [digest(decoded_arrays(frame)) for frame in container.decode(container.streams[2])]  # type: ignore[arg-type]
    clip = source(file)
    assert (len(clip), clip.fps) == (5, 10)
    assert [clip_digest(clip, n) for n in range(5)] == expected
    assert clip_digest(source(file), 3) == expected[3]
    assert all("SrcompQ" in frame.props for frame in clip.frames())
    found = probe(file)
    assert (found.frame_count, len(found.frames)) == (5, 5)
    assert found.frame_rate == 10
    # The picture that stands for the animation comes after the tracks.
    assert [clip_digest(source(file, track=2), 0)] == linear_digests(file)


def test_a_picture_in_tiles_is_whole(shared_data: Path) -> None:
    file = shared_data / "faults/J-grid.avif"
    clip = source(file)
    assert (clip.width, clip.height, len(clip), clip.format.name) == (256, 256, 1, "YUV420P8")
    whole = clip_arrays(clip.get_frame(0))
    with av.open(str(file)) as container:
        for number, stream in enumerate(container.streams.video):
            (frame,) = (frame for packet in container.demux(stream) for frame in packet.decode())
            for plane, tile in zip(whole, decoded_arrays(frame), strict=True):
                height, width = tile.shape
                top, left = number // 2 * height, number % 2 * width
                assert (plane[top : top + height, left : left + width] == tile).all()
            container.seek(0)
    assert {"_Matrix", "_Range", "SrcompQ"} <= set(clip.get_frame(0).props)
    found = probe(file)
    assert (found.width, found.height, found.frame_count) == (256, 256, 1)
    with pytest.raises(vs.Error, match=r"srcomp: track 1 does not exist in .*\nchoose track 0"):
        source(file, track=1)


def test_tiles_may_be_more_than_the_picture(shared_data: Path, tmp_path: Path) -> None:
    cropped = tmp_path / "cropped.avif"
    cropped.write_bytes(with_grid(shared_data, bytes([0, 0, 1, 1]) + struct.pack(">2H", 201, 130)))
    clip = source(cropped)
    assert (clip.width, clip.height) == (200, 130)
    whole = source(shared_data / "faults/J-grid.avif")
    assert (clip_arrays(clip.get_frame(0))[0] == clip_arrays(whole.get_frame(0))[0][:130, :200]).all()


def test_tiles_that_do_not_fit_together_are_refused(shared_data: Path, tmp_path: Path) -> None:
    file = tmp_path / "wider.avif"
    file.write_bytes(with_grid(shared_data, bytes([0, 0, 1, 1]) + struct.pack(">2H", 257, 256)))
    with pytest.raises(vs.Error, match=r"srcomp: .* is a picture in tiles, which do not fit together\nconvert it"):
        source(file)


def with_grid(shared_data: Path, content: bytes) -> bytes:
    """The file of two by two tiles with another description of the grid (ISO/IEC 23008-12, 6.6.2.3.2)."""
    data = (shared_data / "faults/J-grid.avif").read_bytes()
    before = bytes([0, 0, 1, 1]) + struct.pack(">2H", 256, 256)
    assert data.count(before) == 1
    return data.replace(before, content)


def test_the_grid_as_the_file_describes_it(shared_data: Path) -> None:
    assert read_grid(str(shared_data / "faults/J-grid.avif")) == Grid(2, 2, 256, 256, (2, 3, 4, 5))
    with pytest.raises(vs.Error, match=r"srcomp: .* do not fit together"):
        read_grid(str(shared_data / "av1/parkjoy.mp4"))


@pytest.mark.parametrize("flagged", [True, False])
def test_cover_art_is_not_the_video(flagged: bool, tmp_path: Path) -> None:
    """Some programs write it as a first track that does not say what it is."""
    file = tmp_path / "c.mp4"
    gray = np.full((24, 32), 128, np.uint8)
    with av.open(str(file), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        film = container.add_stream("libx264", rate=25)
        for stream, pixel_format in ((cover, "yuvj420p"), (film, "yuv420p")):
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        if flagged:
            cover.disposition = av.stream.Disposition.attached_pic
        for stream, count in ((cover, 1), (film, 12)):
            for n in range(count):
                frame = video_frame([scene(n, 64, 48), gray, gray], stream.pix_fmt or "", 64, 48)
                frame.pts, frame.time_base = n, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    clip = source(file)
    assert (len(clip), clip.format.name) == (12, "YUV420P8")
    assert probe(file).codec == "h264"
    if not flagged:
        assert len(source(file, track=1)) == 1
