"""Compiled engines on disk, so that what takes long is done once on a computer.

A file's name is a digest of all that its engine depends on: none is ever taken for another. Files are used only if they
are whole and sound; whatever is wrong with one, it is made anew. Where nothing can be stored, all goes on without.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import vapoursynth as vs

from vs_srcomp.backends.base import Engine, PlaneFormat, StoringBackend
from vs_srcomp.backends.tiling import is_out_of_memory
from vs_srcomp.engine_file import FORMAT, UnusableFileError, pack, unpack
from vs_srcomp.engine_folder import NAME_LENGTH, VARIABLE, engines_folder, lock_for
from vs_srcomp.errors import error, last_line
from vs_srcomp.files import write_atomically
from vs_srcomp.log import say, say_once
from vs_srcomp.models import Network

# Whose code has a part in what is stored.
_MAKERS = ("vs_srcomp.backends", "vs_srcomp.models")

type Outcome = Literal["found", "made", "not stored"]
"""What became of an engine that was asked for."""


def load_or_build(
    network: Network, backend: StoringBackend, plane: PlaneFormat, told: Callable[[Outcome], None] = lambda _: None
) -> Engine:
    """The engine from its file, or built and stored; of several processes that ask for it, one builds it.

    Args:
        network: What to compile.
        backend: What compiles it.
        plane: The planes that it is to run on.
        told: Called with what became of it.

    Raises:
        vs.Error: The library is missing, or cannot run the network.
    """
    key = _key(network, backend, plane)
    try:
        path = engines_folder() / _file_name(key)
    except OSError as reason:
        return _compile_unstored(network, backend, plane, reason, told)
    # Nearly always the file is there and sound: then nothing need be locked, and the folder may be read-only.
    engine, problem = _load(path, key, backend, plane)
    if engine is not None:
        told("found")
        return engine
    try:
        lock = lock_for(path)
    except OSError as reason:
        if problem:
            say(f"{path} cannot be used: {problem}")
        return _compile_unstored(network, backend, plane, reason, told)
    with lock:
        # Again: another process may have made or mended it in the meantime.
        engine, problem = _load(path, key, backend, plane)
        if engine is not None:
            told("found")
            return engine
        if problem:
            say(f"{path} cannot be used and is made anew: {problem}")
            with suppress(OSError):
                path.unlink()
        return _build(path, key, network, backend, plane, told)


def _key(network: Network, backend: StoringBackend, plane: PlaneFormat) -> dict[str, Any]:
    """All that an engine depends on.

    How large the tiles of a picture are does not belong to it: an engine for tiles is that for pictures of their size.
    """
    return {
        "format": FORMAT,
        "vs_srcomp": _own_version(),
        "network": network.sha256,
        "stride": network.stride,
        "backend": type(backend).__name__,
        "identity": dict(backend.identity()),
        "plane": asdict(plane),
    }


@cache
def _own_version() -> str:
    """Of what makes engines: the release, and a digest of the code, which changes in a checkout without one."""
    import vs_srcomp

    digest = hashlib.sha256()
    for package in _MAKERS:
        for source in sorted(Path(str(files(package))).rglob("*.py")):
            digest.update(source.read_bytes())
    return f"{vs_srcomp.__version__}+{digest.hexdigest()[:12]}"


def _file_name(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:NAME_LENGTH] + ".engine"


def _load(
    path: Path, key: Mapping[str, Any], backend: StoringBackend, plane: PlaneFormat
) -> tuple[Engine | None, str | None]:
    """The engine from its file, or what is wrong with the file; neither if there is none."""
    try:
        built = unpack(path.read_bytes(), key)
    except (FileNotFoundError, NotADirectoryError):
        return None, None
    except (UnusableFileError, OSError) as reason:
        return None, last_line(reason)
    try:
        engine = backend.load(built, plane)
    except Exception as reason:
        if is_out_of_memory(reason):
            raise
        return None, f"{type(backend).__name__} refuses it: {last_line(reason)}"
    with suppress(OSError):  # somebody else's file, or a read-only folder
        os.utime(path)
    return engine, None


def _build(
    path: Path,
    key: Mapping[str, Any],
    network: Network,
    backend: StoringBackend,
    plane: PlaneFormat,
    told: Callable[[Outcome], None],
) -> Engine:
    built = backend.build(network, plane)
    try:
        engine = backend.load(built, plane)
    except vs.Error:
        raise
    except Exception as reason:
        raise error(
            f"{type(backend).__name__} cannot load what it has just made: {last_line(reason)}",
            "use another backend, and see what vs-srcomp doctor says about this one",
        ) from reason
    try:
        write_atomically(path, pack(built, key=key, model=network.name, created=time.time()))
    except OSError as reason:
        _say_not_stored(reason)
        told("not stored")
    else:
        told("made")
    return engine


def _compile_unstored(
    network: Network, backend: StoringBackend, plane: PlaneFormat, reason: OSError, told: Callable[[Outcome], None]
) -> Engine:
    _say_not_stored(reason)
    told("not stored")
    return backend.compile(network, plane)


def _say_not_stored(reason: OSError) -> None:
    # Without the name of the file, which may be another each time.
    say_once(
        f"compiled networks cannot be stored: {reason.strerror or reason}; each process makes its own. "
        f"Set {VARIABLE} to a folder that can be written to"
    )
