"""Files as users name them, and whether an output can be written there: asked before any work."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from vs_srcomp.errors import error

# A path that was made of an address has one slash less.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}")


def file_named(name: str) -> str:
    """The path that ``name`` is, or that it has in it where it is an address of a local file (RFC 8089).

    Raises:
        vs.Error: It is empty, or has a null character, or is the address of a file of another computer.
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
    """The address that ``name`` is, whole again if it went through a path; None if it names a file."""
    match = _ADDRESS.match(name)
    return f"{match[1]}://{name[match.end() :]}" if match and not Path(name).exists() else None


def check_output_folder(folder: Path) -> None:
    """Raise the error of a folder that cannot be made, with those that it is in, or cannot be written to."""
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
    """Raise the error of a file that cannot be written, whatever is to be in it.

    Raises:
        vs.Error: It is an address or a folder, or its folder is not there or cannot be written to.
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
    """Raise the error of an output that nothing can replace, not even on request: ``source``, or what is not a file."""
    if not target.exists():
        return
    if source.exists() and target.samefile(source):
        raise error("the output is the input", "give the output another name")
    if not target.is_file():
        raise error(f"{str(target)!r} is not a file", "give the output another name")


def check_new_output(target: Path, source: Path, *, overwrite: bool) -> None:
    """Raise the error of what is made of ``source`` and cannot be written as ``target``, before any work is done."""
    check_replaceable(target, source)
    if target.exists() and not overwrite:
        raise error(f"{str(target)!r} exists", "give the output another name, or replace it with --overwrite")
    check_output(target)
