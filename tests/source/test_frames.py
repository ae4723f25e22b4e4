"""Every frame, in any order of requests, is that of a plain linear decode."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs

from tests.helpers.field_pictures import write_fields
from vs_srcomp.source import source
from vs_srcomp.source.reader import FrameReader

from .counting import CountingDecoder
from .reference import SHARED, clip_arrays, clip_digest, digest, linear_digests, shared_files, write_scenes

REFERENCE = json.loads((SHARED / "av1/frame_md5.json").read_text()) if SHARED.is_dir() else {}
DECODABLE = [name for name, facts in REFERENCE.items() if "frame_md5" in facts]

# FFmpeg finds no decoder for the tag of this plain AV1 stream.
UNKNOWN_TAG = "av1/video_dovi_3840x2160_30fps_dav1_10.mp4"
REFUSED = {"av1/sample_av1c_fragmented_clearkey.mp4", "av1/vase_tile_list.ivf", UNKNOWN_TAG}
PLAYABLE = [name for name in shared_files("av1", "video") if name not in REFUSED]


@pytest.mark.parametrize("name", DECODABLE)
def test_frames_match_the_recorded_md5(name: str, shared_data: Path) -> None:
    clip = source(shared_data / "av1" / name, film_grain=True)
    expected = REFERENCE[name]["frame_md5"]
    assert "truncated_at" in REFERENCE[name] or len(clip) == len(expected)
    assert [clip_digest(clip, n) for n in range(len(expected))] == expected


@pytest.mark.parametrize("name", PLAYABLE)
def test_linear_access_equals_a_plain_decode(name: str, shared_data: Path) -> None:
    most = 20 if name.startswith("av1") else 6
    clip = source(shared_data / name)
    assert [clip_digest(clip, n) for n in range(min(most, len(clip)))] == linear_digests(shared_data / name, most=most)


@pytest.mark.parametrize("name", PLAYABLE)
def test_frame_count_is_what_a_plain_decode_brings(name: str, shared_data: Path) -> None:
    with av.open(str(shared_data / name)) as container:
        container.streams.video[0].thread_type = "AUTO"
        assert len(source(shared_data / name)) == sum(1 for _ in container.decode(video=0))


def test_dolby_vision_tag_is_decoded_as_av1(shared_data: Path) -> None:
    file = shared_data / UNKNOWN_TAG
    clip = source(file)
    assert (clip.width, clip.height, clip.format.name, len(clip)) == (3840, 2160, "YUV420P10", 119)
    context = av.CodecContext.create("libdav1d", "r")
    assert isinstance(context, av.VideoCodecContext)
    with av.open(str(file)) as container:
        frames = (frame for packet in container.demux(video=0) for frame in context.decode(packet))
        planes = next(frames).planes
        expected = np.frombuffer(planes[0], np.uint16).reshape(2160, -1)[:, :3840]
        assert (np.asarray(clip.get_frame(0)[0]) == expected).all()


RANDOM_ACCESS = [
    "av1/beach.webm",
    "av1/gpac_128x128.obu",
    "av1/test-25fps.av1.ivf",
    "av1/av1.annexb.obu",
    "av1/grid.webm",
    "av1/set_maps_av1.ivf",
    "video/VID_1280x720_cabac_temporal_direct.264",
    "video/park_joy_420_720p50_frm0to9_480x270.y4m",
]


@pytest.mark.parametrize("name", [name for name in RANDOM_ACCESS if SHARED.is_dir()])
def test_any_order_equals_linear_order(name: str, shared_data: Path) -> None:
    check_any_order(shared_data / name, most=80 if name.startswith("av1") else 16)


# Sparse key frames, B-frames, open groups of pictures, and containers with and without timestamps or an index.
ENCODINGS = {
    "h264.mp4": ("libx264", {"bf": "3", "g": "12", "x264-params": "open-gop=1"}),
    "h264.mkv": ("libx264", {"bf": "3", "g": "12", "x264-params": "open-gop=1"}),
    "h264.ts": ("libx264", {"bf": "2", "g": "12"}),
    "h264.avi": ("libx264", {"bf": "2", "g": "12"}),
    "h264.264": ("libx264", {"bf": "2", "g": "12", "x264-params": "open-gop=1"}),
    "h264-intra-refresh.mp4": ("libx264", {"bf": "0", "g": "12", "x264-params": "intra-refresh=1"}),
    "h265.mp4": ("libx265", {"x265-params": "log-level=none:keyint=12:bframes=3:open-gop=1"}),
    "h265.265": ("libx265", {"x265-params": "log-level=none:keyint=12:bframes=3"}),
    "mpeg2.ts": ("mpeg2video", {"bf": "2", "g": "12"}),
    "mpeg2.mpg": ("mpeg2video", {"bf": "2", "g": "12"}),
    "mpeg4.avi": ("mpeg4", {"bf": "2", "g": "12"}),
    "vp8.webm": ("libvpx", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16", "b": "100k"}),
    "vp9.webm": ("libvpx-vp9", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16", "b": "100k"}),
    "av1.mp4": ("libsvtav1", {"g": "12", "preset": "12", "svtav1-params": "film-grain=8"}),
    "av1.mkv": ("libsvtav1", {"g": "12", "preset": "12"}),
    "av1-open.mp4": ("libsvtav1", {"g": "12", "preset": "10", "svtav1-params": "irefresh-type=1"}),
    "av1.obu": ("libsvtav1", {"g": "12", "preset": "12"}),
    "ffv1.nut": ("ffv1", {}),
    "mjpeg.mov": ("mjpeg", {"strict": "-1"}),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_any_order_equals_linear_order_in_other_codecs(name: str, tmp_path: Path) -> None:
    codec, options = ENCODINGS[name]
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV is built without {codec}")
    file = write_scenes(tmp_path / name, 50, codec=codec, options=options)
    check_any_order(file, most=50)


def test_hidden_pictures_of_vp8_are_no_frames(tmp_path: Path) -> None:
    whole = write_scenes(tmp_path / "whole.webm", 30, codec="libvpx", options={"g": "10"})
    hidden = tmp_path / "hidden.webm"
    with av.open(str(whole)) as reader, av.open(str(hidden), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for number, packet in enumerate(reader.demux(video=0)):
            if number == 15:
                memory = bytearray(packet)
                memory[0] &= ~0x10  # show_frame
                packet.update(bytes(memory))
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    assert len(linear_digests(hidden)) == 29
    check_any_order(hidden, most=29)


def check_any_order(file: Path, most: int) -> None:
    expected = linear_digests(file)
    count = min(most, len(expected))
    clip = source(file)
    assert len(clip) == len(expected)
    numbers = random.Random(1).sample(range(count), min(count, 20))
    assert [clip_digest(clip, n) for n in numbers] == [expected[n] for n in numbers]
    backward = source(file)
    assert [clip_digest(backward, n) for n in reversed(range(count))] == expected[:count][::-1]
    last_first = source(file)
    assert clip_digest(last_first, len(expected) - 1) == expected[-1]
    assert clip_digest(last_first, 0) == expected[0]


def test_many_threads_get_the_right_frames(shared_data: Path) -> None:
    file = shared_data / "av1/beach.webm"
    expected = linear_digests(file)
    clip = source(file)
    with ThreadPoolExecutor(8) as pool:
        numbers = [*range(120), *random.Random(2).sample(range(345), 24), *range(345)[::-20]]
        assert list(pool.map(lambda n: clip_digest(clip, n), numbers)) == [expected[n] for n in numbers]


def test_prefetching_host_gets_frames_in_order(shared_data: Path) -> None:
    file = shared_data / "av1/beach.webm"
    clip = source(file)
    digests = [digest(clip_arrays(frame)) for frame in clip.frames(prefetch=16, backlog=32, close=True)]
    assert digests == linear_digests(file)


def test_temporal_filters_see_the_right_neighbours(shared_data: Path) -> None:
    clip = source(shared_data / "av1/parkjoy.mp4")
    previous = clip[0] + clip
    difference = vs.core.std.Expr([clip, previous[: len(clip)]], "x y = 0 255 ?")
    assert difference.get_frame(0)[0][0, 0] == 0
    twice = source(shared_data / "av1/parkjoy.mp4")
    same = vs.core.std.Expr([clip, twice], "x y = 0 255 ?").std.PlaneStats()
    assert [frame.props["PlaneStatsMax"] for frame in same.frames()] == [0] * len(clip)


def decoder_of(file: Path) -> CountingDecoder:
    return CountingDecoder(str(file), 0, film_grain=False, threads=1)


def longest_group(file: Path) -> int:
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = [n for n, packet in enumerate(packets) if packet.is_keyframe]
    return int(np.diff([*keys, len(packets)]).max())


def test_a_random_frame_costs_at_most_one_group_of_pictures(shared_data: Path) -> None:
    file = shared_data / "av1/long_180p_av1.mp4"
    decoder = decoder_of(file)
    reader = FrameReader(decoder)
    most = longest_group(file)
    assert most < 400  # of 21,766: otherwise this test would say nothing
    for number in (21765, 3, 10000, 9999, 20000, 1234, 15000):
        before = decoder.decoded
        reader.get(number)
        assert decoder.decoded - before <= most


def test_going_backward_decodes_each_group_of_a_small_video_once(shared_data: Path) -> None:
    file = shared_data / "av1/long_180p_av1.mp4"
    decoder = decoder_of(file)
    reader = FrameReader(decoder)
    before = decoder.decoded
    for number in range(5999, 5299, -1):
        reader.get(number)
    assert 700 <= decoder.decoded - before <= 700 + 2 * longest_group(file)


def test_linear_access_decodes_each_frame_once(shared_data: Path) -> None:
    decoder = decoder_of(shared_data / "av1/beach.webm")
    reader = FrameReader(decoder)
    for number in range(len(reader.index)):
        reader.get(number)
    assert decoder.decoded == len(reader.index)


def test_raw_streams_are_sought_without_decoding_from_the_start(tmp_path: Path) -> None:
    file = write_scenes(tmp_path / "a.obu", 60, codec="libsvtav1", options={"g": "12", "preset": "12"})
    decoder = decoder_of(file)
    reader = FrameReader(decoder)
    for number in (50, 10, 30):
        before = decoder.decoded
        reader.get(number)
        assert 0 < decoder.decoded - before <= longest_group(file)


def test_the_index_leads_from_frames_to_packets(shared_data: Path) -> None:
    file = shared_data / "av1/beach.webm"
    index = FrameReader(decoder_of(file)).index
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    numbers = index.packet_of
    assert index.packets.pts[numbers].tolist() == [packet.pts for packet in packets]
    assert index.packets.position[numbers].tolist() == [packet.pos for packet in packets]


@pytest.mark.parametrize("name", [n for n in PLAYABLE if n.startswith("av1/") and n.endswith(".mp4")])
def test_a_sample_table_gives_the_same_as_reading_all_packets(name: str, shared_data: Path) -> None:
    packets = FrameReader(decoder_of(shared_data / name)).index.packets
    with av.open(str(shared_data / name)) as container:
        read = [packet for packet in container.demux(video=0) if packet.size]
    assert packets.pts.tolist() == [packet.pts for packet in read]
    assert packets.duration.tolist() == [packet.duration for packet in read]
    assert packets.position.tolist() == [packet.pos for packet in read]
    assert packets.size.tolist() == [packet.size for packet in read]
    assert packets.key.tolist() == [packet.is_keyframe for packet in read]
    assert packets.shown.tolist() == [not packet.is_discard for packet in read]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_two_packets_of_fields_are_one_frame(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"fields{suffix}"
    write_fields(file, 20)
    clip = source(file)
    assert (len(clip), clip.fps) == (20, 25)
    assert [clip.get_frame(n)[0][0, 0] for n in (19, 3, 0)] == [20 + 6 * n for n in (19, 3, 0)]
    assert [clip_digest(clip, n) for n in range(20)] == linear_digests(file)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_packets_without_a_picture_are_no_frames(suffix: str, tmp_path: Path) -> None:
    coded, file = write_scenes(tmp_path / "coded.mkv", 12, codec="mpeg4"), tmp_path / f"film{suffix}"
    # ISO/IEC 14496-2, 6.2.5: a predicted picture, of time 0, that is not coded, which repeats the one before.
    not_coded = b"\0\0\1\xb6\x50\x5f"
    with av.open(str(coded)) as before, av.open(str(file), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for number, packet in enumerate(p for p in before.demux(video=0) if p.size):
            copy = av.Packet(not_coded if number in (5, 8) else bytes(packet))
            copy.stream, copy.time_base, copy.is_keyframe = stream, packet.time_base, packet.is_keyframe
            copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
            after.mux(copy)
    plain = linear_digests(file)
    clip = source(file)
    assert len(clip) == len(plain) == 10
    assert [clip_digest(clip, n) for n in range(10)] == plain
