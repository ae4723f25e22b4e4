"""File names from users, and checks of outputs before any work."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from vs_srcomp.errors import SrcompError, error

# `Path` removes one of the slashes of a URL.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}")


def file_named(name: str) -> str:
    """The path ``name``, or the path in it if it is the URL of a local file (RFC 8089).

    Raises:
        vs.Error: It is empty, has a null character, or is the URL of a file on another computer.
    """
    if not name:
        raise error("the name of a file is empty", "give the path of a file")
    if "\0" in name:
        raise error(f"{name!r} is not a file name", "remove the null character")
    if not name.lower().startswith("file:/") or Path(name).exists():
        return name
    rest = name[len("file:") :]
    host, _, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest[1:])
    if host.lower() not in ("", "localhost"):
        raise error(
            f"{name!r} is the address of a file of another computer, {host!r}",
            "give its path alone, or file:/// and the whole path",
        )
    return "/" + unquote(path.lstrip("/"), errors="surrogateescape")


def address_in(name: str) -> str | None:
    """The URL ``name``, with the slash that `Path` removes; None if it is a path."""
    match = _ADDRESS.match(name)
    return f"{match[1]}://{name[match.end() :]}" if match and not Path(name).exists() else None


def check_output_folder(folder: Path) -> None:
    """Raise an error if ``folder`` is not writable, or cannot be created with its parents."""
    if address := address_in(str(folder)):
        raise error(f"{address!r} is an address, and the output must be a folder", "give the path of a folder")
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise error(f"the folder {str(folder)!r} cannot be made: {str(there)!r} is a file", "give another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise error(
            f"the folder {str(there)!r} cannot be written to", "change its permissions, or write somewhere else"
        )


def check_output(target: Path) -> None:
    """Raise an error if ``target`` cannot be written.

    Raises:
        vs.Error: It is a URL or a folder, or its folder does not exist or is not writable.
    """
    if address := address_in(str(target)):
        raise error(f"{address!r} is an address, and the output must be a file", "give the path of a file")
    if target.is_dir():
        raise error(f"{str(target)!r} is a folder", "give the path of a file")
    folder = target.parent
    if not folder.is_dir():
        wrong = "is not one" if folder.exists() else "does not exist"
        raise error(f"the folder {str(folder)!r} {wrong}", "make it, or write somewhere else")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise error(
            f"the folder {str(folder)!r} cannot be written to", "change its permissions, or write somewhere else"
        )


def check_replaceable(target: Path, source: Path) -> None:
    """Raise an error if ``target`` cannot be replaced even on request: it is ``source``, or not a file."""
    if not target.exists():
        return
    if source.exists() and target.samefile(source):
        raise error("the output is the input", "give the output another name")
    if not target.is_file():
        raise error(f"{str(target)!r} is not a file", "give the output another name")


def already_there(target: Path, otherwise: str = "give the output another name") -> SrcompError:
    """The error of a ``target`` that is not replaced unasked; ``otherwise`` is what to do instead of replacing it."""
    return error(f"{str(target)!r} exists", f"{otherwise}, or replace it with --overwrite")


def check_new_output(target: Path, source: Path, *, overwrite: bool) -> None:
    """Raise an error, before any work, if the output of ``source`` cannot be written to ``target``."""
    check_output(target)
    check_replaceable(target, source)
    if target.exists() and not overwrite:
        raise already_there(target)
