"""AVIF that Pillow does not write, by FFmpeg: of more than 8 bits, and without loss."""

import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import vapoursynth as vs

from vs_srcomp.processor import core_count, ordinary_threads
from vs_srcomp.stills.picture import Tags

INSTALL = 'pip install "vs-srcomp[metrics]"'


def libaom_program() -> str | None:
    """FFmpeg with libaom, which PyAV's libraries lack; None if the package that has it is not installed."""
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def write_avif_by_libaom(file: Path, clip: vs.VideoNode, tags: Tags, quality: int, *, lossless: bool) -> None:
    """Write AVIF of any bits and subsampling that AV1 has.

    Args:
        file: Where to write.
        clip: One frame: GRAY or RGB of 8, 10 or 12 bits, or YUV of 10 or 12, with ``_Matrix`` and ``_Range``.
        tags: What the colours mean; (2, 2) stands for sRGB.
        quality: 1 to 100, of which 100 is the finest quantizer.
        lossless: Keep every sample; ``clip`` is GRAY or RGB then, for which AV1 has the matrix "identity".

    Raises:
        ValueError: The program failed.
    """
    program = libaom_program()
    assert program is not None  # `fit` looks for it
    kind = clip.format
    with clip.get_frame(0) as frame:
        planes = [np.ascontiguousarray(frame[number]) for number in range(kind.num_planes)]
        props: dict[str, Any] = dict(frame.props)
    is_rgb = kind.color_family == vs.RGB
    primaries, transfer = _unambiguous(tags)
    full = is_rgb or int(props["_Range"]) == vs.RANGE_FULL
    matrix = 0 if is_rgb else int(props.get("_Matrix", 1))
    described = f"color_primaries={primaries}:color_trc={transfer}:colorspace={matrix}:range={'pc' if full else 'tv'}"
    argv = [program, "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", _pixel_format(kind)]
    argv += ["-s", f"{clip.width}x{clip.height}", "-i", "-", "-frames:v", "1", "-vf", f"setparams={described}"]
    argv += ["-c:v", "libaom-av1", "-still-picture", "1", "-usage", "allintra", "-cpu-used", "8", "-row-mt", "1"]
    argv += ["-threads", str(core_count()), "-b:v", "0", "-crf", "0" if lossless else str(_crf(quality))]
    argv += ["-aom-params", "lossless=1"] if lossless else []
    argv += ["-f", "avif", f"file:{file}"]
    data = b"".join(plane.tobytes() for plane in ([planes[1], planes[2], planes[0]] if is_rgb else planes))
    done = subprocess.run(argv, input=data, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"libaom: {lines[-1] if lines else done.returncode}")


def _pixel_format(kind: vs.VideoFormat) -> str:
    """FFmpeg's name, of planes in its order, which for RGB is green, blue, red."""
    deep = f"{kind.bits_per_sample}le" if kind.bits_per_sample > 8 else ""
    if kind.color_family == vs.GRAY:
        return f"gray{deep}"
    if kind.color_family == vs.RGB:
        return f"gbrp{deep}"
    return {(0, 0): "yuv444p", (1, 0): "yuv422p", (1, 1): "yuv420p"}[kind.subsampling_w, kind.subsampling_h] + deep


def _crf(quality: int) -> int:
    return max(1, round((100 - quality) * 63 / 100))


def _unambiguous(tags: Tags) -> tuple[int, int]:
    """Primaries and transfer function, of which none is left open."""
    return 1 if tags.primaries == 2 else tags.primaries, 13 if tags.transfer == 2 else tags.transfer


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
    primaries, transfer = _unambiguous(tags)
    matrix, full = int(props["_Matrix"]), int(props["_Range"]) == vs.RANGE_FULL
    with av.open(str(file), "w", format="avif") as container:
        stream = container.add_stream(
            "libsvtav1", rate=1, options={"crf": str(_crf(quality)), "preset": "5", "svtav1-params": "avif=1"}
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
