"""Audio and video stay in sync over two hours of irregular times."""

import math
import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame

from tests.helpers.films import packets_of, times_of
from vs_srcomp.batch.cut import cut
from vs_srcomp.batch.join import join
from vs_srcomp.batch.segments import encode_segment
from vs_srcomp.processor import ordinary_threads
from vs_srcomp.source.media import fraction
from vs_srcomp.transcode import Job

_TWO_HOURS = 7200

# The clocks of MP4 files that cameras write: neither is a whole number of milliseconds.
_PICTURE_CLOCK, _SOUND_CLOCK = Fraction(1, 90_000), Fraction(1, 44_100)

_MILLISECOND = Fraction(1, 1000)

# In each packet of sound: about a third of a second, so that there are not too many.
_SAMPLES = 16_384


@pytest.fixture(scope="module")
def long_mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    write_film(path, moments())
    return path


@pytest.fixture(scope="module")
def long_mkv(long_mp4: Path) -> Path:
    """The same in Matroska, which counts milliseconds."""
    path = long_mp4.with_suffix(".mkv")
    with av.open(str(long_mp4)) as before, av.open(str(path), "w") as after:
        streams = [after.add_stream_from_template(stream, opaque=True) for stream in before.streams]
        for packet in before.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                after.mux(packet)
    return path


def moments() -> list[int]:
    """When pictures are shown, in units of the picture's clock: bursts at several rates, hardly ever quite regular,
    with pauses of up to a minute, over two hours."""
    chance = random.Random(1)
    times = [0]
    while times[-1] < _TWO_HOURS / _PICTURE_CLOCK:
        step = chance.choice((1500, 3003, 3750, 9000))
        for _ in range(chance.randint(3, 10)):
            times.append(times[-1] + step + chance.choice((-7, 0, 11)))
        times.append(times[-1] + chance.randint(5 * 90_000, 60 * 90_000))
    return times


def write_film(path: Path, times: list[int]) -> None:
    with ordinary_threads(), av.open(str(path), "w") as film:
        picture = film.add_stream("libsvtav1", rate=25, options={"preset": "12", "crf": "50", "svtav1-params": "lp=1"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        picture.codec_context.time_base = picture.time_base = _PICTURE_CLOCK
        picture.codec_context.gop_size = 40
        sound = film.add_stream("flac", rate=44_100, layout="mono", format="s16")
        # Encoded first: a writer has to know both before it writes anything.
        packets = [packet for frame in frames(times) for packet in picture.encode(frame)] + picture.encode(None)
        silence = AudioFrame.from_ndarray(np.zeros((1, _SAMPLES), np.int16), "s16", "mono")
        silence.rate, silence.pts, silence.time_base = 44_100, 0, _SOUND_CLOCK
        content = bytes([*sound.encode(silence), *sound.encode(None)][0])
        for number in range(int(_TWO_HOURS / _SOUND_CLOCK / _SAMPLES)):
            packet = Packet(content)
            packet.pts = packet.dts = number * _SAMPLES
            packet.duration, packet.time_base, packet.stream = _SAMPLES, _SOUND_CLOCK, sound
            packets.append(packet)
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * fraction(packet.time_base)):
            film.mux(packet)


def frames(times: list[int]) -> Iterator[VideoFrame]:
    for number, time in enumerate(times):
        luma = np.full((72, 64), 128, np.uint8)
        luma[:48] = (np.arange(64) * 3 + number * 5) % 200 + 20
        frame = VideoFrame.from_ndarray(luma, "yuv420p")
        frame.pts, frame.time_base = time, _PICTURE_CLOCK
        yield frame


def transcoded(source: Path, target: Path, model: Path) -> Path:
    """In pieces, as a batch does it."""
    job = Job(source=source, target=target, model=model, preset=12, crf=50, segment_seconds=900)
    folder = target.parent / f"{target.name}.parts"
    folder.mkdir()
    segments = cut(job)
    assert len(segments) > 4
    records = [encode_segment(job, segment, folder / segment.name) for segment in segments]
    return join(job, segments, records, folder).target


def to_clock(times: list[Fraction], unit: Fraction) -> list[Fraction]:
    """The nearest times that a clock can show; halves are rounded up."""
    return [math.floor(time / unit + Fraction(1, 2)) * unit for time in times]


def sound_times(film: Path) -> list[Fraction]:
    return [time for time, _ in packets_of(film, 1)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_from_exact_clocks(long_mp4: Path, model: Path, tmp_path: Path, suffix: str) -> None:
    pictures = [time * _PICTURE_CLOCK for time in moments()]
    sounds = [number * _SAMPLES * _SOUND_CLOCK for number in range(int(_TWO_HOURS / _SOUND_CLOCK / _SAMPLES))]
    assert (times_of(long_mp4), sound_times(long_mp4)) == (pictures, sounds)
    assert min(pictures[-1], sounds[-1]) > _TWO_HOURS - 60
    output = transcoded(long_mp4, tmp_path / f"out{suffix}", model)
    if suffix == ".mkv":
        pictures, sounds = (to_clock(times, _MILLISECOND) for times in (pictures, sounds))
    assert times_of(output) == pictures
    assert sound_times(output) == sounds


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_from_milliseconds(long_mkv: Path, model: Path, tmp_path: Path, suffix: str) -> None:
    output = transcoded(long_mkv, tmp_path / f"out{suffix}", model)
    assert times_of(output) == times_of(long_mkv)
    if suffix == ".mkv":
        assert packets_of(output, 1) == packets_of(long_mkv, 1)
    else:
        # Sound in MP4 counts samples.
        assert sound_times(output) == to_clock(sound_times(long_mkv), _SOUND_CLOCK)
