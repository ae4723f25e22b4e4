"""Time to read a video's quantizers: demuxing, parsing, and both together.

    python benchmarks/av1_scan.py [FILE ...]

Without a file it encodes two seconds of moving 1080p noise with SVT-AV1, with hidden frames. Times are the process's
CPU seconds per temporal unit, the minimum of several rounds, so that other load matters little.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from vs_srcomp.av1 import Av1Error, Parser

_FILM = 2 * 3600 * 24
_ROUNDS = 15


def main() -> None:
    """Measure each file."""
    arguments = argparse.ArgumentParser(description="Measure the AV1 header scan.")
    arguments.add_argument("files", nargs="*", type=Path)
    with tempfile.TemporaryDirectory() as folder:
        files = arguments.parse_args().files or [_encode(Path(folder) / "svt-1080p.mkv")]
        print(f"{'file':40} {'units':>6} {'frames':>7} {'demux us':>9} {'parse us':>9} {'2 h film s':>11}")
        for path in files:
            _measure(path)


def _measure(path: Path) -> None:
    packets, extradata = _demux(path)
    coded = 0

    def parse() -> None:
        nonlocal coded
        coded = 0
        parser = Parser(extradata)
        for packet in packets:
            try:
                unit = parser.parse(packet)
            except Av1Error:
                continue
            coded += len(unit.hidden) + sum(len(shown.coded) for shown in unit.shown)

    parsing = _least(parse) / len(packets)
    demuxing = _least(lambda: _demux(path)) / len(packets)
    film = (parsing + demuxing) * _FILM
    print(f"{path.name:40} {len(packets):6} {coded:7} {demuxing * 1e6:9.1f} {parsing * 1e6:9.1f} {film:11.1f}")


def _demux(path: Path) -> tuple[list[bytes], bytes]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return [data for packet in container.demux(stream) if (data := bytes(packet))], context.extradata or b""


def _least(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def _encode(path: Path) -> Path:
    texture = np.random.default_rng(1).integers(0, 256, (1080 + 48, 1920 + 48), np.uint8)
    texture = (texture // 4 + np.add.outer(np.arange(1128), np.arange(1968)) // 16 % 128).astype(np.uint8)
    with av.open(str(path), "w") as container:
        options = {"preset": "12", "crf": "40", "svtav1-params": "lp=2"}
        stream = container.add_stream("libsvtav1", 24, width=1920, height=1080, pix_fmt="yuv420p", options=options)
        for i in range(48):
            luma = texture[i : i + 1080, i : i + 1920]
            planes = np.concatenate([luma, np.full((540, 1920), 128, np.uint8)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), "yuv420p")))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
