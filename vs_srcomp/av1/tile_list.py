"""Tile lists: section 5.12. They make up pictures of tiles that lie in several frames, as light fields need.

Only the large scale tile decoding process (section 7.3) shows them. It is asked for from outside the stream, is no part
of any profile (Annex A), and dav1d does not have it: what a general decoder shows of such a stream is not its pictures,
but the frames that these take their tiles from.
"""


def is_tile_list(payload: bytes | memoryview) -> bool:
    """Whether ``payload`` is a whole tile_list_obu(): what only became one by damage is hardly ever one to the end."""
    if len(payload) < 4:
        return False
    tiles = 1 + int.from_bytes(payload[2:4], "big")
    at = 4
    for _ in range(tiles):
        # anchor_frame_idx, anchor_tile_row, anchor_tile_col, tile_data_size_minus_1
        if at + 5 > len(payload):
            return False
        at += 5 + 1 + int.from_bytes(payload[at + 3 : at + 5], "big")
    return at == len(payload)
