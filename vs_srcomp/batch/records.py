"""Segments of a job, and records of finished segments."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import vapoursynth as vs

from vs_srcomp.media.picture import EncodedStream
from vs_srcomp.transcode.info import JobInfo

WHOLE: Final = "whole"
"""Name, without suffix, of the output while its segments are joined."""


def whole_name(target: Path) -> str:
    """The temporary name of the output ``target``."""
    return f"{WHOLE}{target.suffix.lower()}"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of frames that is encoded on its own. Plain data that can be pickled."""

    index: int
    """Its index among the segments of the job, from 0."""
    first: int
    """Number of its first frame, of all frames of the source file."""
    stop: int
    """Number of the frame after its last."""
    after: int | None
    """Timestamp of the frame before ``first``, in units of ``info.time_base``; None for the first segment."""
    info: JobInfo
    """Facts about the whole job."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.stop - self.first

    @property
    def name(self) -> str:
        """The name of the file with its packets, without a folder."""
        return f"{self.index:06d}.{self.info.codec or 'video'}"


class PacketEntry(NamedTuple):
    """One packet in a segment's file; times in units of ``info.time_base``, on the source's clock."""

    size: int
    """Size in bytes; packets follow each other without gaps."""
    pts: int
    duration: int
    """0 if unknown."""
    key: bool


@dataclass(frozen=True, kw_only=True)
class SegmentRecord:
    """The record of a finished segment. Plain data."""

    index: int
    first: int
    stop: int
    """See `Segment`."""
    file: str
    """Name, without a folder, of the file with its concatenated packets."""
    bytes: int
    """Size of the file."""
    sha256: str
    """SHA-256 of the file, in lower-case hexadecimal."""
    codec: str
    """FFmpeg's name of the codec. This and the next two are equal for all segments of a job."""
    header: str
    """The encoder's header (sequence header, parameter sets) in hexadecimal."""
    pixel_format: str
    """FFmpeg's name of the pixel format."""
    packets: tuple[PacketEntry, ...]
    """In decoding order, one per frame."""
    models: dict[str, int] = field(hash=False)
    """Number of frames by model name."""
    seconds: float
    """Duration of the work."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.stop - self.first

    @property
    def stream(self) -> EncodedStream:
        """The stream, for the container."""
        return EncodedStream(codec=self.codec, header=bytes.fromhex(self.header), pixel_format=self.pixel_format)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            ValueError: It is not the record of a segment.
        """
        try:
            packets = tuple(PacketEntry(*entry) for entry in values["packets"])
            return cls(**{**values, "packets": packets})
        except (TypeError, KeyError) as reason:
            raise ValueError(f"not the record of a segment: {reason}") from reason


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of the machine that a process may use. It changes the speed, never the result."""

    threads: int = 0
    """Threads for each of decoding, filtering, inference and encoding; 0 for all cores."""
    cache_mib: int = 0
    """VapourSynth's cache in MiB; 0 for its default."""

    def apply(self) -> None:
        """Apply it to VapourSynth in this process."""
        if self.threads:
            vs.core.num_threads = self.threads
        if self.cache_mib:
            vs.core.max_cache_size = self.cache_mib
