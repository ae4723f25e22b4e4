"""The description of a job and its result, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal, Self

from vs_srcomp.encoders.pipe_command import PipeCommand
from vs_srcomp.encoders.settings import (
    INSTEAD_OF_CRF,
    OVERRIDING,
    PIPE,
    SVT_AV1,
    EncoderSettings,
    check_crf,
    encoder_by_name,
)
from vs_srcomp.errors import error
from vs_srcomp.media.section import check_section
from vs_srcomp.settings import UpscaleSettings
from vs_srcomp.transcode.info import JobInfo

OF_ENCODERS: Final = ("encoder", "crf", "preset", "svt_params", "encoder_options")
"""Fields of `Job`, and options of the command line, that mean nothing with a pipe."""


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
    """Deinterlace interlaced frames, which are an error otherwise."""

    encoder: str = "svt-av1"
    """A name in `vs_srcomp.encoders.settings.ENCODERS`."""
    crf: float | None = None
    """Quality, lower is better, in the range of the encoder; None is its default."""
    preset: str | int | None = None
    """Speed, one of the encoder's presets; None is its default."""
    svt_params: str = ""
    """More settings of SVT-AV1, as ``key=value:key=value``."""
    encoder_options: tuple[tuple[str, str], ...] = ()
    """More settings of the encoder by FFmpeg's names, as ``ffmpeg -h encoder=libx264`` lists them."""

    pipe: str = ""
    """The command of a program that encodes instead of ``encoder``; see `vs_srcomp.encoders.pipe_command`."""
    pipe_format: Literal["y4m", "raw"] = "y4m"
    """Format of the frames for that program: with headers, or samples alone."""

    start: Fraction | None = None
    """Seconds from the beginning of the file; frames shown earlier are left out, and the output starts at 0."""
    end: Fraction | None = None
    """Seconds from the beginning of the file; frames shown then or later are left out."""

    overwrite: bool = False
    """Replace ``target`` if it exists."""
    drop_incompatible: bool = False
    """Leave out streams that the container cannot hold, instead of raising an error."""

    segment_seconds: float = 10.0
    """Length of a batch's segments; each begins with a key frame."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a finished job."""

    target: Path
    source_size: tuple[int, int]
    """Width and height in pixels."""
    target_size: tuple[int, int]
    frames: int
    seconds: float
    """Duration of the work."""
    models: dict[str, int]
    """Number of frames by model name."""
    bytes: int
    """Size of the file."""

    @classmethod
    def of(cls, job: Job, info: JobInfo, *, frames: int, seconds: float, models: Mapping[str, int]) -> Self:
        """The result of ``job``, whose target has been written."""
        return cls(
            target=job.target,
            source_size=info.source_size,
            target_size=(info.picture.width, info.picture.height),
            frames=frames,
            seconds=seconds,
            models=dict(models),
            bytes=job.target.stat().st_size,
        )


def check_job(job: Job) -> EncoderSettings:
    """The encoder of ``job`` with its settings, once the options of the job are known to fit each other.

    Raises:
        vs.Error: Options exclude each other, or the encoder does not exist or does not have such settings.
    """
    check_section(job.start, job.end)
    if job.deinterlace and job.film_grain == "restore":
        raise error(
            "deinterlacing and restored film grain exclude each other",
            "leave one of them out, or apply the grain before the network",
        )
    if not job.segment_seconds > 0:
        raise error(f"segments of {job.segment_seconds:g} seconds are none", "give a length above 0")
    return encoder_settings(job)


def encoder_settings(job: Job) -> EncoderSettings:
    """The encoder of ``job`` with its settings; defaults for those that the job does not set.

    Raises:
        vs.Error: The encoder does not exist or does not have such settings.
    """
    if job.pipe:
        for_encoders = [name for name in OF_ENCODERS if getattr(job, name) != getattr(Job, name)]
        if for_encoders:
            raise error(
                f"pipe and {' and '.join(for_encoders)} exclude each other", "put the settings into the command"
            )
        PipeCommand.parse(job.pipe)
        return EncoderSettings(kind=PIPE, crf=None, preset="")
    kind = encoder_by_name(job.encoder)
    if job.crf is not None:
        check_crf(kind, job.crf)
    preset = None if job.preset is None else str(job.preset)
    if preset is not None and preset not in kind.presets:
        raise error(
            f"{kind.title} has no {f'preset {preset!r}' if kind.presets else 'presets'}",
            f"use one from {kind.presets[0]} to {kind.presets[-1]}" if kind.presets else "leave the preset out",
        )
    if job.svt_params and kind is not SVT_AV1:
        raise error(f"{kind.title} takes no settings of SVT-AV1", "give the encoder's own options instead")
    for part in job.svt_params.split(":") if job.svt_params else ():
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise error(f"{part!r} in the settings of SVT-AV1 is not name=value", "give them as name=value:name=value")
    has_crf = INSTEAD_OF_CRF.isdisjoint(dict(job.encoder_options))
    settings = EncoderSettings(
        kind=kind,
        crf=kind.crf.default if job.crf is None and kind.crf and has_crf else job.crf,
        preset=kind.preset if preset is None else preset,
        params=job.svt_params,
        options=job.encoder_options,
    )
    for name, given in (("crf", job.crf), ("preset", preset)):
        if given is not None and (found := settings.names & OVERRIDING[name]):
            raise error(
                f"{name}={given} and the encoder's own setting {', '.join(sorted(found))} exclude each other",
                "leave one of them out",
            )
    return settings
