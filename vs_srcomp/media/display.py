"""Rotation and aspect ratio of the picture in a player."""

import struct
from fractions import Fraction

from av.video.stream import VideoStream

from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.media.picture import Picture


def display_matrix(stream: VideoStream) -> list[int] | None:
    """The display matrix of ``stream``, nine numbers (ISO/IEC 14496-12, 8.5.2); None if the picture is upright.

    The translation is left out: it is in pixels of the source, and players ignore it.
    """
    matrix = stream.codec_context.coded_side_data.get("display_matrix") if stream.codec_context else None
    if matrix is None:
        return None
    a, b, u, c, d, v, _, _, w = struct.unpack("=9i", matrix[:36])
    return [a, b, u, c, d, v, 0, 0, w]


def display_size(picture: Picture, stereo_mode: str = "") -> tuple[int, int]:
    """Width and height of ``picture`` with square pixels.

    Args:
        picture: Format of the track.
        stereo_mode: FFmpeg's name of Matroska's StereoMode. If two views are side by side or one above the other, the
            size is that of one view, as FFmpeg reads and writes it.
    """
    width = picture.width * picture.sample_aspect_ratio
    side_by_side = stereo_mode.startswith(("left_right", "right_left", "col_interleaved"))
    above = stereo_mode.startswith(("top_bottom", "bottom_top", "row_interleaved"))
    return round(width / 2 if side_by_side else width), round(Fraction(picture.height, 2 if above else 1))


def keeps_stereo_mode(stream: VideoStream, kind: ContainerKind) -> bool:
    """Whether a container of ``kind`` can signal the stereo 3D layout of ``stream``, if it has one."""
    mode = stream.metadata.get("stereo_mode")
    return mode is not None and not {mode, "any"}.isdisjoint(kind.stereo_modes)
