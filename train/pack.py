"""Training material in files of limited size, for a machine without FFmpeg."""

import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

from train.material.coded import code, codings
from train.material.pictures import check_names, some_pictures
from vs_srcomp.files import atomic_path
from vs_srcomp.geometry import ratio_by_name

_PART = re.compile(r"part\d+\.tar")


def pack(folders: Iterable[Path], ratios: Iterable[str], work: Path, out: Path, size: int) -> list[Path]:
    """Write ``out``/part1.tar and so on, of at most ``size`` bytes each: pictures first, then coded files by ratio.

    A single file that is larger makes a larger part by itself. Parts of an earlier pack are removed.

    Unpacked in one folder, they give ``images`` for ``--images`` of `train fit`, and ``coded`` for its ``--work``.
    """
    pictures = [path for folder in folders for path in some_pictures(folder)]
    check_names(pictures)
    members = [(path, f"images/{path.name}") for path in pictures]
    for ratio in dict.fromkeys(ratio_by_name(each).name for each in ratios):
        jobs = list(codings(pictures, ratio))
        code(jobs, work / "coded")
        files = [job.file(work / "coded") for job in jobs]
        members += [(file, f"coded/{file.relative_to(work / 'coded')}") for file in files]
    out.mkdir(parents=True, exist_ok=True)
    # An earlier pack may have had more parts.
    for old in out.iterdir():
        if _PART.fullmatch(old.name):
            old.unlink()
    return [_write(out / f"part{number}.tar", part) for number, part in enumerate(_parts(members, size), 1)]


def _parts(members: list[tuple[Path, str]], size: int) -> Iterable[list[tuple[Path, str]]]:
    part: list[tuple[Path, str]] = []
    # An archive ends with two blocks of zeros, and is padded to whole records.
    room = size // tarfile.RECORDSIZE * tarfile.RECORDSIZE - 2 * tarfile.BLOCKSIZE
    filled = 0
    for file, name in members:
        blocks = -(-file.stat().st_size // tarfile.BLOCKSIZE)
        needed = len(_header(file, name).tobuf()) + blocks * tarfile.BLOCKSIZE
        if part and filled + needed > room:
            yield part
            part, filled = [], 0
        part.append((file, name))
        filled += needed
    if part:
        yield part


def _write(target: Path, part: list[tuple[Path, str]]) -> Path:
    with atomic_path(target) as temporary, tarfile.open(temporary, "w") as archive:
        for file, name in part:
            with file.open("rb") as content:
                archive.addfile(_header(file, name), content)
    return target


def _header(file: Path, name: str) -> tarfile.TarInfo:
    """Header without time and owner, so that the same files give the same archives."""
    header = tarfile.TarInfo(name)
    header.size = file.stat().st_size
    return header
