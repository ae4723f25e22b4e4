"""Clips, as the planes of each frame: read from video files, and coded to others, by FFmpeg."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import vapoursynth as vs

from train.errors import EncoderError
from train.ffmpeg import ffmpeg
from train.material.pictures import Plane, clip_planes, planes_to_clip
from vs_srcomp.batch.inputs import VIDEO_SUFFIXES
from vs_srcomp.files import atomic_path
from vs_srcomp.geometry import Ratio
from vs_srcomp.resample import lanczos5

MAX_SIDE = 640
"""Largest side of originals. Downscaling to it removes artefacts of the camera and of earlier codecs."""

FRAMES = 33
"""Frames that are measured of each video: two mini-GOPs of a usual pyramid, and the frame before them."""


def list_videos(folder: Path) -> list[Path]:
    """The video files directly in ``folder``, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)


def read_video(path: Path, frames: int) -> list[list[Plane]]:
    """The planes of the first frames, 8-bit 4:2:0, fitted into 640x640 and cropped to a multiple of 16.

    Raises:
        ValueError: The file is not a readable video.
    """
    fit = f"scale='min({MAX_SIDE},iw)':'min({MAX_SIDE},ih)':force_original_aspect_ratio=decrease:flags=lanczos"
    argv = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-i", str(path), "-map", "0:v:0"]
    argv += ["-vf", f"{fit},crop=trunc(iw/16)*16:trunc(ih/16)*16", "-frames:v", str(frames)]
    argv += ["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "pipe:1"]
    done = subprocess.run(argv, capture_output=True, check=False)
    header, _, raw = done.stdout.partition(b"\n")
    if done.returncode or not raw:
        raise ValueError(f"{path.name}: not a readable video ({done.stderr.decode(errors='replace').strip()})")
    size = {field[:1]: int(field[1:]) for field in header.split() if field[:1] in (b"W", b"H")}
    width, height = size[b"W"], size[b"H"]
    marker = len(b"FRAME\n")
    samples = np.frombuffer(raw, np.uint8).reshape(-1, marker + width * height * 3 // 2)[:, marker:]
    return [planes_of(frame, width, height) for frame in samples]


def planes_of(samples: Plane, width: int, height: int) -> list[Plane]:
    """The planes of one frame of raw video, 8-bit 4:2:0: views of ``samples``, its bytes, (width * height * 3 / 2,)."""
    area = width * height
    return [samples[:area].reshape(height, width), *samples[area:].reshape(2, height // 2, width // 2)]


def encode_clip(original: Sequence[list[Plane]], ratio: Ratio, options: str, target: Path) -> None:
    """Downscale 8-bit 4:2:0 frames by ``ratio``, and encode them to the Matroska file ``target``.

    Args:
        original: The planes of each frame.
        ratio: Original size over coded size.
        options: FFmpeg's options for the encoder.
        target: Output file, written atomically.

    Raises:
        EncoderError: The encoder failed.
    """
    height, width = (int(side / ratio.factor) for side in original[0][0].shape)
    lowered = (clip_planes(lanczos5(planes_to_clip(planes, vs.YUV420P8), width, height)) for planes in original)
    raw = b"".join(plane.tobytes() for planes in lowered for plane in planes)
    argv = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-f", "rawvideo"]
    argv += ["-pix_fmt", "yuv420p", "-video_size", f"{width}x{height}", "-framerate", "25", "-i", "pipe:0"]
    with atomic_path(target) as temporary:
        argv += [*options.split(), "-f", "matroska", "-y", str(temporary)]
        done = subprocess.run(argv, input=raw, capture_output=True, check=False)
        if done.returncode:
            raise EncoderError.of(target.name, done.stderr)
