"""NumPy archives, written and read block by block, with reproducible bytes."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vs_srcomp.files import atomic_path

SUFFIX = ".npy"

# Zip stores a time for each member; the earliest possible one stands for none.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


@dataclass(frozen=True)
class Blocks:
    """An array of 8-bit samples too large for memory: its shape, and its rows, in blocks of any length."""

    shape: tuple[int, ...]
    blocks: Iterable[NDArray[np.uint8]]


@dataclass(frozen=True)
class Member:
    """The header of an array in an archive."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran_order: bool


def write_npz(path: Path, arrays: Mapping[str, Blocks | NDArray[np.generic]]) -> None:
    """Write ``arrays`` atomically as a compressed archive for ``numpy.load``.

    Raises:
        ValueError: The blocks of an array do not fit its shape.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key, array in arrays.items():
            info = zipfile.ZipInfo(key + SUFFIX, _NO_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = _UNIX  # otherwise the system that it was written on
            with archive.open(info, "w", force_zip64=True) as file:
                if isinstance(array, Blocks):
                    _write_blocks(file, key, array)
                else:
                    npy.write_array(file, array, allow_pickle=False)


def _write_blocks(file: IO[bytes], key: str, array: Blocks) -> None:
    header = {"descr": npy.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": array.shape}
    npy.write_array_header_1_0(file, header)
    rows = 0
    for block in array.blocks:
        if block.dtype != np.uint8 or block.shape[1:] != array.shape[1:]:
            raise ValueError(f"{key}: a block of {block.dtype} {block.shape} does not fit into {array.shape}")
        file.write(np.ascontiguousarray(block).data)
        rows += len(block)
    if rows != array.shape[0]:
        raise ValueError(f"{key}: {rows} rows came, not {array.shape[0]}")


def list_members(path: Path) -> list[Member]:
    """The arrays in an archive, without their data.

    Raises:
        ValueError: The file is not an archive of arrays, or is damaged.
    """
    with _archive(path) as archive:
        members = []
        for name in archive.namelist():
            if name.endswith(SUFFIX):
                with archive.open(name) as file:
                    try:
                        members.append(_read_header(file, name.removesuffix(SUFFIX)))
                    except ValueError as reason:
                        raise ValueError(f"{path.name}: {name} is not an array ({reason})") from None
        return members


def read_array(path: Path, key: str) -> NDArray[np.generic]:
    """One whole array of an archive.

    Raises:
        ValueError: The file is damaged, or the array holds Python objects, which could run code and are never loaded.
    """
    with _archive(path) as archive, archive.open(key + SUFFIX) as file:
        array = npy.read_array(file, allow_pickle=False)
        # Reading to the end of the member checks its checksum.
        file.read()
        return np.asarray(array)


def read_blocks(path: Path, member: Member, rows: int) -> Iterator[NDArray[np.uint8]]:
    """The rows of an array of 8-bit samples, at most ``rows`` at a time.

    Raises:
        ValueError: The file is damaged.
    """
    if member.fortran_order:  # its rows are strewn over the whole of it
        whole = read_array(path, member.key).astype(np.uint8)
        for begin in range(0, len(whole), rows):
            yield whole[begin : begin + rows]
        return
    row_size = int(np.prod(member.shape[1:]))
    with _archive(path) as archive, archive.open(member.key + SUFFIX) as file:
        _read_header(file, member.key)
        left = member.shape[0]
        while left:
            data = file.read(min(rows, left) * row_size)
            if not data or len(data) % row_size:
                raise ValueError(f"{path.name}: {member.key} ends too early")
            block = np.frombuffer(data, np.uint8).reshape(-1, *member.shape[1:])
            left -= len(block)
            yield block


def _read_header(file: IO[bytes], key: str) -> Member:
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, fortran_order, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran_order, dtype = npy.read_array_header_2_0(file)
    else:
        raise ValueError(f"{key}: version {version} of NumPy's format is not known")
    return Member(key, shape, dtype, fortran_order)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive at ``path``; a ValueError for a damaged one names it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as reason:
        raise ValueError(f"{path.name}: not an .npz file, or a damaged one ({reason})") from reason
