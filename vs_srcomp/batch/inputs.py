"""The inputs of a batch, and the names of its outputs."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.batch.checkpoint import FOLDER, beside
from vs_srcomp.errors import error
from vs_srcomp.files import cannot_read
from vs_srcomp.log import log_info
from vs_srcomp.stills.formats import SUFFIXES_READ

# Suffixes of the files to take from folders. Files that are named themselves may have any.
VIDEO_SUFFIXES = frozenset(
    {
        *(".mkv", ".mp4", ".webm", ".mov", ".m4v", ".3gp", ".avi", ".wmv", ".flv", ".ogv", ".y4m"),
        *(".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".ivf", ".obu", ".264", ".h264", ".265", ".hevc"),
    }
)

type Pairs = list[tuple[Path, Path]]
"""The path of each input, and that of its output relative to the output folder, still with the input's suffix."""


def gather(names: Iterable[str], *, recursive: bool, exclude: Path, suffixes: frozenset[str] = VIDEO_SUFFIXES) -> Pairs:
    """Find the input files.

    Args:
        names: Files, folders, and patterns with ``*``, ``?``, ``[...]`` and ``**``.
        recursive: Search subfolders, too; outputs then are in subfolders of the same names.
        exclude: The folder of the outputs. It is skipped; if it is named itself, or a pattern names files in it,
            earlier outputs in it are.
        suffixes: Suffixes, in lower case, of the files to take from folders.

    Raises:
        vs.Error: Nothing is found for a name, or the folder cannot be read. Folders in it that cannot be read are
            logged and left out.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for name in names:
        pairs = list(_files_of(name, recursive, exclude.resolve(), suffixes))
        if not pairs:
            raise _names_nothing(name, recursive, suffixes)
        for file, relative in pairs:
            # Links to one file stay different inputs.
            found.setdefault(Path(os.path.abspath(file)), (file, relative))  # noqa: PTH100 - which follows no links
    return list(found.values())


def _names_nothing(name: str, recursive: bool, suffixes: frozenset[str]) -> vs.Error:
    if suffixes is VIDEO_SUFFIXES and any(_files_of(name, recursive, Path(), SUFFIXES_READ)):
        return error(f"{name!r} names pictures, no video", "for pictures give --container png, avif, jpg, webp or tif")
    what = "video file" if suffixes is VIDEO_SUFFIXES else "picture"
    todo = "" if recursive else ", or look into folders of folders, too, with --recursive"
    return error(f"{name!r} names no {what}", f"check the path{todo}")


def read_list(lines: Iterable[str]) -> list[str]:
    """The names in a list, one per line; empty lines are skipped, and every other line is a name."""
    return [line for line in (line.rstrip("\r\n") for line in lines) if line.strip()]


def name_outputs(pairs: Pairs, folder: Path, *, suffix: str, container: str) -> list[tuple[Path, Path]]:
    """The inputs with the paths of their outputs.

    Args:
        pairs: The result of `gather`.
        folder: Folder of the outputs.
        suffix: Text between the input's stem and the container's suffix.
        container: Suffix of the outputs without the dot.

    Raises:
        vs.Error: Two inputs have the same output, or an output is an input.
    """
    inputs = {(status.st_dev, status.st_ino): file for file, _ in pairs if (status := _status(file))}
    outputs: dict[Path, Path] = {}
    for file, relative in pairs:
        target = folder / relative.with_name(f"{relative.stem}{suffix}.{container}")
        if target in outputs:
            raise error(
                f"{str(outputs[target])!r} and {str(file)!r} would both become {str(target)!r}",
                f"do them in two runs, each with a pattern such as '*{file.suffix}' and another --out or --suffix",
            )
        if (status := _status(target)) and (taken := inputs.get((status.st_dev, status.st_ino))):
            what = "the input" if taken == file else f"an input, {str(taken)!r}"
            raise error(f"the output of {str(file)!r} is {what}", "give another --out, or a --suffix")
        outputs[target] = file
    return [(file, target) for target, file in outputs.items()]


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


def _files_of(name: str, recursive: bool, exclude: Path, suffixes: frozenset[str]) -> Iterator[tuple[Path, Path]]:
    path = Path(name)
    if path.is_dir():
        for file in _files_in(path, recursive, exclude, suffixes):
            yield file, file.relative_to(path)
    elif path.exists() or not glob.has_magic(name):
        # Missing files are reported as failures of single jobs.
        yield path, Path(path.name)
    else:
        for match in sorted(glob.glob(name, recursive=True)):  # noqa: PTH207  # patterns may begin at the root
            if Path(match).is_file() and not _is_output(Path(match), exclude):
                yield Path(match), Path(Path(match).name)


def _files_in(folder: Path, recursive: bool, exclude: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    def report(reason: OSError) -> None:
        if reason.filename == os.fspath(folder):
            raise cannot_read(folder, reason) from reason
        log_info(f"{reason.filename!r} cannot be read, so that its files are left out")

    for root, folders, files in os.walk(folder, onerror=report):
        inside = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if recursive and name != FOLDER and not name.startswith(".") and (inside / name).resolve() != exclude
        )
        for name in sorted(files):
            is_wanted = not name.startswith(".") and Path(name).suffix.lower() in suffixes
            if is_wanted and not _is_output(inside / name, exclude):
                yield inside / name


def _is_output(file: Path, folder: Path) -> bool:
    """Whether ``file`` is what an earlier batch has made in ``folder``, or in a folder in it."""
    return file.parent.resolve().is_relative_to(folder) and beside(file, "json").exists()
