"""Real files with a few bytes changed, and what opening and reading them may end in: frames, or an error of ours.

Ten thousand of them, from the project's root:

    python -m tests.source.mutations 10000

Each batch of seeds has a process of its own, which is ended where a seed takes too long. What is found is printed with
its seed; ``python -m tests.source.mutations 1 --first SEED`` tries one alone, and ``--keep FILE`` keeps its file.
"""

# ruff: noqa: T201 (a script that prints)

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Timer

from .reference import SHARED

ROOT = Path(__file__).resolve().parents[2]

_BATCH = 50

# Seconds for a batch: some fifty times what it takes on a quiet machine with two cores.
_LIMIT = 300

# Of a larger file its beginning is used, if that alone can be read, or nothing.
_MOST_BYTES = 150_000
_READABLE_IN_PART = {".264", ".ivf", ".obu", ".ts", ".y4m", ".webm", ".ogv", ".avi", ".mkv"}

_MOST_FRAMES = 8

# What an error inside a filter looks like, after VapourSynth has put the traceback before it.
_OURS = re.compile(r"(\A|\n)([\w.]+Error: )?srcomp: [^\n]+\n[^\n]+\n?\Z")


def material() -> list[Path]:
    """The files to mutate: every container that is there."""
    files = [file for folder in ("av1", "faults", "video") for file in sorted((SHARED / folder).glob("*.*"))]
    usable = [f for f in files if f.stat().st_size <= _MOST_BYTES or f.suffix in _READABLE_IN_PART]
    return [file for file in usable if file.suffix not in (".json", ".md")]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Set, flip, delete or insert 1 to 40 bytes, in one place or in many, or cut the end off."""
    changed = bytearray(data)
    if rng.random() < 0.08:
        return bytes(changed[: rng.randrange(16, len(changed))])
    count = rng.choice([1, 1, 1, 2, 3, 5, 10, 40])
    place = rng.randrange(len(changed)) if rng.random() < 0.3 else None
    for _ in range(count):
        at = rng.randrange(len(changed)) if place is None else min(place, len(changed) - 1)
        kind = rng.choice(["set", "flip", "delete", "insert"])
        if kind == "set":
            changed[at] = rng.randrange(256)
        elif kind == "flip":
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == "delete" and len(changed) > 16:
            del changed[at]
        else:
            changed.insert(at, rng.randrange(256))
    return bytes(changed)


def write_mutation(seed: int, folder: Path) -> Path:
    """The file of ``seed``."""
    rng = random.Random(seed)
    original = rng.choice(material())
    data = original.read_bytes()[:_MOST_BYTES]
    file = folder / f"{seed}-{original.name}"
    file.write_bytes(mutate(data, rng))
    return file


def run(first: int, count: int) -> Iterator[dict[str, object]]:
    """Try ``count`` seeds from ``first`` on, in processes; what goes wrong, as it is found."""
    end = first + count
    while first < end:
        tried = first
        for report in _run_batch(first, min(end, first + _BATCH)):
            tried = int(report["seed"]) + 1  # type: ignore[call-overload]
            if report["wrong"]:
                yield report
        if tried < min(end, first + _BATCH):
            yield {"seed": tried, "wrong": "the process crashed, ran out of memory, or took too long"}
            tried += 1
        first = tried


def _run_batch(first: int, end: int) -> Iterator[dict[str, object]]:
    command = [sys.executable, "-m", "tests.source.mutations", "--batch", str(first), str(end)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        timer = Timer(_LIMIT, process.kill)
        timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
        timer.cancel()


def _try_batch(seeds: Sequence[int]) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            file = write_mutation(seed, Path(folder))
            print(json.dumps({"seed": seed, "file": file.name, "wrong": _try(file, random.Random(seed))}), flush=True)
            file.unlink()


def _try(file: Path, rng: random.Random) -> str:
    """What is wrong with what comes of ``file``; nothing if all is as it should be."""
    import vapoursynth as vs

    from vs_srcomp.probe import probe
    from vs_srcomp.source import source

    try:
        try:
            probe(file)
        except vs.Error as error:
            if wrong := _not_ours(error):
                return f"probe: {wrong}"
        try:
            clip = source(file, threads=rng.choice([1, 3]))
        except vs.Error as error:
            return _not_ours(error)
        numbers = list(range(min(_MOST_FRAMES, len(clip))))
        numbers += rng.sample(range(len(clip)), min(4, len(clip)))
        for number in numbers:
            try:
                clip.get_frame(number).close()
            except vs.Error as error:
                if wrong := _not_ours(error):
                    return f"frame {number}: {wrong}"
    except BaseException as other:
        return repr(other)
    return ""


def _not_ours(error: Exception) -> str:
    text = str(error)
    return "" if _OURS.search(text) else text[-500:]


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--batch", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.batch:
        _try_batch(range(*arguments.batch))
        return
    if arguments.keep:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(write_mutation(arguments.first, Path(folder)), arguments.keep)
    found = 0
    for report in run(arguments.first, arguments.count):
        found += 1
        print(json.dumps(report), flush=True)
    print(f"{arguments.count} seeds, {found} wrong", file=sys.stderr)
    sys.exit(found > 0)


if __name__ == "__main__":
    _main()
