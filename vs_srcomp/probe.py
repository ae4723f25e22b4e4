"""What a video file shows without decoding all of it, above all how strongly each AV1 frame was compressed."""

import os
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import vapoursynth as vs
from av.container import InputContainer
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from vs_srcomp.av1 import Av1Error, FrameType, Parser, ShownFrame
from vs_srcomp.av1.estimate import estimates
from vs_srcomp.av1.sequence import SequenceHeader
from vs_srcomp.geometry import nearest_quantizer, quantizer_of_index
from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.formats import pixel_format as format_of
from vs_srcomp.source.grid import read_grid
from vs_srcomp.source.index import Packets, build_index, complete_packets, each_is_a_frame, may_have_fields, readable
from vs_srcomp.source.media import (
    Cropping,
    StreamInfo,
    codec_of,
    extradata_of,
    fraction,
    local_file,
    no_picture,
    open_container,
    stream_info,
    video_stream,
)
from vs_srcomp.source.scan import ScanCancelledError, scan
from vs_srcomp.source.timing import timing
from vs_srcomp.stills.formats import JPEG, WEBP, is_picture


class Frame(NamedTuple):
    """A shown frame; what follows ``time`` is None where its headers could not be parsed, as before a key frame."""

    pts: int | None
    """In units of the stream's time base."""
    time: float | None
    """Seconds."""
    type: str | None = None
    """``"key"``, ``"inter"``, ``"intra_only"`` or ``"switch"``."""
    shows_existing: bool | None = None
    """Coded earlier and hidden then, with the values below, and shown by a mere reference."""
    base_q_idx: int | None = None
    """0 to 255."""
    min_q_idx: int | None = None
    """Of the segments."""
    max_q_idx: int | None = None
    delta_q_present: bool | None = None
    """Blocks differ further, by amounts that only decoding shows."""
    superres_denom: int | None = None
    """Coded at 8 / denom of the width."""
    width: int | None = None
    """After super-resolution of the codec."""
    height: int | None = None
    film_grain: bool | None = None
    """To be applied to this frame."""
    bytes: int = 0
    """Of all that was coded since the frame before, hidden frames included."""
    q: float | None = None
    """The estimate, 0 to 63 on libaom's quantizer scale: what `vs_srcomp.source` gives as ``SrcompQ``, rounded to
    0.001."""
    level: int | None = None
    """The nearest of 20, 30, 40 and 50: what ``upscale(q="auto")`` takes on TensorRT."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Frames that have one estimate in common."""

    start: float | None
    """Seconds."""
    end: float | None
    frames: int
    q: float | None


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What is known of the first video track of a file."""

    file: str
    container: str
    """As FFmpeg calls it."""
    codec: str
    width: int
    """Of the pictures that `vs_srcomp.source` gives; of picture files as they are."""
    height: int
    pixel_format: str | None
    """As FFmpeg calls it."""
    bit_depth: int | None
    frame_count: int | None
    """Of the clip that `vs_srcomp.source` gives; None where reading was cut short, or only decoding would show it."""
    frame_rate: Fraction | None
    """Frames per second, None where they are not evenly spaced, or not known."""
    variable_frame_rate: bool | None
    may_have_film_grain: bool | None
    """The sequence header allows it; each frame has it or not. This and what follows is of AV1 alone."""
    spatial_layers: int | None
    temporal_layers: int | None
    complete: bool
    """Everything has been read."""
    frames: tuple[Frame, ...]
    """In order of display; none unless the codec is AV1, or the file a JPEG or WebP picture, which has only ``q``."""

    @property
    def q(self) -> float | None:
        """The median of the estimates."""
        known = sorted(frame.q for frame in self.frames if frame.q is not None)
        return known[len(known) // 2] if known else None

    @property
    def levels(self) -> Counter[int | None]:
        """Number of frames by compression level; None counts those that are not known."""
        return Counter(frame.level for frame in self.frames)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Runs of frames with one estimate; a key frame begins another one."""
        starts = [
            i for i, frame in enumerate(self.frames) if i == 0 or frame.q != self.frames[i - 1].q or frame.type == "key"
        ]
        return tuple(
            Scene(
                start=self.frames[start].time,
                end=self.frames[end].time if end < len(self.frames) else self._end,
                frames=end - start,
                q=self.frames[start].q,
            )
            for start, end in pairwise([*starts, len(self.frames)])
        )

    @property
    def _end(self) -> float | None:
        """Seconds: the last frame is taken to last as long as those before it do on average."""
        times = [frame.time for frame in self.frames if frame.time is not None]
        if len(times) < 2:
            return times[0] if times else None
        return round(times[-1] + (times[-1] - times[0]) / (len(times) - 1), 6)


def probe(path: str | os.PathLike[str], *, seconds: float | None = None) -> Probe:
    """Read the headers of a file.

    Args:
        path: A local file; any codec, but only AV1 headers, and pictures in JPEG and WebP, have the compression level.
        seconds: Stop reading after about so long, with what is known by then: a scene that was not read to its end is
            judged by its beginning, and the number of frames and their rate stay unknown.

    Raises:
        vs.Error: The file cannot be read, has no video, or ends before the end of its first picture.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    file = local_file(path)
    _check_begun(file)
    with open_container(file) as container:
        stream = video_stream(container, 0)
        context = stream.codec_context
        codec = codec_of(stream)
        coded_size = (context.width, context.height) if context else (0, 0)
        pixel_format = context.format if context else None
        time_base = fraction(stream.time_base)
        long_name = container.format.long_name
        info = stream_info(stream)
        count, rate = _count_and_rate(container, stream, file) if deadline is None else (None, None)
    shown: list[ShownFrame] = []
    sequence, complete = None, deadline is None
    if codec == "av1":
        shown, complete = _scan(file, deadline)
        sequence = _sequence(file)
        # Where a stream begins between key frames, only decoding shows which frame is the first.
        begins = shown and any(frame.frame_type == FrameType.KEY for frame in shown[0].coded)
        count = len(shown) if complete and begins else None
        coded_size = next(((f.frame.width, f.frame.height) for f in shown if f.frame), coded_size)
    size = _size(file, info, coded_size, pixel_format)
    frames = _frames(shown, time_base, rate) or _picture(Path(file), *size)
    return Probe(
        file=file,
        container=long_name,
        codec=codec,
        width=size[0],
        height=size[1],
        pixel_format=pixel_format.name if pixel_format else None,
        bit_depth=_bit_depth(pixel_format, sequence),
        frame_count=count,
        frame_rate=rate,
        variable_frame_rate=None if count is None or deadline is not None else rate is None,
        may_have_film_grain=sequence and bool(sequence.film_grain_params_present),
        spatial_layers=sequence and sequence.spatial_layers,
        temporal_layers=sequence and max(1, (sequence.operating_point.idc & 0xFF).bit_length()),
        complete=complete,
        frames=frames,
    )


def _check_begun(file: str) -> None:
    """Refuse a file that was cut before the end of its first picture: it has headers all the same."""
    with open_container(file) as container:
        if next(complete_packets(readable(container.demux(video_stream(container, 0)))), None) is None:
            raise no_picture(file)


def _size(
    file: str, info: StreamInfo, coded_size: tuple[int, int], pixel_format: VideoFormat | None
) -> tuple[int, int]:
    """Width and height of what is shown of pictures of ``coded_size``; see `Probe.width`."""
    if info.is_tile:
        grid = read_grid(file)
        return grid.width, grid.height
    if pixel_format and (info.cropping != Cropping() or not is_picture(Path(file))):
        with suppress(vs.Error):  # a format that the source cannot give
            return format_of(pixel_format.name).window(*coded_size, info.cropping)[2:]
    return coded_size


def _picture(file: Path, width: int, height: int) -> tuple[Frame, ...]:
    """A picture whose level its file has in another way than AV1; nothing for all other files."""
    if file.suffix.lower() not in (*JPEG.suffixes, *WEBP.suffixes):
        return ()
    from vs_srcomp.stills.level import level_of
    from vs_srcomp.stills.opening import is_single, opened

    with opened(file) as image:
        level = level_of(image, file) if is_single(image) else None
    if level is None:
        return ()
    size = file.stat().st_size
    return (
        Frame(None, None, width=width, height=height, bytes=size, q=round(level, 3), level=nearest_quantizer(level)),
    )


def _count_and_rate(container: InputContainer, stream: VideoStream, file: str) -> tuple[int | None, Fraction | None]:
    """How many frames there are, and their rate if it is constant; (None, None) where only decoding would show them."""
    needs_decoding, are_frames = False, False

    def first_decoded(packets: Packets, *, whole: bool) -> Iterable[int]:
        """In any order, which neither the number of frames nor their times depend on."""
        nonlocal needs_decoding, are_frames
        if whole:
            needs_decoding = not are_frames
        elif may_have_fields(stream):
            with closing(Decoder(file, 0, film_grain=False, threads=1)) as decoder:
                order = decoder.display_order(packets, whole=False)
            are_frames = each_is_a_frame(packets, np.array(order, np.int64))
            return order
        else:
            are_frames = True
        return np.flatnonzero(packets.shown)

    index = build_index(container, stream, first_decoded)
    return (None, None) if needs_decoding or not len(index) else (len(index), timing(index).rate)


def _scan(file: str, deadline: float | None) -> tuple[list[ShownFrame], bool]:
    """The shown frames, and whether these are all."""
    shown: list[ShownFrame] = []
    try:
        # What has come stays in the list when the scan ends with an error.
        shown.extend(scan(file, cancel=lambda: deadline is not None and time.monotonic() > deadline))
    except ScanCancelledError:
        return shown, False
    except vs.Error:
        if not shown:
            raise
        return shown, False
    return shown, True


def _sequence(file: str) -> SequenceHeader | None:
    """The first sequence header, from beside the packets or from the first of them."""
    with open_container(file) as container:
        stream = video_stream(container, 0)
        parser = Parser(extradata_of(stream))
        if parser.sequence is None:
            with suppress(Av1Error, av.FFmpegError):
                parser.parse(bytes(next(container.demux(stream), b"")))
        return parser.sequence


def _bit_depth(pixel_format: VideoFormat | None, sequence: SequenceHeader | None) -> int | None:
    if sequence:
        return sequence.color.bit_depth
    return pixel_format.components[0].bits if pixel_format else None


def _frames(shown: list[ShownFrame], time_base: Fraction, rate: Fraction | None) -> tuple[Frame, ...]:
    frames = []
    for number, (record, estimate) in enumerate(zip(shown, estimates(shown), strict=True)):
        at = _seconds(record.pts, time_base, number, rate)
        size = sum(frame.size for frame in record.coded)
        coded = record.frame
        if coded is None or estimate is None:
            frames.append(Frame(record.pts, at, bytes=size))
            continue
        q = quantizer_of_index(estimate)
        frames.append(
            Frame(
                pts=record.pts,
                time=at,
                type=coded.frame_type.name.lower(),
                shows_existing=record.existing_slot is not None,
                base_q_idx=coded.base_q_idx,
                min_q_idx=coded.min_q_idx,
                max_q_idx=coded.max_q_idx,
                delta_q_present=coded.delta_q_present,
                superres_denom=coded.superres_denom,
                width=coded.width,
                height=coded.height,
                film_grain=coded.apply_grain,
                bytes=size,
                q=round(q, 3),
                level=nearest_quantizer(q),
            )
        )
    return tuple(frames)


def _seconds(pts: int | None, time_base: Fraction, number: int, rate: Fraction | None) -> float | None:
    """When a frame is shown, by the rate of a stream without timestamps."""
    if pts is not None:
        return round(float(pts * time_base), 6)
    return round(float(number / rate), 6) if rate else None
