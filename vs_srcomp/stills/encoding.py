"""Pictures of more than 8 bits by FFmpeg's encoders."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import vapoursynth as vs

from vs_srcomp.processor import ordinary_threads
from vs_srcomp.stills.picture import Tags


def write_deep_avif(file: Path, clip: vs.VideoNode, tags: Tags, quality: int) -> None:
    """Write AVIF of 10 bits with SVT-AV1.

    Args:
        file: Where to write.
        clip: One frame of YUV420P10, with ``_Matrix`` and ``_Range``.
        tags: What the colours mean; (2, 2) stands for sRGB.
        quality: 1 to 100, of which 100 is the finest quantizer.
    """
    with clip.get_frame(0) as source:
        frame = av.VideoFrame(clip.width, clip.height, "yuv420p10le")
        for plane, number in zip(frame.planes, range(3), strict=True):
            rows = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
            rows[:, : plane.width] = np.asarray(source[number])
        props: dict[str, Any] = dict(source.props)
    primaries = 1 if tags.primaries == 2 else tags.primaries
    transfer = 13 if tags.transfer == 2 else tags.transfer
    matrix, full = int(props["_Matrix"]), int(props["_Range"]) == vs.RANGE_FULL
    with av.open(str(file), "w", format="avif") as container:
        crf = max(1, round((100 - quality) * 63 / 100))
        stream = container.add_stream(
            "libsvtav1", rate=1, options={"crf": str(crf), "preset": "5", "svtav1-params": "avif=1"}
        )
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p10le"
        described: tuple[Any, ...] = (stream.codec_context, frame)
        for each in described:
            each.color_primaries, each.color_trc = primaries, transfer
            each.colorspace, each.color_range = matrix, 2 if full else 1
        with ordinary_threads():
            stream.codec_context.open()
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
