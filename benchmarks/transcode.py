"""Speed of a whole transcode relative to its slowest stage, and its memory.

    python benchmarks/transcode.py [FILE] [--frames 120] [--rounds 3] [--preset 10]
    python benchmarks/transcode.py [FILE] --network-threads 1 --one-encoder-thread
    python benchmarks/transcode.py [FILE] --jobs 2

Decoding alone, upscaling alone and encoding alone (both of frames in memory), and the whole, from file to file, are
measured in turns in one run, because the speed of machines varies; the result is the ratio of the medians. The
processor time of other programs is recorded, and only runs with little of it count, if there are any.

Two ratios are printed, because stages that share processors cannot all run at full speed, however well they overlap.
The first is relative to the slowest stage alone. The second is relative to the least possible time: that of the slowest
stage, or the processor time of all stages, each measured alone, spread over all processors. If ``--network-threads`` is
less than the number of processors, the others are left to decoder and encoder, and the first ratio shows how well the
stages overlap.

Peak memory is measured in new processes, which transcode a tenth of the frames and all of them.

With ``--jobs N``, batches of copies of the file by one worker process and by N are measured in turns instead.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median

import click
import vapoursynth as vs

from vs_srcomp.backends.openvino import OpenVINO
from vs_srcomp.batch.job_report import JobReport
from vs_srcomp.batch.local_pool import LocalPool
from vs_srcomp.batch.run import run_batch
from vs_srcomp.encoders.feed import feed
from vs_srcomp.encoders.library import Encoder
from vs_srcomp.media.picture import describe_picture
from vs_srcomp.processor import core_count
from vs_srcomp.source import source
from vs_srcomp.source.media import fraction, local_file, open_container, video_stream
from vs_srcomp.transcode import Job, transcode
from vs_srcomp.transcode.graph import average_rate, upscaled
from vs_srcomp.transcode.job import encoder_settings

PROCESSORS = core_count()

# Goal for the speed of the whole, relative to the slowest stage alone.
GOAL = 0.9

# Largest share of the machine for other programs; above it, times are useless.
_DISTURBED = 0.05

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.mkv"

# The peak of getrusage (ru_maxrss) starts from that of the parent process.
PEAK = """
import re, sys
from fractions import Fraction
from pathlib import Path
from vs_srcomp.transcode import Job, transcode
file, target, end, preset, ratio = sys.argv[1:]
transcode(Job(source=Path(file), target=Path(target), end=Fraction(end), preset=int(preset), ratio=ratio))
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


class Bench:
    """The stages of one transcode, which can be run alone."""

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
        """Decode the file."""
        drain(source(self.file)[: self.frames])

    def upscale(self) -> None:
        """Upscale frames in memory."""
        drain(self._graph())

    def encode(self) -> None:
        """Encode upscaled frames in memory."""
        encoder = Encoder(self.picture, encoder_settings(self.job), self.time_base, self.rate)
        feed(self.upscaled, encoder, lambda packet: None, self.time_base)

    def whole(self) -> None:
        """Transcode the file."""
        result = transcode(self.job)
        if result.frames != self.frames:
            raise click.ClickException(f"{result.frames} frames were transcoded, not {self.frames}")

    def _graph(self) -> vs.VideoNode:
        return upscaled(self.decoded, self.job)


def in_memory(clip: vs.VideoNode) -> vs.VideoNode:
    """A clip of the frames of ``clip``, which are made now."""
    frames = list(clip.frames())
    blank = clip.std.BlankClip(keep=True)
    return blank.std.ModifyFrame(blank, lambda n, f: frames[n])


def drain(clip: vs.VideoNode) -> None:
    """Request all frames, and keep none."""
    for _ in clip.frames(close=True, collect_garbage=False):
        pass


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Time that some work took."""

    wall: float
    """Seconds."""
    processor: float
    """Seconds of processor time, in all threads."""
    others: float
    """Seconds of processor time of other programs meanwhile."""

    @property
    def quiet(self) -> bool:
        """Whether the machine was otherwise idle."""
        return self.others < _DISTURBED * self.wall * PROCESSORS


def timed(work: Callable[[], None]) -> Timing:
    """The time of ``work``."""
    wall, processor, busy = time.perf_counter(), time.process_time(), machine_time()
    work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return Timing(wall=wall, processor=processor, others=machine_time() - busy - processor)


def machine_time() -> float:
    """Seconds of processor time of all programs on this machine."""
    line = Path("/proc/stat").read_text("ascii").partition("\n")[0]
    user, nice, system, _, _, interrupts, soft_interrupts, *_ = map(int, line.split()[1:])
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


def end_of(file: Path, frames: int) -> Fraction:
    """The time, in seconds from the start of ``file``, before which exactly ``frames`` frames are shown."""
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
    quiet = {name: [each[name] for each in measured if each[name].quiet] for name in work}
    counting = {name: quiet[name] or [each[name] for each in measured] for name in work}
    walls = {name: median(each.wall for each in counting[name]) for name in work}
    processors = {name: median(each.processor for each in counting[name]) for name in work}
    size = f"{bench.decoded.width}x{bench.decoded.height} to {bench.upscaled.width}x{bench.upscaled.height}"
    click.echo(f"{job.source.name}, {size}, preset {job.preset}, {rounds} rounds of {bench.frames} frames")
    click.echo("| stage | fps | processor time, ms a frame | processors busy | quiet rounds |")
    click.echo("| --- | ---: | ---: | ---: | ---: |")
    for name in work:
        rate, each, busy = bench.frames / walls[name], processors[name] / bench.frames, processors[name] / walls[name]
        click.echo(f"| {name} | {rate:.2f} | {each * 1000:.1f} | {busy:.2f} | {len(quiet[name])} of {rounds} |")
    parts = ("decode", "upscale", "encode")
    slowest = max(parts, key=lambda name: walls[name])
    total = sum(processors[name] for name in parts)
    least = max(walls[slowest], total / PROCESSORS)
    if disturbed := [name for name in work if not quiet[name]]:
        click.echo(f"other programs were at work in every round of {', '.join(disturbed)}: do not trust what follows")
    click.echo(f"the whole keeps {against_goal(walls[slowest] / walls['whole'])} of the speed of {slowest} alone")
    click.echo(
        f"the whole reaches {against_goal(least / walls['whole'])} of the speed that {PROCESSORS} processors allow, "
        f"which is {walls[slowest] / least:.0%} of that of {slowest} alone"
    )
    # This is valid on a busy machine, too, unlike the times above.
    shares = [processors[slowest] / processors["whole"], total / processors["whole"]]
    click.echo(f"of its processor time, {shares[0]:.0%} is {slowest}, and {shares[1]:.0%} is all stages")


def against_goal(share: float) -> str:
    """A share, and whether it reaches the goal."""
    return f"{share:.1%} ({'at least' if share >= GOAL else 'less than'} {GOAL:.0%})"


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
    """Records the failures of a batch."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.failures: list[str] = []

    def waiting(self, job: Job) -> None:
        """No matter."""

    def began(self, job: Job) -> None:
        """No matter."""

    def advanced(self, job: Job, done: int, total: int) -> None:
        """No matter."""

    def ended(self, outcome: JobReport) -> None:
        """Record a failure."""
        if outcome.status != "done":
            self.failures.append(outcome.message)


def batches(job: Job, folder: Path, jobs: int, rounds: int) -> None:
    """Measure batches of copies of the file with one worker process and with several, and print them."""
    copies = [folder / f"copy{number}{job.source.suffix}" for number in range(2 * jobs)]
    for copy in copies:
        shutil.copy(job.source, copy)
    timings: dict[int, list[Timing]] = {1: [], jobs: []}
    for number in range(rounds):
        # Alternate the order, since earlier runs may fill the machine's caches.
        for workers in sorted(timings, reverse=number % 2 == 1):
            out = folder / f"out{workers}-{number}"
            out.mkdir()
            work = [replace(job, source=copy, target=out / f"{copy.stem}.mkv") for copy in copies]
            timings[workers].append(timed_children(partial(batch, work, workers)))
    click.echo(f"batch of {len(copies)} clips, preset {job.preset}, {rounds} rounds")
    click.echo("| workers | seconds | processor time, s | processors busy | quiet rounds |")
    click.echo("| ---: | ---: | ---: | ---: | ---: |")
    walls = []
    for workers, found in timings.items():
        quiet = [each for each in found if each.quiet]
        wall, processor = (median(getattr(each, name) for each in quiet or found) for name in ("wall", "processor"))
        walls.append(wall)
        click.echo(f"| {workers} | {wall:.1f} | {processor:.1f} | {processor / wall:.2f} | {len(quiet)} of {rounds} |")
    click.echo(f"{jobs} workers are {walls[0] / walls[1]:.2f} times as fast as one")


def batch(work: list[Job], workers: int) -> None:
    """Do ``work`` with ``workers`` worker processes."""
    pool, silent = LocalPool(workers), Silent()
    try:
        run_batch(work, pool, silent)
    finally:
        pool.close()
    if silent.failures:
        raise click.ClickException(silent.failures[0])


def timed_children(work: Callable[[], None]) -> Timing:
    """The time of ``work`` in child processes that have ended when it returns."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    timing = timed(work)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return replace(timing, processor=timing.processor + theirs, others=timing.others - theirs)


@click.command()
@click.argument("file", default=DEMO, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--frames", default=120, show_default=True, help="Frames at most, kept in memory in both sizes.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--preset", default=10, show_default=True, help="SVT-AV1 preset.")
@click.option("--ratio", default="2:1", show_default=True)
@click.option("--network-threads", default=0, help="For inference; 0: all processors.")
@click.option("--one-encoder-thread", is_flag=True, help="Limit SVT-AV1 to one processor.")
@click.option("--jobs", default=0, help="Measure batches with this many worker processes instead.")
def main(
    file: Path,
    frames: int,
    rounds: int,
    preset: int,
    ratio: str,
    network_threads: int,
    one_encoder_thread: bool,
    jobs: int,
) -> None:
    """Measure and print."""
    os.environ.setdefault("SVT_LOG", "0")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        end = end_of(file, frames)
        job = Job(source=file, target=folder / "whole.mkv", end=end, preset=preset, ratio=ratio, overwrite=True)
        if network_threads:
            job = replace(job, backend=OpenVINO(threads=network_threads))
        if one_encoder_thread:
            job = replace(job, encoder_options=(("svtav1-params", "lp=1"),))
        if jobs > 1:
            batches(job, folder, jobs, rounds)
            return
        stages(job, frames, rounds)
        memory(job, min(frames, source(file).num_frames))


if __name__ == "__main__":
    main()
