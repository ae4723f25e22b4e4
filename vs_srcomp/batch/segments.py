"""A job in segments: cut (`batch.cut`), encode each segment on its own, join (`batch.join`).

The bytes of a segment depend only on the source and the options, not on the process that encodes it. So work can be
interrupted, resumed and distributed.

    segments = cut(job)
    records = [encode_segment(job, segment, folder / segment.name) for segment in segments]
    result = join(job, segments, records, folder)
"""

import atexit
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.batch.records import PacketEntry, Segment, SegmentRecord, Share
from vs_srcomp.encoders.feed import feed, free_clips
from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path
from vs_srcomp.media.containers import container_for
from vs_srcomp.media.muxer_errors import writing
from vs_srcomp.progress import Progress
from vs_srcomp.source.media import VideoPacket
from vs_srcomp.transcode.graph import open_source, upscaled
from vs_srcomp.transcode.info import Fingerprint, check_unchanged
from vs_srcomp.transcode.job import Job, encoder_settings
from vs_srcomp.transcode.prepare import check_codec, start_encoder


def encode_segment(
    job: Job,
    segment: Segment,
    target: Path,
    *,
    share: Share | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> SegmentRecord:
    """Decode, upscale and encode one segment into its own file.

    The file gets its name only when it is complete (fsync, rename); an existing one is replaced. The source stays open
    for the next segment of the same job, until a segment of another job comes or `close_source` is called.

    Args:
        job: The segment's job; its ``target`` is not touched.
        segment: A result of `cut`.
        target: The file to write, in an existing folder.
        share: The share of the machine to use.
        progress: Called with the number of frames that are encoded or queued for it, and of all frames of this segment.
        cancel: When set, it stops the work; nothing is left.

    Raises:
        vs.Error: It fails, for example because the source has changed since it was cut, or the disk is full.
        CancelledError: ``cancel`` was set.
    """
    began = time.monotonic()
    info = segment.info
    check_unchanged(job.source, info.source)
    threads = share.threads if share else 0
    digest = hashlib.sha256()
    packets: list[PacketEntry] = []

    with (
        _frames(job, segment, threads) as clip,
        writing(target),
        start_encoder(job, info, frames=segment.frames, output=target, threads=threads, cancel=cancel) as encoder,
        atomic_path(target) as temporary,
    ):
        with temporary.open("wb") as file:

            def write(packet: VideoPacket) -> None:
                data = bytes(packet)
                file.write(data)
                digest.update(data)
                assert packet.pts is not None
                packets.append(PacketEntry(len(data), packet.pts, packet.duration or 0, packet.is_keyframe))

            models = feed(clip, encoder, write, info.time_base, after=segment.after, progress=progress, cancel=cancel)
        stream = encoder.stream
        check_codec(container_for(job.target), encoder_settings(job).kind, stream.codec)
        if len(packets) != segment.frames or not packets[0].key:
            raise error(
                f"the encoder made {len(packets)} packets of {segment.frames} frames",
                "remove settings that drop frames",
            )
    return SegmentRecord(
        index=segment.index,
        first=segment.first,
        stop=segment.stop,
        file=target.name,
        bytes=sum(packet.size for packet in packets),
        sha256=digest.hexdigest(),
        codec=stream.codec,
        header=stream.header.hex(),
        pixel_format=stream.pixel_format,
        packets=tuple(packets),
        models=dict(models),
        seconds=time.monotonic() - began,
    )


type _Key = tuple[Job, Fingerprint, int]

# Opening a source reads its index, for which some containers must be read to the end.
_kept: tuple[_Key, vs.VideoNode] | None = None
_kept_lock = threading.Lock()


def close_source() -> None:
    """Close the source that `encode_segment` has kept open."""
    global _kept
    with _kept_lock:
        _kept = None
    free_clips()


@contextmanager
def _frames(job: Job, segment: Segment, threads: int) -> Iterator[vs.VideoNode]:
    """The upscaled frames of ``segment``."""
    section = segment.info.section
    key = (job, segment.info.source, threads)
    global _kept
    with _kept_lock:
        kept, _kept = _kept, None
    if kept and kept[0] == key:
        output = kept[1]
    else:
        if kept:
            kept = None
            free_clips()
        clip = open_source(job, threads=threads)[section.first : section.stop]
        output = upscaled(clip, job, first=section.first, threads=threads)
    yield output[segment.first - section.first : segment.stop - section.first]
    # Not after an error, and not while another thread uses it.
    with _kept_lock:
        _kept = key, output
    _close_at_exit()


@cache
def _close_at_exit() -> None:
    # Nodes must be freed before the core.
    atexit.register(close_source)
