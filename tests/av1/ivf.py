"""Writing IVF, the simplest container: for streams cut, damaged or put together by a test."""

import struct
from collections.abc import Iterable
from pathlib import Path


def write_ivf(path: Path, packets: Iterable[tuple[int, bytes]], size: tuple[int, int] = (176, 144)) -> Path:
    """Write packets with their presentation times, in units of 1/25 s."""
    packets = list(packets)
    header = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"AV01", *size, 25, 1, len(packets), 0)
    frames = (struct.pack("<IQ", len(data), pts) + data for pts, data in packets)
    path.write_bytes(header + b"".join(frames))
    return path
