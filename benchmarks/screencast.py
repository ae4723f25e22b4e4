"""A synthetic screencast: text is typed and scrolled, windows are moved, and most of the time little changes.

    python benchmarks/screencast.py screencast.mkv [--size 960x540] [--seconds 10] [--crf 30]

It is compressed as AV1 with settings for screen content, as in conferences and recorders. The same arguments give the
same file with the same encoder. `vs-srcomp bench screencast.mkv` measures the gain of reuse on it.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import click
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

type Picture = NDArray[np.uint8]

RATE = 25
GLYPH = 6, 10
"""Width and height of a character, without the space around it."""

_CELL = GLYPH[0] + 2, GLYPH[1] + 6
_TITLE = 18

# Frames of each phase in turn: typing, a pause, scrolling by lines, a pause, dragging a window.
_PERIOD = (("type", 24), ("rest", 8), ("scroll", 2), ("rest", 8), ("drag", 6), ("rest", 12))


class Editor:
    """A window with lines of text."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        """Make a window of a size in pixels, full of text."""
        self.size = width, height
        self._rng = rng
        self._glyphs = [rng.random((GLYPH[1], GLYPH[0])) < 0.45 for _ in range(60)]
        self._columns, self._rows = (width - 16) // _CELL[0], (height - _TITLE - 16) // _CELL[1]
        self._lines = [self._line() for _ in range(self._rows - 1)] + [[]]

    def type(self) -> None:
        """Type a character, or a new line at the end of a line."""
        if len(self._lines[-1]) >= self._columns - 4:
            self.scroll()
        self._lines[-1].append(self._character())

    def scroll(self) -> None:
        """Scroll up by a line."""
        self._lines = [*self._lines[1:], []]

    def draw(self) -> Picture:
        """The picture of the window."""
        width, height = self.size
        picture = np.full((height, width), 225, np.uint8)
        picture[:_TITLE] = 90
        picture[:, [0, -1]] = picture[[0, -1]] = 60
        for row, line in enumerate(self._lines):
            for column, character in enumerate(line):
                if character is not None:
                    y, x = _TITLE + 8 + row * _CELL[1], 8 + column * _CELL[0]
                    picture[y : y + GLYPH[1], x : x + GLYPH[0]][self._glyphs[character]] = 30
        y, x = _TITLE + 8 + (len(self._lines) - 1) * _CELL[1], 8 + len(self._lines[-1]) * _CELL[0]
        picture[y : y + GLYPH[1] + 2, x : x + 2] = 0
        return picture

    def _line(self) -> list[int | None]:
        return [self._character() for _ in range(self._rng.integers(0, self._columns - 4))]

    def _character(self) -> int | None:
        return None if self._rng.random() < 0.17 else int(self._rng.integers(len(self._glyphs)))


def frames(width: int, height: int, count: int, seed: int = 1) -> Iterator[Picture]:
    """Luma of ``count`` frames of a size in pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    desktop = (90 + 40 * np.sin(x / 170) * np.cos(y / 110) + rng.normal(0, 3, (height, width))).clip(16, 235)
    editor = Editor(width * 11 // 20, height * 3 // 4, rng)
    other = Editor(width * 2 // 5, height * 2 // 5, rng).draw()
    left, top = width * 11 // 20, height // 8
    steps = [step for step, length in _PERIOD for _ in range(length)]
    for number in range(count):
        step = steps[number % len(steps)]
        if step == "type" and number % 3 == 0:
            editor.type()
        elif step == "scroll":
            editor.scroll()
        elif step == "drag":
            way = 1 if number // len(steps) % 2 == 0 else -1
            left, top = left - 3 * way, top + 4 * way
        picture = desktop.astype(np.uint8)
        for window, (at_x, at_y) in ((editor.draw(), (width // 40, height // 10)), (other, (left, top))):
            part = picture[at_y : at_y + window.shape[0], at_x : at_x + window.shape[1]]
            np.copyto(part, window[: part.shape[0], : part.shape[1]])
        yield picture


@click.command()
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--size", default="960x540", show_default=True)
@click.option("--seconds", default=10, show_default=True)
@click.option("--crf", default=30, show_default=True)
def main(target: Path, size: str, seconds: int, crf: int) -> None:
    """Write the screencast to TARGET, a .mkv file."""
    width, height = map(int, size.split("x"))
    with av.open(str(target), "w") as container:
        stream: Any = container.add_stream("libsvtav1", RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "8", "crf": str(crf), "svtav1-params": "scm=1:keyint=250"}
        for number, luma in enumerate(frames(width, height, seconds * RATE)):
            frame = VideoFrame(width, height, "yuv420p")
            for plane, codes in zip(frame.planes, (luma, None, None), strict=True):
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
                rows[:, : plane.width] = 128 if codes is None else codes
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
