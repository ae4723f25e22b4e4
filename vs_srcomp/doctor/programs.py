"""Checks of programs that run scripts: vspipe and mpv."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.doctor.finding import Finding
from vs_srcomp.errors import first_line, last_line
from vs_srcomp.mpv.install import is_current, lost_program, mpv_folder

OLDEST_MPV = 0, 39
"""The first version with VSScript 4, the only version of it since R73."""

LAST_LINKED_MPV = 0, 41
"""The last release that is linked to libvsscript; later ones load it at run time."""

_BARE_PATH = "/usr/bin:/bin"

_PIPE = "vs-srcomp script IN --for mpv shows how to play through a pipe"


def check_vspipe(vspipe: Path, environment: Mapping[str, str]) -> Finding:
    """Whether vspipe starts without the environment's programs on the PATH, as mpv does."""
    command = [str(vspipe), "--version"]
    try:
        done = subprocess.run(
            command, env={**environment, "PATH": _BARE_PATH}, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as reason:
        return Finding(
            name="vspipe", state="broken", message=f"it does not run: {reason}", remedy="install VapourSynth again"
        )
    if done.returncode:
        output = done.stderr or done.stdout
        remedy = "fix what is above first; then it should start"
        return Finding(
            name="vspipe", state="broken", message=last_line(output) or f"exit code {done.returncode}", remedy=remedy
        )
    return Finding(name="vspipe", state="fine", message=f"{vspipe} starts")


def check_mpv(mpv: str | None, library: Path, environment: Mapping[str, str]) -> Finding:
    """Whether mpv can run scripts with the VapourSynth of ``library``, libvsscript."""

    def note(message: str, remedy: str) -> Finding:
        return Finding(name="mpv", state="note", message=message, remedy=remedy)

    if mpv is None:
        return note("it is not installed", "install it if you want to watch as it is upscaled")
    output = _ask(mpv, "--version")
    version = re.search(r"mpv v?(\d+)\.(\d+)([^\s]*)", output)
    if version is None:
        return note(f"{mpv} does not print its version", "try mpv --version")
    number = int(version[1]), int(version[2])
    release = version[0].removeprefix("mpv ")
    if number < OLDEST_MPV:
        return note(f"{release} is too old for this VapourSynth, 0.39 is needed", f"install a newer one; {_PIPE}")
    if not re.search(r"^\s*vapoursynth\b", _ask(mpv, "--no-config", "--vf=help"), re.MULTILINE):
        return note(
            f"{release} is built without the vapoursynth filter", f"build it with -Dvapoursynth=enabled; {_PIPE}"
        )
    # A build between releases has the number of the last release: 0.41.0-933-gb955aa28.
    if number > LAST_LINKED_MPV or (number == LAST_LINKED_MPV and "-g" in version[3]):
        wanted = str(library.resolve())
        found = environment.get("VSSCRIPT_PATH")
        if found != wanted:
            is_now = f"is {found}" if found else "is not set"
            return Finding(
                name="mpv",
                state="broken",
                message=f"{release} looks for VapourSynth at VSSCRIPT_PATH, which {is_now}",
                remedy=f"export VSSCRIPT_PATH={wanted}",
            )
    return Finding(name="mpv", state="fine", message=f"{release} with the vapoursynth filter")


def check_player_script(environment: Mapping[str, str]) -> Finding:
    """Whether the scripts of `vs-srcomp mpv install` are those of this release."""
    name = "mpv's script"
    try:
        folder = mpv_folder(environment)
        current, lost = is_current(folder), lost_program(folder)
    except (vs.Error, OSError) as reason:
        return Finding(name=name, state="note", message=first_line(reason), remedy="set HOME, or MPV_HOME")
    if current is None:
        remedy = "vs-srcomp mpv install, if you want mpv to upscale what it plays"
        return Finding(name=name, state="note", message=f"it is not installed in {folder}", remedy=remedy)
    if not current:
        return Finding(
            name=name,
            state="note",
            message=f"that in {folder} is not of this release",
            remedy="vs-srcomp mpv install",
        )
    if lost:
        return Finding(
            name=name,
            state="note",
            message=f"its options name {lost}, which is gone; without it, compression levels are not found out",
            remedy="vs-srcomp mpv install",
        )
    return Finding(name=name, state="fine", message=f"{folder} has that of this release")


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
