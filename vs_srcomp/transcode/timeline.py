"""When the frames of a file are shown, and where decoding can start."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.reader import FrameReader
from vs_srcomp.source.timing import timing


@dataclass(frozen=True)
class Timeline:
    """The frames of a file in the order of display, as ``vs_srcomp.source`` numbers them."""

    timestamps: list[int]
    """When each is shown, in units of ``time_base``, on the file's own clock."""
    keys: list[int]
    """The numbers of those where decoding can start, rising."""
    time_base: Fraction
    """In seconds."""

    def time(self, frame: int) -> Fraction:
        """When ``frame`` is shown, in seconds."""
        return self.timestamps[frame] * self.time_base


def timeline_of(file: str, time_base: Fraction) -> Timeline:
    """Read the index of a file; but for the first frame, nothing is decoded where the container allows it.

    Args:
        file: Absolute path; its first video track is meant.
        time_base: The unit of the timestamps that are wanted, in seconds.
    """
    index = FrameReader(Decoder(file, 0, film_grain=False, threads=1)).index
    times = timing(index)
    unit = times.time_base / time_base
    return Timeline(
        [round(int(start) * unit) for start in times.start],
        np.flatnonzero(index.packets.key[index.packet_of]).tolist(),
        time_base,
    )
