"""What to do and what came of it, as plain data that a queue can hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, Self

from vs_srcomp.encoders.pipe_command import PipeCommand
from vs_srcomp.encoders.settings import PIPE, SVT_AV1, EncoderSettings, check_crf, encoder_by_name
from vs_srcomp.errors import error
from vs_srcomp.settings import UpscaleSettings
from vs_srcomp.transcode.info import JobInfo


@dataclass(frozen=True, kw_only=True)
class Job(UpscaleSettings):
    """One file to upscale into another."""

    source: Path
    """The file to read; its first video track is upscaled."""
    target: Path
    """The file to write; its suffix selects the container."""

    film_grain: Literal["off", "apply", "restore"] = "off"
    """The source's film grain: left out, applied before the networks, or put back after them."""

    deinterlace: bool = False
    """Make progressive frames of interlaced ones, which are refused otherwise."""

    encoder: str = "svt-av1"
    """``"svt-av1"``, ``"x264"``, ``"x265"`` or ``"ffv1"``."""
    crf: float | None = None
    """Quality, less is better: 1 to 63 for SVT-AV1, 0 to 51 for x264 and x265; None is the encoder's default."""
    preset: str | int | None = None
    """Speed: 0 (slowest, smallest files) to 13 for SVT-AV1, a name for x264 and x265; None is the encoder's default."""
    svt_params: str = ""
    """More settings of SVT-AV1, as ``key=value:key=value``."""
    encoder_options: tuple[tuple[str, str], ...] = ()
    """More settings of the encoder by FFmpeg's names, as ``ffmpeg -h encoder=libx264`` lists them."""

    pipe: str = ""
    """The command of a program that encodes instead, as `vs_srcomp.encoders.pipe_command` reads it."""
    pipe_format: Literal["y4m", "raw"] = "y4m"
    """How it gets the frames: with headers, or nothing but samples."""

    start: Fraction | None = None
    """Seconds from the beginning of the file; frames shown earlier are left out, and the output starts at 0."""
    end: Fraction | None = None
    """Seconds from the beginning of the file; this moment and what follows is left out."""

    overwrite: bool = False
    """Replace ``target`` if it exists."""
    drop_incompatible: bool = False
    """Leave out streams that the container cannot hold, instead of refusing the job."""

    segment_seconds: float = 10.0
    """Length of the pieces that a batch works in; each begins with a key frame."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a finished job has made."""

    target: Path
    source_size: tuple[int, int]
    """Width and height in pixels."""
    target_size: tuple[int, int]
    frames: int
    seconds: float
    """That the work took."""
    models: dict[str, int]
    """Number of frames by name of the model that restored them."""
    bytes: int
    """Size of the file."""

    @classmethod
    def of(cls, job: Job, info: JobInfo, *, frames: int, seconds: float, models: Mapping[str, int]) -> Self:
        """The result of ``job``, whose target is there."""
        return cls(
            target=job.target,
            source_size=info.source_size,
            target_size=(info.picture.width, info.picture.height),
            frames=frames,
            seconds=seconds,
            models=dict(models),
            bytes=job.target.stat().st_size,
        )


def encoder_settings(job: Job) -> EncoderSettings:
    """The encoder of ``job``, its settings and, where the job leaves them open, their defaults.

    Raises:
        vs.Error: The encoder does not exist or does not have such settings.
    """
    if job.pipe:
        PipeCommand.parse(job.pipe)
        return EncoderSettings(kind=PIPE, crf=None, preset="")
    kind = encoder_by_name(job.encoder)
    if job.crf is not None:
        check_crf(kind, job.crf)
    preset = None if job.preset is None else str(job.preset)
    if preset is not None and preset not in kind.presets:
        raise error(
            f"{kind.title} has no preset {preset!r}",
            f"use one from {kind.presets[0]} to {kind.presets[-1]}" if kind.presets else "leave the preset out",
        )
    if job.svt_params and kind is not SVT_AV1:
        raise error(f"{kind.title} takes no settings of SVT-AV1", "give the encoder's own options instead")
    for part in job.svt_params.split(":") if job.svt_params else ():
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise error(f"{part!r} in the settings of SVT-AV1 is not name=value", "give them as name=value:name=value")
    return EncoderSettings(
        kind=kind,
        crf=kind.crf.default if job.crf is None and kind.crf else job.crf,
        preset=kind.preset if preset is None else preset,
        params=job.svt_params,
        options=job.encoder_options,
    )
