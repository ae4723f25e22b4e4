"""Single frames of picture files by FFmpeg."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import vapoursynth as vs
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vs_srcomp.errors import error
from vs_srcomp.source.media import decoder_for, local_file, open_container, tracks
from vs_srcomp.stills.picture import Plane


def decoded_frame(file: Path, *, film_grain: bool = False) -> VideoFrame:
    """The picture in ``file``, or one of its tiles."""
    with open_container(local_file(file)) as container:
        stream = tracks(container)[0]
        decoder = decoder_for(stream, film_grain=film_grain, threads=0)
        for packet in container.demux(stream):
            for frame in decoder.decode(packet):
                return frame
    raise _undecodable(file)


def decoded_packet(file: Path, codec: str) -> VideoFrame:
    """The picture in ``file``, which is a packet of ``codec``, as those of PNG and TIFF are: to open it as a container
    would decode it twice."""
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    data = file.read_bytes()
    for packet in (av.Packet(_without_exif(data) if codec == "png" else data), None):
        for frame in context.decode(packet):
            return frame
    raise _undecodable(file)


def _without_exif(png: bytes) -> bytes:
    """``png`` without its EXIF, which Pillow reads: FFmpeg decodes no picture whose EXIF is damaged."""
    kept, at = [png[:8]], 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] != b"eXIf":
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def planes_of_frame(frame: VideoFrame) -> list[NDArray[Any]]:
    """The planes of a planar YUV ``frame``, whole, also where the chroma of an odd size is rounded up."""
    dtype = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        planes.append(rows[:, : plane.width].copy())
    return planes


def _undecodable(file: Path) -> vs.Error:
    return error(f"{str(file)!r} has no picture that can be decoded", "check that the file is whole")


_PACKED = {
    "gray": (1, "u1"),
    "ya8": (2, "u1"),
    "rgb24": (3, "u1"),
    "rgba": (4, "u1"),
    **{f"{name}le": (count, "<u2") for name, count in (("gray16", 1), ("ya16", 2), ("rgb48", 3), ("rgba64", 4))},
    **{f"{name}be": (count, ">u2") for name, count in (("gray16", 1), ("ya16", 2), ("rgb48", 3), ("rgba64", 4))},
}


def channels_of_frame(frame: VideoFrame) -> list[Plane] | None:
    """Grey, grey and alpha, RGB or RGBA of 8 or 16 bits; None for a ``frame`` of another kind."""
    if frame.format.name not in _PACKED:
        return None
    count, dtype = _PACKED[frame.format.name]
    rows = np.frombuffer(frame.planes[0], dtype).reshape(frame.height, -1)
    samples = rows[:, : frame.width * count].reshape(frame.height, frame.width, count)
    native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    return [native[:, :, number] for number in range(count)]


def alpha_item(file: Path, size: tuple[int, int]) -> Plane | None:
    """The alpha plane of an AVIF file in 16 bits: an item of its own, grey and of the picture's size.

    None where it is uncertain: in tiles, or where another grey picture is in the file.
    """
    with open_container(local_file(file)) as container:
        found = [
            stream
            for stream in container.streams.video
            if stream.codec_context
            and (stream.codec_context.pix_fmt or "").startswith("gray")
            and (stream.width, stream.height) == size
        ]
        if len(found) != 1:
            return None
        (stream,) = found
        for packet in container.demux(stream):
            for frame in stream.codec_context.decode(packet):
                peak = (1 << frame.format.components[0].bits) - 1
                codes = planes_of_frame(frame)[0].astype(np.uint32)
                return ((codes * 65535 + peak // 2) // peak).astype(np.uint16)
    return None
