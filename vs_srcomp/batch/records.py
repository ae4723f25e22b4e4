"""Segments of a job, and what is known of those that are finished."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

import vapoursynth as vs

from vs_srcomp.media.picture import EncodedStream
from vs_srcomp.transcode.info import JobInfo


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of frames that is encoded by itself. Plain data: it can be pickled, and sent anywhere."""

    index: int
    """Its place among the segments of the job, from 0."""
    first: int
    """Number of its first frame, of all frames of the source file."""
    stop: int
    """Number of the frame after its last."""
    after: int | None
    """Timestamp of the frame before ``first``, in units of ``info.time_base``; None for the first segment."""
    info: JobInfo
    """What holds for the whole job; the same in each of its segments."""

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return self.stop - self.first

    @property
    def name(self) -> str:
        """The name of the file with its packets, without a folder."""
        return f"{self.index:06d}.{self.info.codec or 'video'}"


class PacketEntry(NamedTuple):
    """One packet in a segment's file; times in units of ``info.time_base``, on the source's clock."""

    size: int
    """In bytes; packets follow each other without gaps."""
    pts: int
    duration: int
    """0 if that is not known."""
    key: bool


@dataclass(frozen=True, kw_only=True)
class SegmentRecord:
    """What a finished segment is. Plain data."""

    index: int
    first: int
    stop: int
    """As in the segment."""
    file: str
    """Name of the file with its packets, without a folder: their bytes one after another, nothing else."""
    bytes: int
    """Size of the file."""
    sha256: str
    """Of the file, in lower-case hexadecimal."""
    codec: str
    """FFmpeg's name of the codec; this and the next two are the same for all segments of a job."""
    header: str
    """The encoder's header (sequence header, parameter sets) in hexadecimal."""
    pixel_format: str
    """Of the pictures, as FFmpeg names it."""
    packets: tuple[PacketEntry, ...]
    """In decoding order: as many as frames."""
    models: dict[str, int] = field(hash=False)
    """Number of frames by name of the model that restored them."""
    seconds: float
    """That the work took."""

    @property
    def frames(self) -> int:
        """How many frames the segment has."""
        return self.stop - self.first

    @property
    def stream(self) -> EncodedStream:
        """What containers store about it."""
        return EncodedStream(codec=self.codec, header=bytes.fromhex(self.header), pixel_format=self.pixel_format)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            packets = tuple(PacketEntry(*entry) for entry in values["packets"])
            return cls(**{**values, "packets": packets})
        except (TypeError, KeyError) as reason:
            raise ValueError(f"not the record of a segment: {reason}") from reason


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of the machine that a process may use. It changes how fast the work goes, never its result."""

    threads: int = 0
    """For decoding, filtering, inference and encoding each; 0 takes all that the process may use."""
    cache_mib: int = 0
    """Of frames that VapourSynth keeps; 0 leaves its own default."""

    def apply(self) -> None:
        """Limit VapourSynth in this process."""
        if self.threads:
            vs.core.num_threads = self.threads
        if self.cache_mib:
            vs.core.max_cache_size = self.cache_mib
