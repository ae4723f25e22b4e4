"""vapoursynth.toml, through which vspipe and mpv find this installation.

Their library, libvsscript, takes the line of the file whose key is its own path, as the system's loader resolved it.
A line is ``"<libvsscript>" = ["<python>","<libpython>","<mtime of python>"]``; it is valid only as long as the
interpreter has not changed. ``vapoursynth config`` writes the path that Python sees, which differs if the environment
is reached through a symbolic link.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vs_srcomp.doctor.finding import Finding
from vs_srcomp.files import write_atomically

_NAME = "vapoursynth.toml"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """This Python with its VapourSynth."""

    library: Path
    """libvsscript, as Python sees it."""
    python: Path
    """The interpreter."""
    shared: Path | None
    """libpython, which vspipe and mpv load."""

    @property
    def key(self) -> str:
        """The key that libvsscript searches for."""
        return _key(self.library.resolve())

    @property
    def entry(self) -> list[str]:
        """The value of that line."""
        return [str(self.python), str(self.shared), str(_changed(self.python))]


def configuration_path(environment: Mapping[str, str]) -> Path | None:
    """The path of the file for libvsscript; None if the environment does not name a folder."""
    if folder := environment.get("XDG_CONFIG_HOME"):
        return Path(folder, "vapoursynth", _NAME)
    return Path(home, ".config", "vapoursynth", _NAME) if (home := environment.get("HOME")) else None


def check_folder(path: Path | None) -> Finding:
    """Whether the file is writable."""
    name = "configuration folder"
    if path is None:
        return Finding(name=name, state="broken", message="HOME is not set", remedy="set HOME, or XDG_CONFIG_HOME")
    existing = next(folder for folder in path.parents if os.access(folder, os.F_OK))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        remedy = "make it writable, or set HOME or XDG_CONFIG_HOME to a folder that is"
        return Finding(name=name, state="broken", message=f"{existing} cannot be written to", remedy=remedy)
    return Finding(name=name, state="fine", message=str(path.parent))


def check_configuration(path: Path | None, installation: Installation) -> Finding:
    """Whether the file has the right line for this installation."""
    name = _NAME
    if path is None or installation.shared is None:
        return Finding(name=name, state="broken", message="it cannot be written yet", remedy="fix what is above first")

    def broken(message: str) -> Finding:
        return Finding(
            name=name,
            state="broken",
            message=message,
            remedy="vs-srcomp doctor --fix",
            fix=lambda: write(path, installation),
        )

    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return broken(f"there is no {path}")
    except OSError as reason:
        return Finding(name=name, state="broken", message=f"{path}: {reason.strerror}", remedy="make it readable")
    read = [_read(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    entries: dict[str, list[str]] = {}
    for key, found in read:
        if key is not None:
            entries.setdefault(key, found)  # of two lines, libvsscript takes the first
    entry = entries.get(installation.key)
    if entry is None:
        if _key(installation.library) in entries:
            return broken(f"the environment is reached through a link, but the line must name {installation.key}")
        is_damaged = any(key is None for key, _ in read)
        return broken("no line is for this installation" + (" and some are damaged" if is_damaged else ""))
    if len(entry) != 3:
        return broken("the line for this installation is damaged")
    python, shared, changed = entry
    if Path(python).parent.resolve() != installation.python.parent.resolve():
        return broken(f"the line names another Python, {python}")
    if changed != str(_changed(Path(python))):
        return broken(f"{python} was changed since the line was written")
    if not os.access(shared, os.F_OK):
        return broken(f"the line names {shared}, which is not there")
    return Finding(name=name, state="fine", message=f"{path} names {python}")


def write(path: Path, installation: Installation) -> None:
    """Write the line for ``installation``; other lines stay."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    # libvsscript takes the first line with its key, even if it is damaged.
    own = _quote(installation.key).encode()
    kept = [line for line in lines if not line.lstrip().startswith(own)]
    # A string, as `vapoursynth config` writes it: libvsscript takes no number there.
    entry = ",".join(map(_quote, installation.entry))
    kept.append(f"{_quote(installation.key)} = [{entry}]".encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, b"\n".join(kept) + b"\n")


def _read(line: str) -> tuple[str | None, list[str]]:
    """Key and entry of a line. The entry is empty if it is not a list of strings, the key if it is not such a line."""
    try:
        ((key, entry),) = tomllib.loads(line).items()
    except ValueError:
        return None, []
    is_text = isinstance(entry, list) and all(isinstance(item, str) for item in entry)
    return key, entry if is_text else []


def _key(library: Path) -> str:
    # As libvsscript does: some systems' loaders see a folder under both names.
    return str(library).replace("/lib64/", "/lib/")


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\") + '"'


def _changed(python: Path) -> int | None:
    try:
        return int(python.stat().st_mtime)
    except OSError:
        return None
