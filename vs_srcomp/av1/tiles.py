"""Tile layout: sections 5.9.15 and 5.9.16. Nothing in it matters here but its length in bits."""

from functools import lru_cache
from typing import Final, NamedTuple

from vs_srcomp.av1.bits import BitReader

_MAX_TILE_WIDTH: Final = 4096
_MAX_TILE_AREA: Final = 4096 * 2304
_MAX_TILE_COLS: Final = 64
_MAX_TILE_ROWS: Final = 64


class _Limits(NamedTuple):
    """What the frame size allows, in superblocks."""

    sb_cols: int
    sb_rows: int
    max_tile_width_sb: int
    min_log2_tile_cols: int
    max_log2_tile_cols: int
    max_log2_tile_rows: int
    min_log2_tiles: int


def tile_info(bits: BitReader, frame_width: int, frame_height: int, use_128x128_superblock: int) -> None:
    """tile_info(), section 5.9.15.

    Args:
        bits: Where to read.
        frame_width: Coded width, after superres shrank it, in luma samples.
        frame_height: Height in luma samples.
        use_128x128_superblock: As in the sequence header.

    Raises:
        Av1Error: There are more than 64 columns or rows of tiles.
    """
    bits.section = "5.9.15 tile_info"
    limits = _limits(frame_width, frame_height, use_128x128_superblock)
    if bits.flag():  # uniform_tile_spacing_flag
        cols_log2 = limits.min_log2_tile_cols
        while cols_log2 < limits.max_log2_tile_cols and bits.flag():  # increment_tile_cols_log2
            cols_log2 += 1
        rows_log2 = max(limits.min_log2_tiles - cols_log2, 0)
        while rows_log2 < limits.max_log2_tile_rows and bits.flag():  # increment_tile_rows_log2
            rows_log2 += 1
    else:
        sb_cols, sb_rows = limits.sb_cols, limits.sb_rows
        widths = _explicit_sizes(bits, sb_cols, limits.max_tile_width_sb, _MAX_TILE_COLS)
        area = sb_cols * sb_rows
        max_tile_area_sb = area >> (limits.min_log2_tiles + 1) if limits.min_log2_tiles else area
        max_tile_height_sb = max(max_tile_area_sb // max(widths), 1)
        heights = _explicit_sizes(bits, sb_rows, max_tile_height_sb, _MAX_TILE_ROWS)
        cols_log2 = tile_log2(1, len(widths))
        rows_log2 = tile_log2(1, len(heights))
    if cols_log2 or rows_log2:
        bits.skip(cols_log2 + rows_log2 + 2)  # context_update_tile_id, tile_size_bytes_minus_1


def tile_log2(blk_size: int, target: int) -> int:
    """tile_log2(), section 5.9.16: the smallest k with ``blk_size << k`` >= ``target``."""
    return ((target + blk_size - 1) // blk_size - 1).bit_length()


@lru_cache(maxsize=64)
def _limits(frame_width: int, frame_height: int, use_128x128_superblock: int) -> _Limits:
    """The first part of section 5.9.15 with compute_image_size(), section 5.9.9; the same for all frames of a size."""
    mi_cols = 2 * ((frame_width + 7) >> 3)
    mi_rows = 2 * ((frame_height + 7) >> 3)
    shift = 5 if use_128x128_superblock else 4
    sb_cols = (mi_cols + (1 << shift) - 1) >> shift
    sb_rows = (mi_rows + (1 << shift) - 1) >> shift
    sb_size_log2 = shift + 2
    max_tile_width_sb = _MAX_TILE_WIDTH >> sb_size_log2
    max_tile_area_sb = _MAX_TILE_AREA >> (2 * sb_size_log2)
    min_log2_tile_cols = tile_log2(max_tile_width_sb, sb_cols)
    return _Limits(
        sb_cols,
        sb_rows,
        max_tile_width_sb,
        min_log2_tile_cols,
        tile_log2(1, min(sb_cols, _MAX_TILE_COLS)),
        tile_log2(1, min(sb_rows, _MAX_TILE_ROWS)),
        max(min_log2_tile_cols, tile_log2(max_tile_area_sb, sb_rows * sb_cols)),
    )


def _explicit_sizes(bits: BitReader, total: int, largest: int, most: int) -> list[int]:
    """width_in_sbs_minus_1 or height_in_sbs_minus_1 plus 1 of each column or row of tiles."""
    sizes: list[int] = []
    while total:
        if len(sizes) == most:
            bits.fail(f"more than {most} rows or columns of tiles")
        size = bits.ns(min(total, largest)) + 1
        sizes.append(size)
        total -= size
    return sizes
