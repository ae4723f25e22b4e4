"""Shuffled access to files of every available encoder: threaded decoders may fail after a flush."""

import contextlib
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs
from av.video.frame import VideoFrame

from vs_srcomp.source import source

from .reference import clip_digest, linear_digests, scene, video_frame, write_video

_HARDWARE = ("_nvenc", "_qsv", "_amf", "_v4l2m2m", "_vaapi", "_mf", "_videotoolbox")
_COUNT = 24

# Those of which many files are around; PyAV's wheels have them.
_COMMON = {
    *("ffv1", "huffyuv", "libsvtav1", "libvpx", "libvpx-vp9", "libx264", "libx265", "mjpeg"),
    *("mpeg2video", "mpeg4", "prores_ks", "utvideo"),
}


def _encoders() -> Iterator[str]:
    for name in sorted(av.codecs_available):
        with contextlib.suppress(av.codec.codec.UnknownCodecError):
            if av.Codec(name, "w").type == "video" and not name.endswith(_HARDWARE):
                yield name


def _frames(pixel_format: str, width: int, height: int) -> Iterator[VideoFrame]:
    for n in range(_COUNT):
        u, v = (np.full((height // 2, width // 2), value, np.uint8) for value in (128, 100 + n))
        frame = video_frame([scene(n, width, height), u, v], "yuv420p", width, height)
        yield frame if pixel_format == "yuv420p" else frame.reformat(format=pixel_format)


def _opened(folder: Path, encoder: str) -> tuple[Path, vs.VideoNode]:
    """A file by ``encoder`` in a container, size and pixel format that it takes, and the clip by a single thread."""
    formats = [video_format.name for video_format in av.Codec(encoder, "w").video_formats or ()]
    wanted = ["yuv420p"] if "yuv420p" in formats or not formats else formats[:2]
    reason = ""
    for size, container, pixel_format in product(
        ((64, 48), (176, 144), (720, 576)), ("nut", "mov", "avi", "rm", "apng"), wanted
    ):
        file = folder / f"v.{container}"
        try:
            write_video(file, _frames(pixel_format, *size), codec=encoder, options={"strict": "-2", "g": "8"})
        except (av.FFmpegError, OSError, ValueError) as refusal:
            reason = str(refusal)
            continue
        try:
            clip = source(file, threads=1)
        except vs.Error as refusal:
            if "has no counterpart in VapourSynth" not in str(refusal):
                raise
            raise _not_tested(encoder, str(refusal)) from refusal
        if len(clip) > _COUNT // 2:
            return file, clip
    raise _not_tested(encoder, f"not encoded: {reason}")


def _not_tested(encoder: str, reason: str) -> BaseException:
    """The failure of a common codec, or the skip of another one."""
    return pytest.fail.Exception(reason) if encoder in _COMMON else pytest.skip.Exception(reason)


def test_common_codecs_are_among_them() -> None:
    assert set(_encoders()) >= _COMMON


@pytest.mark.parametrize("encoder", list(_encoders()))
def test_shuffled_access_gives_what_linear_access_gives(encoder: str, tmp_path: Path) -> None:
    file, linear = _opened(tmp_path, encoder)
    expected = [clip_digest(linear, n) for n in range(len(linear))]
    clip = source(file, threads=4)
    assert len(clip) == len(expected)
    for seed in range(3):
        numbers = random.Random(seed).sample(range(len(clip)), len(clip))
        assert [clip_digest(clip, n) for n in numbers] == [expected[n] for n in numbers]


def test_theora(shared_data: Path) -> None:
    """No encoder is at hand; with frame threads five of 225 pictures are wrong."""
    file = shared_data / "faults/K-theora.ogv"
    expected = linear_digests(file)
    clip = source(file, threads=4)
    assert [clip_digest(clip, n) for n in range(75)] == expected
    for seed in range(4):
        numbers = random.Random(seed).sample(range(75), 75)
        assert [clip_digest(clip, n) for n in numbers] == [expected[n] for n in numbers]
