"""The filter in a player: target size, choice of the network, and a faster one if it is too slow.

mpv reloads its script at every seek, in the same interpreter. State that must survive a seek is therefore in modules:
compiled engines in ``backends.engine_store``, measured speed in ``pace``. Nodes and frames are never kept.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vs_srcomp.geometry import RATIOS, Ratio, nearest_ratio, ratio_by_name, scaled_size
from vs_srcomp.log import log_info, log_once
from vs_srcomp.models import TIERS, models
from vs_srcomp.mpv.options import ENVIRONMENT, Options, read_options
from vs_srcomp.mpv.pace import Pace, Speed, pace_for
from vs_srcomp.resample import lanczos5
from vs_srcomp.restore import NO_MODEL, OWN_PROPS
from vs_srcomp.upscale import upscale

ASSUMED_DISPLAY = 1920, 1080
"""For as long as there is no window, mpv does not know the size of the display."""

LEAST_FACTOR = Fraction(7, 6)
"""The picture is left as it is if it would grow by less: half-way to the smallest ratio that has models."""

LEAST_SIDE = 32
"""In pixels. In smaller pictures, most of a receptive field is outside the picture."""

WARM_UP = 2
"""Frames that do not count after the script is loaded: they allocate buffers."""


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
    pace = pace_for(
        (*steps, chosen.adapt, clip.format.id, clip.width, clip.height, *size), chosen.adapt * (len(steps) - 1)
    )
    # Interlaced pictures are scaled as woven frames, as players do without a deinterlacer.
    plain = lanczos5(clip.std.RemoveFrameProps("_FieldBased"), *size).std.CopyFrameProps(clip)
    plain = plain.std.SetFrameProps(SrcompModel=NO_MODEL)
    made = {len(steps) - 1: plain}
    ratio = nearest_ratio(max(Fraction(size[0], clip.width), Fraction(size[1], clip.height)))

    def graph(step: int) -> vs.VideoNode:
        if step not in made:
            made[step] = upscale(
                clip,
                width=size[0],
                height=size[1],
                q=chosen.q,
                model=steps[step],
                look=_look(steps[step], ratio, chosen.look),
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


# More frames than a player asks for at the same time.
_AT_ONCE = 64


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
            # A frame that failed has no end: what began long before this one counts no more.
            for old in [other for other in self._running if not n - _AT_ONCE < other < n + _AT_ONCE]:
                del self._running[old]
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
            # Readers see the old file or the new one. Unlike other files it need not last: frames wait for this.
            temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
            try:
                temporary.write_text(json.dumps(status), encoding="utf-8")
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)


def _steps(options: Options) -> list[str]:
    """Networks to run, best first; the last step is Lanczos alone."""
    faster = TIERS[TIERS.index(options.model) + 1 :] if options.model in TIERS else ()
    return [options.model, *faster, NO_MODEL]


def _look(model: str, ratio: Ratio, wanted: str) -> str:
    """The look ``wanted``, or the faithful one, with a message, if ``model`` does not have it: playback goes on."""
    if wanted == "faithful" or any((m.tier, m.ratio, m.look) == (model, ratio.name, wanted) for m in models()):
        return wanted
    log_once(f"{model} has no look {wanted} at {ratio.name}: the faithful one is used")
    return "faithful"
