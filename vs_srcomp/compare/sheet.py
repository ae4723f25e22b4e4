"""The crops of one frame side by side, as a picture for documents."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vs_srcomp.compare.choice import Chosen
from vs_srcomp.compare.colours import to_rgb
from vs_srcomp.compare.inputs import Side
from vs_srcomp.compare.pictures import most_different, pixels
from vs_srcomp.files import atomic_path

CROP = 160, 120
ENLARGED = 2
_LINE, _GAP = 22, 6


def write_sheet(sides: Sequence[Side], candidates: int, chosen: Chosen, target: Path, *, overwrite: bool) -> None:
    """Write the part of a frame where candidates differ most, twice as large, in a row, as the picture ``target``.

    Args:
        sides: The candidates, then the reference if there is one.
        candidates: How many of them are candidates.
        chosen: The frame.
        target: A picture of a kind that is written (`vs_srcomp.stills.formats`), such as a PNG.
        overwrite: Whether to replace an existing file.

    Raises:
        FileExistsError: ``target`` exists.
    """
    pictures = [pixels(to_rgb(side.clip), chosen.number) for side in sides]
    height, width, _ = pictures[0].shape
    size = min(CROP[0], width), min(CROP[1], height)
    left, top = most_different(pictures, candidates, *size)
    cell = size[0] * ENLARGED, size[1] * ENLARGED
    sheet = Image.new("RGB", (len(sides) * (cell[0] + _GAP) - _GAP, cell[1] + _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (side, picture) in enumerate(zip(sides, pictures, strict=True)):
        crop = np.ascontiguousarray(picture[top : top + size[1], left : left + size[0]])
        x = index * (cell[0] + _GAP)
        sheet.paste(Image.fromarray(crop).resize(cell, Image.Resampling.NEAREST), (x, _LINE))
        pen.text((x + 2, 3), side.name, fill="black", font=ImageFont.load_default(14))
    with atomic_path(target, overwrite=overwrite) as temporary:
        sheet.save(temporary, optimize=True)
