"""SrcompQ and SrcompBaseQIdx: of the right frame, the same in any order of access, and constant in a scene."""

import gc
import os
import random
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs

import vs_srcomp
from vs_srcomp.av1.estimate import estimates
from vs_srcomp.source import source
from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.index import Index
from vs_srcomp.source.quantizer import quantizers_of
from vs_srcomp.source.scan import scan

from .reference import shared_files, write_scenes


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three key frames, with pyramids between them."""
    options = {"preset": "12", "crf": "40", "g": "24", "svtav1-params": "lp=1:scd=0"}
    return write_scenes(tmp_path_factory.mktemp("q") / "q.mkv", 60, (64, 64), codec="libsvtav1", options=options)


def quantizers(clip: vs.VideoNode, numbers: list[int]) -> dict[int, tuple[object, object]]:
    found = {}
    for number in numbers:
        with clip.get_frame(number) as frame:
            found[number] = frame.props.get("SrcompQ"), frame.props.get("SrcompBaseQIdx")
    return found


def expected(file: Path) -> dict[int, tuple[object, object]]:
    """By the scan of the whole file."""
    shown = list(scan(file))
    return {
        number: (pytest.approx(estimate / 4, abs=1e-4), frame.frame.base_q_idx)
        if frame.frame and estimate is not None
        else (None, None)
        for number, (frame, estimate) in enumerate(zip(shown, estimates(shown), strict=True))
    }


def test_every_frame_has_its_own(film: Path) -> None:
    want = expected(film)
    assert sum(shown.starts_scene for shown in scan(film)) == 3
    assert len({base for _, base in want.values()}) > 3
    assert quantizers(source(film), list(range(60))) == want


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_access_makes_no_difference(film: Path, seed: int) -> None:
    numbers = list(range(60))
    random.Random(seed).shuffle(numbers)
    assert quantizers(source(film), numbers) == expected(film)


@pytest.mark.parametrize("order", ["forward", "backward", "random"])
@pytest.mark.parametrize(
    "name",
    ["av1.annexb.obu", "av1_video.mkv", "beach.webm", "gpac_128x128.obu", "parkjoy.mp4", "parkjoy_error-resilient.ivf"],
)
def test_real_streams(shared_data: Path, name: str, order: str) -> None:
    file = shared_data / "av1" / name
    want = expected(file)
    numbers = {"forward": list(want), "backward": list(want)[::-1], "random": random.Random(1).sample(list(want), 5)}
    sample = numbers[order][:12]
    assert quantizers(source(file), sample) == {number: want[number] for number in sample}


def test_a_key_packet_that_is_no_key_frame_is_seen_through(film: Path) -> None:
    """As careless muxers write them: every packet is marked as one where decoding can start."""
    index = index_of(film)
    careless = replace(index, packets=replace(index.packets, key=np.ones(60, bool)))
    found = quantizers_of(str(film), 0, careless)
    assert found is not None
    want = expected(film)
    for number in (40, 3, 59, 24, 23):
        props = found.props(number)
        assert (props["SrcompQ"], props["SrcompBaseQIdx"]) == want[number]


def test_a_jump_to_such_a_packet_ends_the_run_in_progress(tmp_path: Path) -> None:
    """The key packet before it is near to where the search for a scene's start leaves off."""
    options = {"preset": "12", "g": "200", "svtav1-params": "lp=1:scd=0"}
    file = write_scenes(tmp_path / "long.mkv", 900, (64, 64), codec="libsvtav1", options=options)
    index = index_of(file)
    key = index.packets.key.copy()
    key[650] = True
    found = quantizers_of(str(file), 0, replace(index, packets=replace(index.packets, key=key)))
    assert found is not None
    want = expected(file)
    for number in (*range(12), 660, 670):
        assert found.props(number)["SrcompQ"] == want[number][0]


def test_parsing_leads_far_enough_and_no_further(tmp_path: Path) -> None:
    options = {"preset": "12", "g": "24", "svtav1-params": "lp=1:scd=0"}
    file = write_scenes(tmp_path / "long.mkv", 500, (64, 64), codec="libsvtav1", options=options)
    found = quantizers_of(str(file), 0, index_of(file))
    assert found is not None
    found.props(0)
    for number in range(1, 500):
        assert found._read[number]
        found.props(number)
        # The longest stretch, and what is read at a time; the lead grows while the first frames are asked for.
        assert min(number + 256, 500 - 1, 32 * number) <= found._demuxer.next <= number + 256 + 32


def test_frames_that_cannot_be_judged_have_none(film: Path, tmp_path: Path) -> None:
    """A damaged header: what leans on its frame is unknown up to the next key frame, all else is not."""
    data = bytearray(film.read_bytes())
    with av.open(str(film)) as container:
        damaged = [packet for packet in container.demux(video=0) if packet.size][33]
    data[data.index(bytes(damaged), damaged.pos)] = 0xFF
    file = tmp_path / "damaged.mkv"
    file.write_bytes(data)
    known = [shown.frame is not None for shown in scan(file)]
    assert known == [True] * 33 + [False] * 15 + [True] * 12

    for order in (range(60), range(59, -1, -1)):
        found = quantizers_of(str(file), 0, index_of(file))
        assert found is not None
        judged = {number: bool(found.props(number)) for number in order}
        assert [judged[number] for number in range(60)] == known


def index_of(file: Path) -> Index:
    with closing(Decoder(str(file), 0, film_grain=False, threads=1)) as decoder:
        return decoder.index


def test_other_codecs_have_none(tmp_path: Path) -> None:
    file = write_scenes(tmp_path / "m.mkv", 3, (64, 64), codec="mpeg4")
    assert quantizers(source(file), [0, 2]) == {0: (None, None), 2: (None, None)}


def test_upscale_goes_by_them(film: Path) -> None:
    clip = source(film)
    with clip.get_frame(30) as frame:
        q = frame.props["SrcompQ"]
    with vs_srcomp.upscale(clip).get_frame(30) as frame:
        assert frame.props["SrcompQ"] == q
        assert "SrcompBaseQIdx" in frame.props
    with vs_srcomp.upscale(clip, q=20).get_frame(30) as frame:
        assert frame.props["SrcompQ"] == 20


def test_frames_without_them_are_reported_once(messages: list[str]) -> None:
    blank = vs.core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=3)
    for clip in (blank.std.SetFrameProps(SrcompQ=20.0), blank, blank):
        for frame in vs_srcomp.upscale(clip).frames(close=True):
            assert frame.props["SrcompModel"].startswith("srcomp-fast-2by1")
    assert ["Q 25 is taken" in message for message in messages].count(True) == 1


@pytest.mark.parametrize("name", shared_files("video"))
def test_real_files_of_other_codecs(shared_data: Path, name: str) -> None:
    assert quantizers(source(shared_data / name), [0]) == {0: (None, None)}


def test_the_file_is_closed_without_waiting_for_the_collector(film: Path) -> None:
    def opened() -> int:
        return sum(os.path.realpath(link) == str(film) for link in Path("/proc/self/fd").iterdir())

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    gc.collect()
    before = opened()
    gc.disable()
    try:
        clip = source(film)
        clip.get_frame(40).close()
        assert opened() > before
        del clip
        assert opened() == before
    finally:
        gc.enable()
