"""The filter in a player: target size, choice of the network, and a faster one if it is too slow.

mpv reloads its script at every seek, in the same interpreter. State that must survive a seek is therefore in modules:
compiled engines in ``backends.engine_store``, measured speed in this one. Nodes and frames are never kept.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.files import write_atomically
from vs_srcomp.geometry import MAX_QUANTIZER, RATIOS, ratio_by_name, scaled_size
from vs_srcomp.log import log_info, log_once
from vs_srcomp.models import LOOKS, TIERS, models
from vs_srcomp.resample import lanczos5
from vs_srcomp.restore import NO_MODEL, OWN_PROPS
from vs_srcomp.upscale import upscale

ENVIRONMENT = "SRCOMP_MPV"
"""Environment variable with options for every file."""

ASSUMED_DISPLAY = 1920, 1080
"""For as long as there is no window, mpv does not know the size of the display."""

LEAST_FACTOR = Fraction(7, 6)
"""The picture is left as it is if it would grow by less: half-way to the smallest ratio that has models."""

LEAST_SIDE = 32
"""In pixels. In smaller pictures, most of a receptive field is outside the picture."""

FIRST_WINDOW, LATER_WINDOW = 1.0, 5.0
"""The speed is judged after so many seconds of video, or of work if that takes longer."""

WARM_UP = 2
"""Frames that do not count after the script is loaded: they allocate buffers."""

LEAST_FRAMES = 2
"""The speed is judged by at least so many frames."""

LARGEST_DELAY = 0.2
"""Seconds that the picture may lag behind the sound in the first window. A longer lag is visible."""

DELAYED_FRAMES = 4
"""Frames that must have been late on average by then: a single slow frame may have another cause."""

LASTING_VERDICT = 600.0
"""Seconds after which a network that was too slow is tried again: the load of the machine may have changed."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that a user can set in ``user-data``, and in the environment: ``ratio=2:1,q=40,model=fast``."""

    ratio: str = "auto"
    """A ratio, or ``"auto"``: to the size of the display, but not beyond the largest ratio."""
    display: tuple[int, int] | None = None
    """Size of the display in pixels, instead of the player's."""
    q: float | Literal["auto"] = "auto"
    """The compression level, as for ``upscale``."""
    model: str = "fast"
    """A tier, or the path of an ONNX file."""
    look: str = "faithful"
    """Of a tier's networks, as for ``upscale``."""
    sharpness: float = 0.0
    """How much luma is sharpened after the network, as for ``upscale``."""
    adapt: bool = True
    """Whether to use a faster network, and then Lanczos alone, if this one is too slow."""
    status: Path | None = None
    """A file for the state of the filter as JSON, which srcomp.lua shows."""


def play(clip: vs.VideoNode, *, shown: tuple[int, int], display: tuple[int, int], options: str = "") -> vs.VideoNode:
    """Upscale the clip of a player, up to the size of its display.

    Args:
        clip: The player's clip: any length, no frame rate, few properties. No frame is requested here.
        shown: Width and height at 100 % zoom; they differ from the clip's if pixels are not square.
        display: Width and height of the display in pixels; zeros if unknown.
        options: ``key=value,key=value``, see `Options`; they override those in the environment variable SRCOMP_MPV.

    Returns:
        The clip itself, or an upscaled one with the same format, timing and properties.

    Raises:
        vs.Error: An option is wrong, or the network cannot be used.
    """
    chosen = read_options(os.environ.get(ENVIRONMENT, ""), options)
    size = target_size(clip, shown, chosen.display or display, chosen.ratio)
    if size is None:
        _write_status(chosen.status, {"width": clip.width, "height": clip.height, "model": None})
        return clip

    steps = _steps(chosen)
    pace = _pace(
        (*steps, chosen.adapt, clip.format.id, clip.width, clip.height, *size), chosen.adapt * (len(steps) - 1)
    )
    # Interlaced pictures are scaled as woven frames, as players do without a deinterlacer.
    plain = lanczos5(clip.std.RemoveFrameProps("_FieldBased"), *size).std.CopyFrameProps(clip)
    plain = plain.std.SetFrameProps(SrcompModel=NO_MODEL)
    made = {len(steps) - 1: plain}

    def graph(step: int) -> vs.VideoNode:
        if step not in made:
            made[step] = upscale(
                clip,
                width=size[0],
                height=size[1],
                q=chosen.q,
                model=steps[step],
                look=chosen.look,
                sharpness=chosen.sharpness,
            )
        return made[step]

    # Wrong options raise, and the engine is compiled, while the script loads. Only a step down compiles one later.
    graph(pace.step)
    watch = _Watch(pace, steps, chosen.status)

    def choose(n: int, f: vs.VideoFrame) -> vs.VideoNode:
        if f.props.get("_FieldBased", 0):
            log_once("interlaced pictures are only enlarged: deinterlace them first, with --deinterlace=yes")
            return plain
        return graph(watch.begin(n))

    out = plain.std.FrameEval(choose, prop_src=clip, clip_src=[plain, graph(pace.step)])
    return out.std.ModifyFrame(out, watch.end)


def show_messages() -> vs.LogHandle:
    """Print the core's log on standard error, because mpv does not show it. Returns the handle that ends this."""
    return vs.core.add_log_handler(_print)


def _print(kind: vs.MessageType, message: str) -> None:
    if kind != vs.MESSAGE_TYPE_DEBUG:
        print(message, file=sys.stderr, flush=True)  # noqa: T201  # a player's terminal, not a library's output


def read_options(*texts: str) -> Options:
    """The options in ``texts``; later texts override earlier ones. vs.Error names the first wrong one."""
    values: dict[str, Any] = {}
    for item in (item.strip() for text in texts for item in text.split(",")):
        if item:
            key, _, value = item.partition("=")
            if key not in _READERS:
                raise error(f"there is no option {key!r}", f"the options are {', '.join(_READERS)}: ratio=2:1,q=40")
            try:
                values[key] = _READERS[key](value)
            except ValueError as reason:
                raise error(f"{key}={value} cannot be understood", f"{key} is {reason}") from None
    return Options(**values)


def target_size(
    clip: vs.VideoNode, shown: tuple[int, int], display: tuple[int, int], ratio: str
) -> tuple[int, int] | None:
    """Target width and height, or None if ``clip`` stays as it is."""
    if clip.format.color_family != vs.YUV or clip.format.sample_type != vs.INTEGER:
        reason = f"{clip.format.name} is not integer YUV"
    elif min(clip.width, clip.height) < LEAST_SIDE:
        reason = "it is too small"
    else:
        if ratio == "auto":
            known = display if min(display) > 0 else ASSUMED_DISPLAY
            pairs = zip(known, shown if min(shown) > 0 else (clip.width, clip.height), strict=True)
            factor = min(RATIOS[0].factor, *(Fraction(there, here) for there, here in pairs))
        else:
            factor = ratio_by_name(ratio).factor
        if factor >= LEAST_FACTOR:
            return scaled_size(clip.width, clip.height, factor, clip.format.subsampling_w, clip.format.subsampling_h)
        reason = "the display has about its size"
    log_once(f"the picture of {clip.width}x{clip.height} is left as it is: {reason}")
    return None


@dataclass(frozen=True)
class Speed:
    """Speed of the graph in frames per second."""

    possible: float
    needed: float


class Pace:
    """Chooses the step to run by the speed so far.

    Only time in which at least one frame is in progress counts, so a pause, a slow disk or a player that waits for its
    clock does not count against a network, and frames that run in parallel count together.
    """

    def __init__(self, last: int) -> None:
        """Start with step 0; ``last`` is the last step there is."""
        self.step = 0
        self.lock = threading.Lock()
        self._last = last
        self._changed = time.monotonic()
        self._restart_measurement(FIRST_WINDOW)

    def load(self) -> None:
        """To be called when the script is loaded."""
        if time.monotonic() - self._changed > LASTING_VERDICT:
            self._go_to(0)

    def count(self, duration: float, work: float) -> Speed | None:
        """Count a frame that is shown for ``duration`` seconds and took ``work`` seconds, both above 0.

        Returns:
            The speed, when enough frames have come since the last result; ``step`` may have changed then.
        """
        self._frames += 1
        self._video += duration
        self._work += work
        begins = self._window == FIRST_WINDOW
        late = begins and self._frames >= DELAYED_FRAMES and self._work - self._video > LARGEST_DELAY
        if self._frames < LEAST_FRAMES or not (late or max(self._video, self._work) >= self._window):
            return None
        speed = Speed(possible=self._frames / self._work, needed=self._frames / self._video)
        self._restart_measurement(LATER_WINDOW)
        if speed.possible < speed.needed and self.step < self._last:
            self._go_to(self.step + 1)
        return speed

    def _go_to(self, step: int) -> None:
        self.step = step
        self._changed = time.monotonic()
        self._restart_measurement(FIRST_WINDOW)

    def _restart_measurement(self, window: float) -> None:
        self._window = window
        self._frames = 0
        self._video = self._work = 0.0


# By what determines the speed: picture sizes, format and list of networks.
_paces: dict[tuple[object, ...], Pace] = {}


def _pace(key: tuple[object, ...], last: int) -> Pace:
    pace = _paces.setdefault(key, Pace(last))
    with pace.lock:
        pace.load()
    return pace


class _Watch:
    """Measures the frames of one load of the script, from one callback to the other."""

    def __init__(self, pace: Pace, steps: list[str], status: Path | None) -> None:
        self._pace = pace
        self._steps = steps
        self._status = status
        self._running: dict[int, int] = {}
        self._since = 0.0
        self._finished = 0
        self._reported: int | None = None

    def begin(self, n: int) -> int:
        """Start of frame ``n``; returns the step to run."""
        with self._pace.lock:
            if not self._running:
                self._since = time.monotonic()
            self._running[n] = self._pace.step
            return self._pace.step

    def end(self, n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        """End of frame ``n``, which passes through unchanged."""
        with self._pace.lock:
            step = self._running.pop(n, None)
            if step is None:
                return f
            now = time.monotonic()
            work, self._since = now - self._since, now
            self._finished += 1
            speed = None
            # The last frame has a negative duration: it is unknown.
            duration = f.props.get("_DurationNum", 0) / (f.props.get("_DurationDen", 0) or 1)
            if self._finished > WARM_UP and step == self._pace.step and duration > 0 and work > 0:
                speed = self._pace.count(duration, work)
            later = self._pace.step
        if speed and later != step:
            log_info(
                f"{self._steps[step]} is too slow here, {speed.possible:.1f} of {speed.needed:.1f} frames a second: "
                f"{self._steps[later]} from now on (adapt=no keeps it)"
            )
        if speed or step != self._reported:
            self._reported = step
            self._report(f, later, speed)
        return f

    def _report(self, f: vs.VideoFrame, step: int, speed: Speed | None) -> None:
        own = {name: f.props[name] for name in OWN_PROPS if name in f.props}
        status = {"width": f.width, "height": f.height, "model": own.get("SrcompModel"), "q": own.get("SrcompQ")}
        status |= {"ratio": own.get("SrcompRatio"), "too_slow": self._steps[0] if step else None}
        status |= {"possible_fps": round(speed.possible, 1), "needed_fps": round(speed.needed, 1)} if speed else {}
        _write_status(self._status, status)


def _write_status(path: Path | None, status: Mapping[str, Any]) -> None:
    if path is not None:
        # Playback does not depend on it.
        with suppress(OSError):
            write_atomically(path, json.dumps(status).encode())


def _steps(options: Options) -> list[str]:
    """Networks to run, best first; the last step is Lanczos alone."""
    faster = TIERS[TIERS.index(options.model) + 1 :] if options.model in TIERS else ()
    with_look = {model.tier for model in models() if model.look == options.look}
    return [options.model, *(tier for tier in faster if tier in with_look), NO_MODEL]


def _ratio(text: str) -> str:
    if text == "auto":
        return text
    try:
        return ratio_by_name(text).name
    except ValueError:
        raise ValueError(f"auto, or one of {', '.join(ratio.name for ratio in RATIOS)}") from None


def _display(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ValueError("a size in pixels, such as 1920x1080")
    return int(width), int(height)


def _q(text: str) -> float | Literal["auto"]:
    if text == "auto":
        return "auto"
    return _number(text, MAX_QUANTIZER, "auto, or a number from 0 to 63")


def _look(text: str) -> str:
    if text not in LOOKS:
        raise ValueError(" or ".join(LOOKS))
    return text


def _sharpness(text: str) -> float:
    return _number(text, 1, "a number from 0 to 1")


def _number(text: str, highest: float, wanted: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= highest:
        raise ValueError(wanted)
    return number


def _adapt(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("yes or no")
    return text == "yes"


_READERS: Mapping[str, Callable[[str], Any]] = {
    "ratio": _ratio,
    "display": _display,
    "q": _q,
    "model": str,
    "look": _look,
    "sharpness": _sharpness,
    "adapt": _adapt,
    "status": Path,
}
