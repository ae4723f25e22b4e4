"""How a player turns and stretches the picture."""

import struct

from av.video.stream import VideoStream

from vs_srcomp.transcode.picture import Picture


def display_matrix(stream: VideoStream) -> list[int] | None:
    """How the picture of ``stream`` is turned: nine numbers as in ISO/IEC 14496-12, 8.5.2; None if it is upright.

    The translation is left out: it counts pixels of the picture as it was before, and players go without it.
    """
    matrix = stream.codec_context.coded_side_data.get("display_matrix") if stream.codec_context else None
    if matrix is None:
        return None
    a, b, u, c, d, v, _, _, w = struct.unpack("=9i", matrix[:36])
    return [a, b, u, c, d, v, 0, 0, w]


def display_size(picture: Picture) -> tuple[int, int]:
    """Width and height in which ``picture`` is shown, so that its pixels become square."""
    return round(picture.width * picture.sample_aspect_ratio), picture.height
