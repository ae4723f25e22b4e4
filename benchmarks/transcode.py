"""How much of the slowest stage's speed a whole transcode keeps, and how much memory it takes.

    python benchmarks/transcode.py [FILE] [--frames 120] [--rounds 3] [--preset 10] [--jobs 2]

Decoding alone, the upscaling graph alone (on frames in memory), encoding alone (of frames in memory) and the whole,
from file to file, are measured in turns in one run, because machines differ from minute to minute; the ratio of the
medians counts. Where stages share processors they cannot all run at full speed, however well they overlap: the
processor time of all stages, spread over all processors, is the least that the whole can take, and tells which share is
reachable.

Peak memory is that of processes of their own, which transcode a tenth of the frames and all of them. With ``--jobs N``,
a batch of copies of the file is done by one worker process and by N, in turns.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median

import click
import vapoursynth as vs

from vs_srcomp.source import source
from vs_srcomp.source.media import local_file, open_container, video_stream
from vs_srcomp.transcode import Job, transcode
from vs_srcomp.transcode.batch import Outcome, run_batch
from vs_srcomp.transcode.encode import Encoder
from vs_srcomp.transcode.encoders import encoder_settings
from vs_srcomp.transcode.feed import feed
from vs_srcomp.transcode.graph import average_rate, upscaled
from vs_srcomp.transcode.local import LocalPool
from vs_srcomp.transcode.picture import describe_picture
from vs_srcomp.transcode.times import fraction

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.mkv"

PEAK = """
import resource, sys
from fractions import Fraction
from pathlib import Path
from vs_srcomp.transcode import Job, transcode
file, target, end, preset, ratio = sys.argv[1:]
transcode(Job(source=Path(file), target=Path(target), end=Fraction(end), preset=int(preset), ratio=ratio))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


class Bench:
    """The stages of one transcode, each of which can be run alone."""

    def __init__(self, job: Job, frames: int) -> None:
        """Keep the decoded and the upscaled frames in memory."""
        self.job = job
        self.file = local_file(job.source)
        clip = source(self.file)
        self.frames = min(frames, clip.num_frames)
        with open_container(self.file) as container:
            stream = video_stream(container, 0)
            self.time_base = fraction(stream.time_base)
            self.rate = average_rate(clip, stream)
        self.decoded = in_memory(clip[: self.frames])
        self.upscaled = in_memory(self._graph())
        props = [each.get_frame(0).props for each in (self.decoded, self.upscaled)]
        self.picture = describe_picture(self.upscaled, *props)

    def decode(self) -> None:
        """File to frames."""
        drain(source(self.file)[: self.frames])

    def upscale(self) -> None:
        """Frames in memory to larger frames."""
        drain(self._graph())

    def encode(self) -> None:
        """Larger frames in memory to packets."""
        encoder = Encoder(self.picture, encoder_settings(self.job), self.time_base, self.rate)
        feed(self.upscaled, encoder, lambda packet: None, self.time_base)

    def whole(self) -> None:
        """File to file."""
        result = transcode(self.job)
        if result.frames != self.frames:
            raise click.ClickException(f"{result.frames} frames were transcoded, not {self.frames}")

    def _graph(self) -> vs.VideoNode:
        return upscaled(self.decoded, self.job, self.file, first=0)


def in_memory(clip: vs.VideoNode) -> vs.VideoNode:
    """A clip of the frames of ``clip``, all of which are made now."""
    frames = list(clip.frames())
    blank = clip.std.BlankClip(keep=True)
    return blank.std.ModifyFrame(blank, lambda n, f: frames[n])


def drain(clip: vs.VideoNode) -> None:
    """Ask for all frames, and keep none."""
    for _ in clip.frames(close=True, collect_garbage=False):
        pass


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds that ``work`` takes, and seconds of processor time in all threads."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def end_of(file: Path, frames: int) -> Fraction:
    """The moment, in seconds from the beginning of ``file``, before which just so many frames are shown."""
    clip = source(file)
    first = clip.get_frame(0).props["_AbsoluteTime"]
    if frames >= clip.num_frames:
        return Fraction(10**6)
    times = [clip.get_frame(number).props["_AbsoluteTime"] for number in (frames - 1, frames)]
    with open_container(local_file(file)) as container:
        origin = min(first, (container.start_time or 0) / 1_000_000)
    return Fraction(sum(times) / 2 - origin)


def stages(job: Job, frames: int, rounds: int) -> None:
    """Measure the stages and the whole, and print them."""
    bench = Bench(job, frames)
    work = {"decode": bench.decode, "upscale": bench.upscale, "encode": bench.encode, "whole": bench.whole}
    measured = [{name: timed(stage) for name, stage in work.items()} for _ in range(rounds)]
    walls = {name: median(each[name][0] for each in measured) for name in work}
    processors = {name: median(each[name][1] for each in measured) for name in work}
    count = len(os.sched_getaffinity(0))
    size = f"{bench.decoded.width}x{bench.decoded.height} to {bench.upscaled.width}x{bench.upscaled.height}"
    click.echo(f"{job.source.name}, {size}, preset {job.preset}, medians of {rounds} rounds of {bench.frames} frames")
    click.echo("| stage | fps | processor time, ms a frame |\n| --- | ---: | ---: |")
    for name in work:
        click.echo(f"| {name} | {bench.frames / walls[name]:.2f} | {processors[name] / bench.frames * 1000:.0f} |")
    parts = ("decode", "upscale", "encode")
    slowest = max(parts, key=lambda name: walls[name])
    least = max(walls[slowest], sum(processors[name] for name in parts) / count)
    by_round = ", ".join(f"{each[slowest][0] / each['whole'][0]:.2f}" for each in measured)
    click.echo(
        f"the whole keeps {walls[slowest] / walls['whole']:.0%} of the speed of {slowest} (by round: {by_round}); "
        f"{walls[slowest] / least:.0%} is reachable with {count} processors"
    )
    shares = [processors[slowest] / processors["whole"], sum(processors[name] for name in parts) / processors["whole"]]
    # This holds on a busy machine, too, where the times above do not.
    click.echo(f"of its processor time, {shares[0]:.0%} is {slowest}, and {shares[1]:.0%} is all stages")


def memory(job: Job, frames: int) -> None:
    """Print the peak memory of a short and of a long transcode."""
    peaks = []
    for count in (max(1, frames // 10), frames):
        target = job.target.with_name(f"{count}{job.target.suffix}")
        arguments = (str(job.source), str(target), str(end_of(job.source, count)), str(job.preset), str(job.ratio))
        done = subprocess.run([sys.executable, "-c", PEAK, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(done.stderr)
        peaks.append(f"{done.stdout.strip()} MiB for {count} frames")
    click.echo(f"peak memory: {', '.join(peaks)}")


class Silent:
    """Remembers what went wrong in a batch."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.failures: list[str] = []

    def began(self, job: Job) -> None:
        """No matter."""

    def advanced(self, job: Job, done: int, total: int) -> None:
        """No matter."""

    def ended(self, outcome: Outcome) -> None:
        """Note a failure."""
        if outcome.status != "done":
            self.failures.append(outcome.message)


def batches(job: Job, folder: Path, jobs: int, rounds: int) -> None:
    """Measure batches of copies of the file with one worker process and with several, and print them."""
    copies = [folder / f"copy{number}{job.source.suffix}" for number in range(2 * jobs)]
    for copy in copies:
        shutil.copy(job.source, copy)
    seconds: dict[int, list[float]] = {1: [], jobs: []}
    for number in range(rounds):
        for workers, found in seconds.items():
            out = folder / f"out{workers}-{number}"
            out.mkdir()
            work = [
                Job(source=copy, target=out / f"{copy.stem}.mkv", end=job.end, preset=job.preset, ratio=job.ratio)
                for copy in copies
            ]
            pool, silent = LocalPool(workers), Silent()
            began = time.perf_counter()
            try:
                run_batch(work, pool, silent)
            finally:
                pool.close()
            found.append(time.perf_counter() - began)
            if silent.failures:
                raise click.ClickException(silent.failures[0])
    one, several = (median(found) for found in seconds.values())
    by_round = ", ".join(f"{a / b:.2f}" for a, b in zip(*seconds.values(), strict=True))
    click.echo(
        f"batch of {len(copies)}: {one:.1f} s with one worker, {several:.1f} s with {jobs}: "
        f"{one / several:.2f} times as fast (by round: {by_round})"
    )


@click.command()
@click.argument("file", default=DEMO, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--frames", default=120, show_default=True, help="At most; all are kept in memory in both sizes.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--preset", default=10, show_default=True, help="Of SVT-AV1.")
@click.option("--ratio", default="2:1", show_default=True)
@click.option("--jobs", default=0, help="Measure batches with so many worker processes, too.")
def main(file: Path, frames: int, rounds: int, preset: int, ratio: str, jobs: int) -> None:
    """Measure and print."""
    os.environ.setdefault("SVT_LOG", "0")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        end = end_of(file, frames)
        job = Job(source=file, target=folder / "whole.mkv", end=end, preset=preset, ratio=ratio, overwrite=True)
        stages(job, frames, rounds)
        memory(job, min(frames, source(file).num_frames))
        if jobs > 1:
            batches(job, folder, jobs, rounds)


if __name__ == "__main__":
    main()
