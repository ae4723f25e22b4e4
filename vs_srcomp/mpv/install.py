"""Installation of the scripts in mpv's folder.

mpv loads ``scripts/NAME/main.lua`` from its configuration folder (mpv manual, "Script location"), and reads options of
the script NAME from ``script-opts/NAME.conf``. The files are copied, not linked: links would break when the Python
environment is moved or removed.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from vs_srcomp.errors import error
from vs_srcomp.files import write_atomically

HERE = Path(__file__).parent

FILTER = HERE / "srcomp.vpy"
"""The script of mpv's VapourSynth filter."""

COMPANION = HERE / "srcomp.lua"
"""The Lua script, which adds the filter."""

_OPTION = re.compile(r"^    (?P<name>\w+) = (?P<value>[^,]+), +-- (?P<meaning>.+)$", re.MULTILINE)

_COMMAND = re.compile(r"^command=/.*/vs-srcomp$", re.MULTILINE)

# Of what mpv loads from its folder of scripts (mpv manual, "Script location").
_SCRIPTS = (".lua", ".js", ".so", ".dll", ".run")

# In the first line of both files. A file without it is not ours.
_MARK = b"vs-srcomp"


def mpv_folder(environment: Mapping[str, str]) -> Path:
    """mpv's configuration folder: MPV_HOME, or ``mpv`` in XDG_CONFIG_HOME or ~/.config.

    Raises:
        vs.Error: The environment has none of these.
    """
    if folder := environment.get("MPV_HOME"):
        return Path(folder)
    if folder := environment.get("XDG_CONFIG_HOME"):
        return Path(folder, "mpv")
    if home := environment.get("HOME"):
        return Path(home, ".config", "mpv")
    raise error("mpv's folder is not known: HOME is not set", "set HOME, or MPV_HOME to mpv's folder")


def options() -> list[tuple[str, str, str]]:
    """Name, default and description of each option of the Lua script."""
    return [
        (name, value.strip('"').replace("true", "yes"), meaning)
        for name, value, meaning in _OPTION.findall(COMPANION.read_text("utf-8"))
    ]


def install(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Copy both scripts into mpv's ``folder``, and write a file of options unless there is one.

    In a file of options that is there, only the path of a program that is gone is changed.

    Args:
        folder: See `mpv_folder`; created if it does not exist.
        overwrite: Replace files of these names that are not ours.

    Returns:
        The files that were written.

    Raises:
        vs.Error: There is another script of this name, beside or instead of ours, or the folder cannot be written to.
    """
    wanted = {target: source.read_bytes() for target, source in _copies(folder).items()}
    conf = _conf(folder)
    try:
        for target in wanted:
            if target.exists() and not overwrite and not _is_ours(target):
                raise error(
                    f"{str(target)!r} is there and not of vs-srcomp", "move it away, or replace it with --force"
                )
        # mpv names a script after its file or folder, and options after the script; the second of a name gets another.
        if others := [file for file in (folder / "scripts").glob("srcomp.*") if file.suffix in _SCRIPTS]:
            raise error(
                f"{str(min(others))!r} is a script of the same name, which mpv would give its options to",
                "move it away or rename it",
            )
        if not conf.exists():
            wanted[conf] = _defaults().encode()
        elif lost_program(folder):
            text = conf.read_text("utf-8", "surrogateescape")
            wanted[conf] = _COMMAND.sub(lambda _: _command(), text).encode("utf-8", "surrogateescape")
        for target, data in wanted.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, data)
    except OSError as reason:
        raise error(
            f"cannot write to {str(folder)!r}: {(reason.strerror or str(reason)).lower()}",
            "make it writable, or set MPV_HOME to another folder of mpv's",
        ) from reason
    return list(wanted)


def remove(folder: Path) -> list[Path]:
    """Remove what `install` has written to mpv's ``folder``, except changed options. Returns the removed files.

    Raises:
        vs.Error: A file cannot be removed.
    """
    conf = _conf(folder)
    try:
        found = [target for target in _copies(folder) if target.exists() and _is_ours(target)]
        if conf.exists() and _lines(conf.read_text("utf-8", "replace")) <= _lines(_defaults()):
            found.append(conf)
        for target in found:
            target.unlink()
        home = next(iter(_copies(folder))).parent
        if home.is_dir() and not any(home.iterdir()):
            home.rmdir()
    except OSError as reason:
        raise error(
            f"cannot remove from {str(folder)!r}: {(reason.strerror or str(reason)).lower()}", "make it writable"
        ) from reason
    return found


def is_current(folder: Path) -> bool | None:
    """Whether the scripts in mpv's ``folder`` are those of this release; None if there are none."""
    copies = _copies(folder)
    if not any(target.exists() for target in copies):
        return None
    return all(target.is_file() and target.read_bytes() == source.read_bytes() for target, source in copies.items())


def lost_program(folder: Path) -> str | None:
    """The path that `install` has written to the options in mpv's ``folder``, if no program is there any more."""
    conf = _conf(folder)
    found = _COMMAND.search(conf.read_text("utf-8", "replace")) if conf.is_file() else None
    program = found[0].removeprefix("command=") if found else None
    return program if program and not Path(program).exists() else None


def _copies(folder: Path) -> dict[Path, Path]:
    """Target and source of each file."""
    home = folder / "scripts" / "srcomp"
    return {home / "main.lua": COMPANION, home / "srcomp.vpy": FILTER}


def _conf(folder: Path) -> Path:
    return folder / "script-opts" / "srcomp.conf"


def _is_ours(file: Path) -> bool:
    return file.is_file() and _MARK in file.read_bytes().partition(b"\n")[0]


def _defaults() -> str:
    """The file of options: all commented out, except the path of the command if a shell would not find it."""
    lines = ["# Options of vs-srcomp in mpv. Remove the # from what you change."]
    for name, value, meaning in options():
        lines += [f"# {meaning}", f"#{name}={value}"]
    lines[lines.index("#command=vs-srcomp")] = _command()
    return "\n".join(lines) + "\n"


def _command() -> str:
    """The line that names the program."""
    program = Path(sys.executable).with_name("vs-srcomp")
    # When mpv is started from a desktop, no environment is active.
    return f"command={program}" if program.exists() else "#command=vs-srcomp"


def _lines(text: str) -> set[str]:
    """The lines of a file of options, except the path that `_defaults` writes, of this Python or of an earlier one."""
    lines = {line.strip() for line in text.splitlines()}
    return {line for line in lines if line and not _COMMAND.fullmatch(line)}
