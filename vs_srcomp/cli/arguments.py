"""Parameter types and options that commands share."""

import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import click

from vs_srcomp.encoders.settings import ENCODERS
from vs_srcomp.settings import UpscaleSettings

if TYPE_CHECKING:
    from vs_srcomp.backends.base import BackendConfig
    from vs_srcomp.transcode import Job

type Settings = tuple[tuple[str, str], ...]

_TIME = re.compile(r"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d*)?|\.\d+)")


class FileName(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """The path of a file or a folder, or its URL (``file:///films/in.mkv``)."""

    name = "path"

    def __init__(self, *, written: bool = False) -> None:
        """For files to read or, if ``written``, to write. Other URLs are refused: here for outputs, else when read."""
        self._written = written

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        import vapoursynth as vs

        from vs_srcomp.errors import message_of
        from vs_srcomp.named_files import address_in, file_named

        if isinstance(value, Path):
            return value
        try:
            name = file_named(str(value))
        except vs.Error as wrong:
            self.fail(message_of(wrong), param, ctx)
        if self._written and (address := address_in(name)):
            self.fail(f"{address!r} is an address, and the output must be a file\ngive the path of a file", param, ctx)
        return Path(name)


class Number(click.FloatRange):
    """A number in a range; never nan, which no comparison finds outside of one, and never infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class Time(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """A time: seconds, or hours, minutes and seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """Seconds."""
        match = _TIME.fullmatch(str(value))
        hours, minutes, seconds = (Fraction((match and match[name]) or 0) for name in ("hours", "minutes", "seconds"))
        if match is None or (match["hours"] and minutes >= 60) or (match["minutes"] and seconds >= 60):
            self.fail(f"{value!r} is not a time: give seconds, or HH:MM:SS.mmm", param, ctx)
        return hours * 3600 + minutes * 60 + seconds


class Quantizer(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """A compression level, or ``auto``."""

    name = "auto|0..63"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """The level, or ``"auto"``."""
        if value == "auto":
            return "auto"
        try:
            level = float(value)
        except ValueError:
            level = -1
        if not 0 <= level <= 63:
            self.fail(f"{value!r} is not a compression level: give auto, or a number from 0 to 63", param, ctx)
        return level


class ModelName(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """A tier, the name of another model, or the path of an ONNX file."""

    name = "tier|name|file.onnx"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | Path:
        """A path where the name ends in ``.onnx``."""
        return Path(value) if str(value).endswith(".onnx") else str(value)


class BackendName(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """What runs the networks, with its settings; ``auto`` is None."""

    name = "name[:k=v,...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "BackendConfig | None":
        """The backend."""
        if value == "auto":
            return None
        import vapoursynth as vs

        from vs_srcomp.backends.from_text import backend_from_text
        from vs_srcomp.errors import message_of

        try:
            return backend_from_text(str(value))
        except vs.Error as wrong:
            self.fail(message_of(wrong), param, ctx)


class KeyValues(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """Settings by name."""

    name = "k=v,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, str], ...]:
        """Pairs of name and value."""
        pairs = [part.partition("=") for part in str(value).split(",")]
        if any(not name or not separator for name, separator, _ in pairs):
            self.fail(f"{value!r} does not name settings: give name=value,name=value", param, ctx)
        return tuple((name, setting) for name, _, setting in pairs)


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions(UpscaleSettings):
    """Values of `upscale_options`."""

    def check(self) -> None:
        """Raise a usage error if options exclude each other or the model does not exist."""
        if self.ratio and (self.width or self.height):
            raise click.UsageError("--ratio and --width or --height exclude each other.")
        check_model(self.model, self.look, self.ratio)


@dataclass(frozen=True, kw_only=True)
class JobOptions(UpscaleOptions):
    """Values of `job_options`, named as the fields of `Job`."""

    encoder: str
    crf: float | None
    preset: str | None
    svt_params: str
    encoder_options: Settings
    start: Fraction | None
    end: Fraction | None
    film_grain: Literal["off", "apply", "restore"]
    deinterlace: bool
    drop_incompatible: bool
    overwrite: bool

    def job(self, source: Path, target: Path, *, segment_seconds: float = 10.0) -> "Job":
        """The job for one file."""
        from vs_srcomp.transcode import Job

        return Job(source=source, target=target, segment_seconds=segment_seconds, **vars(self))

    def check_video(self) -> None:
        """Raise a usage error if options for videos exclude each other or the encoder does not have them."""
        from vs_srcomp.transcode.job import check_job

        with usage_errors():
            settings = check_job(self.job(Path(), Path()))
            if self.svt_params or self.encoder_options:
                from vs_srcomp.encoders.library import check_settings

                check_settings(settings)
        if self.deinterlace:
            from vs_srcomp.transcode.deinterlace import check_plugin

            check_plugin()


def upscale_options[F: Callable[..., Any]](command: F) -> F:
    """Add the options of `vs_srcomp.upscale`. The command gets them, checked, as one argument ``options``."""
    return in_one_argument("options", UpscaleOptions, _UPSCALE_OPTIONS)(command)


def job_options[F: Callable[..., Any]](command: F) -> F:
    """Add the options of a transcode. The command gets them, checked, as one argument ``options``."""
    return in_one_argument("options", JobOptions, _JOB_OPTIONS)(command)


class Checked(Protocol):
    """Values of several options."""

    def check(self) -> None:
        """Raise a usage error if values are wrong or exclude each other."""


def in_one_argument[F: Callable[..., Any]](
    name: str, kind: Callable[..., Checked], options: Sequence[Callable[[F], F]]
) -> Callable[[F], F]:
    """Add ``options`` to a command, which gets their checked values as one argument ``name``, a dataclass ``kind``."""
    fields = list(inspect.signature(kind).parameters)

    def decorate(command: F) -> F:
        @wraps(command)
        def with_options(**arguments: Any) -> Any:
            values = kind(**{field: arguments.pop(field) for field in fields})
            values.check()
            return command(**{name: values}, **arguments)

        for option in reversed(options):
            with_options = option(with_options)
        return with_options  # type: ignore[return-value]

    return decorate


def check_model(model: str | Path, look: str, ratio: str | None) -> None:
    """Raise a usage error, before any work, if a model does not exist or has no such look."""
    from vs_srcomp.geometry import RATIOS, ratio_by_name
    from vs_srcomp.models.choice import find, is_file
    from vs_srcomp.named_files import address_in

    if is_file(model):
        if not Path(model).is_file():
            what = "is an address, not a file" if address_in(str(model)) else "does not exist"
            raise click.UsageError(f"the model {str(address_in(str(model)) or model)!r} {what}\ncheck the path")
        return
    with usage_errors():
        find(model, ratio_by_name(ratio) if ratio else RATIOS[0], look)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn errors of the package into usage errors."""
    import vapoursynth as vs

    from vs_srcomp.errors import message_of

    try:
        yield
    except vs.Error as wrong:
        raise click.UsageError(message_of(wrong)) from None


look_option = click.option(
    "--look",
    type=click.Choice(["faithful", "crisp"]),
    default="faithful",
    show_default=True,
    help="faithful: least error; crisp: what people prefer to look at (tiers only).",
)

_passes_option = click.option(
    "--passes",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help="How often to run a network that enlarges by itself: 2 gives 4x with a 2x network.",
)

_ensemble_option = click.option(
    "--ensemble",
    type=click.Choice(["2", "4", "8"]),
    callback=lambda context, parameter, value: int(value) if value else False,
    help="Average over so many turned and flipped views, in so many times the time; 2 gain half of what 8 do, 4 most.",
)

_sharpness_option = click.option(
    "--sharpness",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    help="Strength of sharpening after the network; 0.25 is a good value.",
)

_backend_option = click.option(
    "--backend",
    type=BackendName(),
    default="auto",
    show_default=True,
    help="Library that runs the networks, with settings, such as openvino:precision=f32,streams=2.",
)

_no_reuse_option = click.option(
    "--no-reuse",
    "reuse",
    flag_value=False,
    default=True,
    help="Compute every frame in full, even if nothing has changed; the result is the same.",
)

deinterlace_option = click.option("--deinterlace", is_flag=True, help="Deinterlace interlaced frames with bwdif.")

_CRF_DEFAULTS = ", ".join(f"{kind.crf.default:g} for {kind.name}" for kind in ENCODERS if kind.crf)
_PRESETS = "; ".join(
    f"for {kind.name} {kind.presets[0]} to {kind.presets[-1]}, {kind.preset} by default"
    for kind in ENCODERS
    if kind.presets
)

_UPSCALE_OPTIONS = (
    click.option(
        "--ratio", type=click.Choice(["2:1", "8:5", "4:3"]), help="Scale factor.  [default: 2:1, or a network's own]"
    ),
    click.option(
        "--width",
        type=click.IntRange(min=1),
        help="Target width, instead of --ratio; the height follows. It is that of the coded video, before rotation.",
    ),
    click.option("--height", type=click.IntRange(min=1), help="Target height, instead of --ratio; the width follows."),
    click.option(
        "--q",
        type=Quantizer(),
        default="auto",
        show_default=True,
        help="How strongly the input was compressed, on libaom's scale of quantizers: 0 hardly, 63 most.",
    ),
    click.option(
        "--model",
        type=ModelName(),
        default="fast",
        show_default=True,
        help="Networks to use: light, fast, quality, another model's name, or an ONNX file.",
    ),
    look_option,
    _passes_option,
    _ensemble_option,
    _sharpness_option,
    _backend_option,
    _no_reuse_option,
)

_JOB_OPTIONS = (
    *_UPSCALE_OPTIONS,
    click.option(
        "--encoder",
        type=click.Choice([kind.name for kind in ENCODERS]),
        default=ENCODERS[0].name,
        show_default=True,
        help="Encoder of the output.",
    ),
    click.option(
        "--crf",
        type=Number(min=0),
        help=f"Quality of the output; lower is better.  [default: {_CRF_DEFAULTS}]",
    ),
    click.option(
        "--preset",
        help=f"Speed of the encoder, from slow to fast: {_PRESETS}.",
    ),
    click.option("--svt-params", default="", metavar="K=V:K=V", help="Further settings of SVT-AV1."),
    click.option(
        "--encoder-options",
        type=KeyValues(),
        multiple=True,
        callback=lambda context, parameter, given: tuple(pair for pairs in given for pair in pairs),
        help="Further settings of the encoder, by FFmpeg's names; can be repeated.",
    ),
    click.option("--start", type=Time(), help="Start time in the input: seconds, or HH:MM:SS.mmm."),
    click.option("--end", type=Time(), help="End time in the input."),
    click.option(
        "--film-grain",
        type=click.Choice(["off", "apply", "restore"]),
        default="off",
        show_default=True,
        help="Film grain of the input: off, applied before the network, or restored after it.",
    ),
    deinterlace_option,
    click.option("--drop-incompatible", is_flag=True, help="Leave out streams that the container cannot hold."),
    click.option("--overwrite", is_flag=True, help="Replace existing outputs."),
)
