"""Drawn training pictures: text, lines and flat areas, which photographs lack."""

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIZE: Final = 768

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?()[]{}+-*/=<>&%$#@"


def write_drawn(folder: Path, count: int) -> None:
    """Write ``count`` pictures of ``SIZE`` x ``SIZE`` pixels to ``folder`` as ``drawn_000.png`` and so on.

    They depend only on their number and on matplotlib's fonts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        draw(number).save(folder / f"drawn_{number:03}.png")


def draw(seed: int) -> Image.Image:
    """One picture: panels, lines, discs and random text on a plain colour or a gradient."""
    rng = np.random.default_rng(seed)
    image = _ground(rng)
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 7))):
        _panel(pen, rng)
    for _ in range(int(rng.integers(5, 40))):
        points = [tuple(int(x) for x in rng.integers(0, SIZE, 2)) for _ in range(2)]
        pen.line(points, fill=_colour(rng), width=int(rng.choice((1, 1, 1, 2, 3, 6))))
    for _ in range(int(rng.integers(0, 10))):
        x, y, radius = (int(value) for value in rng.integers(4, SIZE, 3) // (1, 1, 6))
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill=_colour(rng) if rng.random() < 0.5 else None, outline=_colour(rng))
    fonts = sorted(Path(font_manager.__file__).parent.glob("mpl-data/fonts/ttf/*.ttf"))
    for _ in range(int(rng.integers(10, 40))):
        font = ImageFont.truetype(
            str(rng.choice(np.array(fonts, object))), int(rng.choice((9, 11, 13, 16, 20, 28, 48)))
        )
        words = ["".join(rng.choice(list(_LETTERS), int(rng.integers(1, 10)))) for _ in range(int(rng.integers(1, 12)))]
        x, y = (int(value) for value in rng.integers(-40, SIZE, 2))
        pen.text((x, y), " ".join(words), font=font, fill=_colour(rng))
    return image


def draw_discs(seed: int, side: int) -> NDArray[np.uint8]:
    """Luma, (side, side), of discs of any grey over a gradient. Their edges are jagged: the hardest that there are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    scene = 60 + 90 * x / side + rng.normal(0, 2, x.shape)
    for _ in range(side * side // 1024 + 4):
        inside = np.hypot(x - rng.uniform(0, side), y - rng.uniform(0, side)) < rng.uniform(1, side / 5)
        scene[inside] = rng.uniform(0, 255)
    return np.asarray(np.rint(scene.clip(0, 255)), np.uint8)


def _ground(rng: np.random.Generator) -> Image.Image:
    first, second = (np.array(_colour(rng), float) for _ in range(2))
    if rng.random() < 0.5:
        second = first
    share = np.linspace(0, 1, SIZE)[:, None, None]
    rows = first + (second - first) * share
    picture = np.broadcast_to(rows, (SIZE, SIZE, 3)).round().astype(np.uint8)
    return Image.fromarray(picture if rng.random() < 0.5 else np.ascontiguousarray(picture.transpose(1, 0, 2)))


def _panel(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    x, y = (int(value) for value in rng.integers(-50, SIZE, 2))
    width, height = (int(value) for value in rng.integers(40, 500, 2))
    pen.rectangle((x, y, x + width, y + height), fill=_colour(rng), outline=_colour(rng))


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    if rng.random() < 0.4:
        grey = int(rng.choice((0, 16, 32, 128, 200, 235, 255)))
        return grey, grey, grey
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue
