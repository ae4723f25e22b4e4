"""The identity of a job: everything that its result depends on. Work is resumed only if it is unchanged."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import PIL
import vapoursynth as vs

from vs_srcomp import __version__
from vs_srcomp.backends.base import BackendConfig
from vs_srcomp.encoders.pipe_command import PipeCommand
from vs_srcomp.encoders.settings import EncoderKind
from vs_srcomp.geometry import RATIOS, ratio_by_name
from vs_srcomp.models import find, load_network
from vs_srcomp.settings import UpscaleSettings, backend_of
from vs_srcomp.source.media import local_file
from vs_srcomp.stills.encoding import libaom_program
from vs_srcomp.stills.formats import AVIF
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.transcode.deinterlace import check_plugin, plugin_version
from vs_srcomp.transcode.info import fingerprint
from vs_srcomp.transcode.job import OF_ENCODERS, Job, encoder_settings

type Identity = dict[str, dict[str, Any]]
"""Plain JSON: groups by name, and in each group values by name."""

# These do not change the output, or are compared in another form.
_NOT_COMPARED = {"source", "target", "backend", "model", "crf", "preset", "overwrite", "reuse"}

# These do not count without a pipe, and settings of encoders do not count with one.
_OF_PIPES = ("pipe", "pipe_format")

# These say which frames of a video become pictures, and change none of them.
_OF_VIDEOS = ("start", "end")


def identity_of(job: Job) -> Identity:
    """The identity of ``job``.

    Raises:
        vs.Error: The source or a model cannot be read, the encoder does not have such settings, or a plugin is missing.
    """
    local_file(job.source)
    settings = encoder_settings(job)
    left_out = OF_ENCODERS if job.pipe else _OF_PIPES
    return {
        "source": asdict(fingerprint(job.source)),
        "options": _options(job, left_out)
        | {"container": job.target.suffix.lower(), "crf": settings.crf, "preset": settings.preset},
        "models": _models(job),
        "backend": _backend(backend_of(job)),
        "versions": _versions() | _encoder(job, settings.kind) | _deinterlacer(job),
    }


def identity_of_picture(job: PictureJob) -> Identity:
    """All that the output of ``job`` depends on, but for its source, of which there may be many.

    Raises:
        vs.Error: A model cannot be read, or no backend runs here.
    """
    return {
        "options": _options(job, _OF_VIDEOS),
        "models": _models(job),
        "backend": _backend(backend_of(job)),
        "versions": _versions() | {"pillow": PIL.__version__} | _avif_encoder(job.target),
    }


def _encoder(job: Job, kind: EncoderKind) -> dict[str, str]:
    return program_of(job.pipe) if job.pipe else {"encoder": library_of(kind)}


def _deinterlacer(job: Job) -> dict[str, str]:
    if not job.deinterlace:
        return {}
    check_plugin()
    return {"bwdif": plugin_version()}


def _avif_encoder(target: Path) -> dict[str, str]:
    """What writes AVIF that Pillow does not; nothing for other formats."""
    if target.suffix.lower() not in AVIF.suffixes:
        return {}
    program = libaom_program()
    return {"avif encoder": Path(program).name if program else "SVT-AV1"}


def program_of(pipe: str) -> dict[str, str]:
    """SHA-256 of the program that the command ``pipe`` runs.

    Raises:
        vs.Error: There is no such program.
    """
    path = PipeCommand.parse(pipe).path
    return {"program": _sha256(path, Path(path).stat().st_mtime_ns)}


@cache
def _sha256(path: str, mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(before: Identity, now: Identity) -> list[str]:
    """The changes, one phrase each: ``crf: 26, now 30``."""
    changes = []
    for group in sorted({*before, *now}):
        old, new = before.get(group, {}), now.get(group, {})
        if group == "source" and old != new:
            changes.append("the source file has changed")
            continue
        changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
        changes += [f"{name}: {shortened(old.get(name))}, now {shortened(new.get(name))}" for name in changed]
    return changes


def _options(job: UpscaleSettings, left_out: Collection[str] = ()) -> dict[str, Any]:
    names = [field.name for field in fields(job) if field.name not in {*_NOT_COMPARED, *left_out}]
    return {name: _plain(getattr(job, name)) for name in names}


def _models(job: UpscaleSettings) -> dict[str, str]:
    """SHA-256 of the networks that may be used, by their purpose."""
    # With a target size, the nearest ratio is unknown before the source is open.
    ratios = RATIOS if job.width or job.height else (ratio_by_name(job.ratio or "2:1"),)
    found = [find(job.model, ratio, job.look) for ratio in ratios]
    return {"model" if isinstance(each, Path) else each.name: load_network(each).sha256 for each in found}


def _backend(backend: BackendConfig) -> dict[str, Any]:
    """The arithmetic that is used, without the number of threads and the name of the device."""
    values: Mapping[str, Any] = asdict(backend) if is_dataclass(backend) and not isinstance(backend, type) else {}
    kept = {name: _plain(value) for name, value in values.items() if name not in ("threads", "streams")}
    kept |= {name: value for name, value in backend.identity().items() if name not in ("device", "units")}
    return {"backend": type(backend).__name__} | kept


def _versions() -> dict[str, str]:
    versions = {"vs-srcomp": __version__, "vapoursynth": str(vs.core.core_version), "pyav": av.__version__}
    versions["libavcodec"] = ".".join(map(str, av.library_versions["libavcodec"]))
    return versions


def library_of(kind: EncoderKind) -> str:
    """File names of an encoder's library, which contain its version.

    Empty for FFmpeg's own encoders, whose version is that of libavcodec, and if the system does not list loaded
    libraries.
    """
    try:
        lines = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text("utf-8").splitlines()]
    except OSError:
        return ""
    files = {Path(parts[5]).resolve().name for parts in lines if len(parts) == 6}
    name = kind.library.partition("-")[0]  # "libvpx-vp9" is in libvpx
    return ", ".join(sorted(file for file in files if name.startswith("lib") and file.lower().startswith(name)))


def _plain(value: Any) -> Any:
    """``value`` after a round trip through JSON."""
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def shortened(value: Any) -> str:
    """``value`` in messages; long texts, such as checksums, are cut."""
    text = "none" if value in (None, "", []) else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
