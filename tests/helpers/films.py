"""Small films with everything that a transcode must keep, and functions that read them."""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import imageio_ffmpeg
import numpy as np
from av.video.frame import VideoFrame
from onnx import helper

from tests.helpers.networks import make_onnx

if TYPE_CHECKING:
    from vs_srcomp.transcode import Result

type Upscaled = Callable[..., Result]

INTERLACED = ("-vf", "interlace,setfield=tff", "-flags", "+ilme+ildct", "-x264-params", "interlaced=1")
"""Options for libx264: top field first."""

SUBTITLES = """1
00:00:00,200 --> 00:00:00,700
Grüße

2
00:00:00,900 --> 00:00:01,300
second
"""

CHAPTERS = """;FFMETADATA1
title=A film
DESCRIPTION=made by a test
[CHAPTER]
TIMEBASE=1/1000
START=0
END=800
title=Beginning
[CHAPTER]
TIMEBASE=1/1000
START=800
END=1600
title=Ende
"""


def write_model(path: Path) -> Path:
    """A network that makes the luma a little brighter."""
    weights = np.zeros((1, 1, 3, 3), np.float32)
    weights[0, 0, 1, 1] = 0.02
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["r"], pads=[1] * 4),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    path.write_bytes(make_onnx(nodes, {"w": weights}))
    return path


class Studio:
    """Makes films with FFmpeg in its own folder."""

    def __init__(self, folder: Path) -> None:
        """Write the parts of films to ``folder``."""
        self.folder = folder
        self._shared: set[str] = set()
        (folder / "subtitles.srt").write_text(SUBTITLES, "utf-8")
        (folder / "chapters.txt").write_text(CHAPTERS, "utf-8")
        (folder / "font.ttf").write_bytes(bytes(range(256)) * 8)

    def make(self, *arguments: str) -> Path:
        """Run FFmpeg. Returns the path of its output, the last argument."""
        assert arguments[-1] not in self._shared, "other tests read this film: take another name"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdin=subprocess.DEVNULL)
        return self.folder / arguments[-1]

    def sound(self, film: Path, name: str, codec: str) -> Path:
        """``film`` with a tone that rises at 1 s."""
        tone = "aevalsrc=sin(2*PI*t*if(lt(t\\,1)\\,300\\,3000)):sample_rate=48000:duration=2"
        return self.make("-i", str(film), "-f", "lavfi", "-i", tone, "-c:v", "copy", "-c:a", codec, name)

    def picture(self, name: str, *options: str, size: str = "96x64", rate: str = "25", seconds: float = 0.4) -> Path:
        """A film without sound."""
        source = f"testsrc2=size={size}:rate={rate}:duration={seconds}"
        encoder = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
        return self.make("-f", "lavfi", "-i", source, *encoder, *options, name)

    def film(self) -> Path:
        """1.6 s of 10-bit BT.2020 video with two sounds, subtitles in two forms, chapters, a font and tags."""
        self.make("-i", "subtitles.srt", "subtitles.ass")
        film = self.make(
            *("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=1.6"),
            *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1.6"),
            *("-f", "lavfi", "-i", "sine=frequency=880:sample_rate=44100:duration=1.6"),
            *("-i", "subtitles.ass", "-i", "subtitles.srt", "-i", "chapters.txt"),
            *("-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map", "4"),
            *("-map_metadata", "5", "-map_chapters", "5"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-bf", "2"),
            *("-vf", "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=arib-std-b67:range=limited"),
            *("-chroma_sample_location", "topleft"),
            *("-c:a:0", "libopus", "-c:a:1", "aac", "-c:s:0", "ass", "-c:s:1", "subrip"),
            *("-metadata:s:v:0", "title=Picture", "-metadata:s:a:0", "language=deu", "-metadata:s:a:0", "title=Ton"),
            *("-metadata:s:a:1", "language=eng", "-metadata:s:s:0", "language=fra", "-metadata:s:s:1", "language=jpn"),
            *("-disposition:a:0", "default", "-disposition:a:1", "comment", "-disposition:s:0", "forced"),
            *("-disposition:s:1", "hearing_impaired", "-disposition:v:0", "default"),
            *("-attach", "font.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font"),
            "film.mkv",
        )
        self._shared.add(film.name)
        return film


def frames_of(path: Path) -> list[VideoFrame]:
    """All frames of the first video track."""
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))


def times_of(path: Path) -> list[Fraction]:
    """Time of each frame in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        unit = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        return sorted(packet.pts * unit for packet in container.demux(stream) if packet.size and packet.pts is not None)


def packets_of(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    """Time in seconds and content of each packet of one stream."""
    with av.open(str(path)) as container:
        stream = container.streams[index]
        unit = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        return [
            (packet.pts * unit, bytes(packet))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]


def durations_of(path: Path, index: int = 0) -> list[Fraction]:
    """Durations of the packets of one stream in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams[index]
        unit = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        return [(packet.duration or 0) * unit for packet in container.demux(stream) if packet.size]
