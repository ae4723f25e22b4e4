"""How fast `vs_srcomp.source` is, compared with a bare PyAV loop that decodes the same file and drops the frames.

Both run in turns, so that other load on the machine meets both. Usage: source_throughput.py FILE [ROUNDS]
"""

import resource
import statistics
import sys
import time
from itertools import islice

import av
import vapoursynth as vs

from vs_srcomp.source import source

# Enough for a steady state; short files are read to their end.
MOST_FRAMES = 5000


def bare(file: str) -> float:
    """Frames per second of PyAV alone, with the same decoder settings."""
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 0
        stream.codec_context.options = {"export_side_data": "film_grain"}
        begin = time.perf_counter()
        frames = sum(1 for _ in islice(container.decode(stream), MOST_FRAMES))
        return frames / (time.perf_counter() - begin)


def plugin(file: str) -> float:
    """Frames per second of the clip, asked for as a host does: several at a time, in order."""
    clip = source(file)
    clip = clip[: min(len(clip), MOST_FRAMES)]
    # The last node of a graph is cached, which only costs memory when each frame is asked for once.
    vs.core.std.SetVideoCache(clip, mode=0)
    begin = time.perf_counter()
    for _ in clip.frames(close=True):
        pass
    return len(clip) / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print."""
    file = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    pairs = [(bare(file), plugin(file)) for _ in range(rounds)]
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    bare_rate, plugin_rate = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{file}: PyAV {bare_rate:.0f} fps, source {plugin_rate:.0f} fps, ratio {ratio:.3f}, peak {peak:.0f} MiB")
    print(f"VapourSynth R{vs.__version__.release_major}, PyAV {av.__version__}")


if __name__ == "__main__":
    main()
