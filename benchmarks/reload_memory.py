"""Cost of a seek in mpv, which reloads the script each time: memory and time over many reloads.

    python benchmarks/reload_memory.py [--reloads 100] [--size 960x540]
    MALLOC_MMAP_THRESHOLD_=262144 python benchmarks/reload_memory.py

Each reload makes a new core, as mpv does, loads vs_srcomp/mpv/srcomp.vpy, plays some frames and frees everything.
"""

import resource
import sys
import time
from pathlib import Path
from statistics import median

import click
import vapoursynth as vs

SCRIPT = Path(__file__).resolve().parents[1] / "vs_srcomp" / "mpv" / "srcomp.vpy"
FRAMES = 4
CODE = compile(SCRIPT.read_text("utf-8"), SCRIPT, "exec")


class Policy(vs.EnvironmentPolicy):
    """One environment after another, as in programs that embed Python with a core per script."""

    def __init__(self) -> None:
        """No environment yet."""
        self._now: vs.EnvironmentData | None = None
        self.api: vs.EnvironmentPolicyAPI | None = None

    def on_policy_registered(self, api: vs.EnvironmentPolicyAPI) -> None:
        """Keep the API that makes environments."""
        self.api = api

    def on_policy_cleared(self) -> None:
        """Nothing to do."""

    def get_current_environment(self) -> vs.EnvironmentData | None:
        """The same environment for all threads."""
        return self._now

    def set_environment(self, environment: vs.EnvironmentData | None) -> vs.EnvironmentData | None:
        """Change the environment."""
        before, self._now = self._now, environment
        return before


def play(policy: Policy, width: int, height: int) -> float:
    """Load the script in a new core and play a little; returns the loading time in seconds."""
    environment = policy.api.create_environment(0)
    policy.set_environment(environment)
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=width, height=height, length=2**27 - 1, keep=True)
    clip = clip.std.SetFrameProps(_DurationNum=1000, _DurationDen=1)
    start = time.perf_counter()
    given = {"video_in": clip, "video_in_dw": width, "video_in_dh": height, "display_res": [0, 0]}
    exec(CODE, given | {"user_data": "ratio=2:1,q=20", "__file__": str(SCRIPT)})
    seconds = time.perf_counter() - start
    out = vs.get_output(0)
    for frame in [out.clip.get_frame_async(n) for n in range(FRAMES)]:
        frame.result().close()
    del clip, out, frame
    given.clear()
    vs.clear_outputs()
    policy.api.destroy_environment(environment)
    policy.set_environment(None)
    return seconds


def resident() -> float:
    """Current memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@click.command()
@click.option("--reloads", default=100, show_default=True)
@click.option("--size", default="960x540", show_default=True, help="Clip size.")
def main(reloads: int, size: str) -> None:
    """Print memory and loading time over the reloads."""
    width, height = map(int, size.split("x"))
    policy = Policy()
    vs.register_policy(policy)
    first, *later = [_told(number, policy, width, height) for number in range(reloads)]
    click.echo(f"loading: {first * 1000:.0f} ms the first time, then {median(later) * 1000:.1f} ms in the median")
    sys.stdout.flush()


def _told(number: int, policy: Policy, width: int, height: int) -> float:
    seconds = play(policy, width, height)
    if number % 10 == 0:
        click.echo(f"after {number + 1:4} loads: {resident():.0f} MB")
    return seconds


if __name__ == "__main__":
    main()
