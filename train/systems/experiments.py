"""The experiments: each system under the conditions of its paper."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from train.clips import list_videos
from train.degradations import DEGRADATIONS
from train.degradations.degradation import Degraded, covered
from train.degradations.jpeg import Jpeg
from train.degradations.webp import Webp
from train.systems.classic import Plane
from train.systems.methods import Methods, Trained, classic, ensembles, in_steps, made_of, single, twice
from train.systems.pictures import frames, lumas, picture_files
from train.systems.scores import Book, Case, Judge

# Sets used in full.
CLASSIC_SETS = ("set5", "set14")
TRACKS = ("bicubic", "unknown")
CODECS = ("jpeg", "webp", "avif")
QUALITIES = (10, 30, 50, 80)
FRAMES = 4
"""Frames of each video."""


@dataclass(frozen=True)
class Ground:
    """Data and settings of the experiments."""

    data: Path
    """Folder of test sets and videos: ``test/set5`` and so on, ``video``."""
    trained: Trained
    pictures: int = 24
    """Maximum number of pictures of each larger set."""
    side: int = 256
    """Largest side of the centre crops of these pictures and of frames."""
    perceptual: bool = True
    """Whether to measure the perceptual distance where the report shows it. It takes longer than all else."""
    books: Path = field(default=Path("work/systems"))
    """Folder of scores."""

    def book(self, experiment: str) -> Book:
        """The scores of one experiment."""
        return Book(self.books / f"{experiment}-{self.side}.csv", self.trained.weights_of)

    def names(self, name: str) -> list[str]:
        """Names of the pictures of a test set; none if it is not there."""
        count = None if name in CLASSIC_SETS else self.pictures
        return [path.stem for path in picture_files(self.data / "test" / name, count)]

    def set(self, name: str) -> Iterator[tuple[str, Plane]]:
        """Luma of a test set: whole pictures of Set5 and Set14, centre crops of others."""
        if name in CLASSIC_SETS:
            return lumas(self.data / "test" / name)
        return lumas(self.data / "test" / name, self.pictures, self.side)


type Experiment = Callable[[Ground], Iterable[str]]
"""Measures missing scores; yields a line after each part."""


def _measure(
    book: Book, judge: Judge, cases: Iterable[tuple[Case, Plane, Degraded]], methods: Methods, scale: int
) -> Iterator[str]:
    """Measure every method on every case, method by method, so that each network is loaded once."""
    cases = list(cases)

    def lacks(case: Case, method: str) -> bool:
        return book.lacks(case, method, perceptual=judge.perceptual)

    wanted = {name: make for name, make in methods.items() if any(lacks(case, name) for case, _, _ in cases)}
    for name, way in made_of(wanted):
        for case, picture, degraded in cases:
            if lacks(case, name):
                original = covered(picture, degraded)
                book.add(judge.score(case, name, way(degraded.input, scale), original, border=scale))
        yield f"{cases[0][0].experiment}, {cases[0][0].set}, scale {scale}: {name}"


def _cases(
    experiment: str, of_set: str, pictures: Iterable[tuple[str, Plane]], degradation: str, scale: int, title: str = ""
) -> Iterator[tuple[Case, Plane, Degraded]]:
    degrade = DEGRADATIONS.make(degradation, ratio=scale)
    for name, picture in pictures:
        cut = picture[: picture.shape[0] // scale * scale, : picture.shape[1] // scale * scale]
        degraded = degrade(cut, np.random.default_rng(zlib.crc32(f"{of_set} {name}".encode())))
        yield Case(experiment, of_set, name, title or degradation, str(scale)), cut, degraded


def line(ground: Ground) -> Iterator[str]:
    """From SRCNN to ESRGAN: bicubic degradation, scales 2 and 4, all test sets; perceptual distance on Set5."""
    trained, book = ground.trained, ground.book("line")
    for of_set in ("set5", "set14", "kodak", "clic"):
        judge = Judge(perceptual=ground.perceptual and of_set == "set5")
        for scale in (2, 4):
            methods = classic() | single(trained, ("srcnn", "vdsr"))
            if scale == 2:
                methods |= single(trained, ("fsrcnn-2x", "espcn-2x", "edsr-2x"))
                if of_set == "set5":
                    methods |= ensembles(trained, ("edsr-2x",))
            else:
                methods |= twice(trained, ("fsrcnn-2x", "edsr-2x"))
                methods |= single(trained, ("lapsrn-4x", "esrgan-4x-psnr", "esrgan-4x"))
            yield from _measure(
                book, judge, _cases("line", of_set, ground.set(of_set), "bicubic", scale), methods, scale
            )


def espcn(ground: Ground) -> Iterator[str]:
    """ESPCN on video frames: blur and decimation, 2x in one pass and 4x in two, against the baselines."""
    trained, book, judge = ground.trained, ground.book("espcn"), Judge(perceptual=False)
    names = ("espcn-2x", "espcn-2x-video")
    for path in list_videos(ground.data / "video"):
        if path.name.startswith("hdr10"):
            continue  # 10 bits and another transfer function.
        pictures = list(frames(path, FRAMES, ground.side))
        for scale in (2, 4):
            methods = classic()
            methods |= single(trained, names) if scale == 2 else twice(trained, names)
            yield from _measure(
                book, judge, _cases("espcn", path.stem, pictures, "blur-decimate", scale), methods, scale
            )


def fd_srcnn(ground: Ground) -> Iterator[str]:
    """FD-SRCNN: two tracks and three scales, against baselines, SRCNN and the variant without global shortcuts."""
    trained, book, judge = ground.trained, ground.book("fd-srcnn"), Judge(perceptual=False)
    for of_set in ("set5", "kodak"):
        for track in TRACKS:
            for scale in (2, 3, 4):
                name = f"fd-srcnn-{scale}x-{track}"
                methods = classic() | single(trained, ("srcnn", f"{name}-local", name))
                cases = _cases("fd-srcnn", of_set, ground.set(of_set), track, scale)
                yield from _measure(book, judge, cases, methods, scale)


def cisr_psi(ground: Ground) -> Iterator[str]:
    """CISR-PSI: Kodak by codec and quality, and through a chain of services, against two-step methods."""
    trained, book, judge = ground.trained, ground.book("cisr-psi"), Judge(perceptual=False)
    methods = classic() | single(trained, ("edsr-2x",))
    if not trained.missing(("artefacts-1x", "edsr-2x")):
        methods["artefacts-1x, edsr-2x"] = in_steps(trained, ("artefacts-1x", 1), ("edsr-2x", 2))
        methods["edsr-2x, artefacts-1x"] = in_steps(trained, ("edsr-2x", 2), ("artefacts-1x", 1))
    methods |= single(trained, ("edsr-2x-mixed", "cisr-psi-2x"))
    pictures = [(name, plane) for name, plane in ground.set("kodak")]
    for codec in CODECS:
        for quality in QUALITIES:
            degrade = DEGRADATIONS.make(codec, ratio=2, lowest=quality, highest=quality)
            cases = [
                (
                    Case("cisr-psi", "kodak", name, f"{codec} {quality}", "2"),
                    plane,
                    degrade(plane, np.random.default_rng(1)),
                )
                for name, plane in pictures
            ]
            yield from _measure(book, judge, cases, methods, 2)
    cases = [
        (Case("cisr-psi", "kodak", name, "two services", "2"), plane, two_services(plane)) for name, plane in pictures
    ]
    yield from _measure(book, judge, cases, methods, 2)


def two_services(plane: Plane) -> Degraded:
    """Degrade a picture as two services do: JPEG at full size, then half size by another filter and WebP."""
    once = Jpeg(ratio=1).code(plane, 60)
    height, width = (size // 2 for size in plane.shape)
    small = np.asarray(Image.fromarray(once).resize((width, height), Image.Resampling.HAMMING))
    return Degraded(Webp(ratio=1).code(small, 45), ratio=2)


EXPERIMENTS: dict[str, Experiment] = {"line": line, "espcn": espcn, "fd-srcnn": fd_srcnn, "cisr-psi": cisr_psi}
