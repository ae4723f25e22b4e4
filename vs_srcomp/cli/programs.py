"""The command lines that pipe the frames of a script into a player or an encoder.

y4m has size, depth and a constant frame rate, but no colour tags, range, pixel aspect ratio or HDR metadata. vspipe's
Matroska adds the time of every frame. The command line restores the rest.
"""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from vs_srcomp.cli.reports import counted

if TYPE_CHECKING:
    from vs_srcomp.media.picture import Picture

# Names in FFmpeg and x265, and in mpv, of the numbers of ITU-T H.273. Others are left out.
_PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
}
_TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    11: "iec61966-2-4",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
_MATRICES = {
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
}
_MPV_PRIMARIES = {1: "bt.709", 4: "bt.470m", 5: "bt.601-625", 6: "bt.601-525", 7: "bt.601-525", 9: "bt.2020"}
_MPV_TRANSFERS = {**dict.fromkeys((1, 6, 7, 14, 15), "bt.1886"), 8: "linear", 13: "srgb", 16: "pq", 18: "hlg"}
_MPV_MATRICES = {1: "bt.709", 5: "bt.601", 6: "bt.601", 7: "smpte-240m", 9: "bt.2020-ncl", 10: "bt.2020-cl"}
_LOCATIONS = {1: "left", 2: "center", 3: "topleft", 4: "top", 5: "bottomleft", 6: "bottom"}
_MPV_LOCATIONS = {1: "mpeg2/4/h264", 2: "mpeg1/jpeg", 3: "uhd"}
_LEFT = 1
_RANGES = {1: "limited", 2: "full"}


# In a second: the finest clock of the usual containers.
TICKS = 90_000


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Properties of a file that the command line depends on."""

    source: Path
    picture: "Picture"
    """Of the output."""
    frames: int
    rate: Fraction | None
    """In frames per second; None if it varies."""
    others: int = 0
    """Other streams of the file."""
    delay: Fraction = Fraction(0)
    """Seconds from the start of the file to the first frame, which comes at 0 through the pipe."""
    others_begin: Fraction = Fraction(0)
    """Seconds from the start of the file to what FFmpeg takes for it where the video is not used."""
    turn: int = 0
    """Degrees by which players turn the picture clockwise, and ..."""
    is_flipped: bool = False
    """... whether they flip it before."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Title and language of the video, if it has them."""
    has_timed_text: bool = False
    """Whether there are subtitles of MP4 files, which Matroska cannot hold."""
    further_videos: tuple[int, ...] = ()
    """Numbers of the file's other video streams, without covers."""
    has_cover: bool = False
    """Whether there are pictures beside the video, which FFmpeg's program would make a video of."""


def command_line(program: str, clip: Clip, script_path: Path) -> str:
    """The shell command that pipes the frames of the script into ``program``.

    Raises:
        vs.Error: The program cannot read frames at a varying rate.
    """
    container = "y4m" if clip.rate else "mkv"
    if not clip.rate and program in _ENCODERS:
        from vs_srcomp.errors import error

        raise error(
            f"the frame rate varies, and {_ENCODERS[program]} reads only y4m, which cannot record that",
            "use --for ffmpeg, which takes Matroska, or vs-srcomp upscale",
        )
    pipe = [_vspipe(), "-c", container, _as_argument(str(script_path)), "-"]
    return f"set -o pipefail; {shlex.join(pipe)} | {shlex.join(_COMMANDS[program](clip))}"


def _as_argument(path: str) -> str:
    """A relative path that no program takes for an option or an address."""
    return f"./{path}" if path.startswith("-") or (":" in path and not path.startswith("/")) else path


def _output(clip: Clip, suffix: str) -> str:
    """The name of what the command makes."""
    return _as_argument(f"{clip.source.stem}.srcomp.{suffix}")


def _ffmpeg(clip: Clip) -> Iterator[str]:
    from vs_srcomp.media.hdr import content_light, mastering_in_decimals

    picture, colour = clip.picture, clip.picture.colour
    later = ("-itsoffset", f"{float(clip.delay):.6f}") if clip.delay and not clip.rate else ()
    # FFmpeg counts against the clock, and would turn the picture itself.
    turned = ("-noautorotate", "-display_rotation", str(-clip.turn % 360)) if clip.turn else ()
    others = ("-itsoffset", f"{float(clip.others_begin):.6f}") if clip.others_begin else ()
    yield from ("ffmpeg", *later, *turned, "-i", "-", *others, "-i", str(clip.source), "-map", "0:v")
    # Attachments: fonts of subtitles.
    for stream in (*(f"{kind}?" for kind in "ast"), *map(str, clip.further_videos)):
        yield from ("-map", f"1:{stream}")
    yield from ("-map_metadata", "1", "-map_chapters", "1", "-c", "copy")
    if clip.has_timed_text:
        yield from ("-c:s", "srt")
    yield from ("-c:v:0", "libsvtav1", "-crf", "26", "-preset", "8")
    for name, value in clip.tags.items():
        yield from ("-metadata:s:v:0", f"{name}={value}")
    tags = {
        "range": _RANGES.get(colour.range),
        "colorspace": _MATRICES.get(colour.matrix),
        "color_primaries": _PRIMARIES.get(colour.primaries),
        "color_trc": _TRANSFERS.get(colour.transfer),
    }
    filters = []
    if clip.delay or not clip.rate:
        # FFmpeg would round times to the frame rate, or to the one that it guesses.
        yield from ("-enc_time_base", f"1:{TICKS}")
    if clip.delay and clip.rate:
        # The clock of y4m ticks once a frame, and -itsoffset would be rounded to that.
        filters += [f"settb=1/{TICKS}", f"setpts=PTS+{round(clip.delay * TICKS)}"]
    if any(tags.values()):
        filters.append(f"setparams={_joined(tags, '=', ':')}")
    if picture.sample_aspect_ratio != 1:
        filters.append("setsar={}/{}".format(*picture.sample_aspect_ratio.as_integer_ratio()))
    if filters:
        yield from ("-filter:v:0", ",".join(filters))
    if (location := _location(clip)) in _LOCATIONS:
        yield from ("-chroma_sample_location", _LOCATIONS[location])
    params = {
        "mastering-display": mastering_in_decimals(picture),
        "content-light": content_light(picture),
        # SVT-AV1 takes the timestamps' clock for the frame rate, and refuses it. Only rate control depends on it.
        **({} if clip.rate else {"fps-num": "25", "fps-denom": "1"}),
    }
    if any(params.values()):
        yield from ("-svtav1-params", _joined(params, "=", ":"))
    if clip.rate is None:
        yield from ("-fps_mode", "passthrough")
    yield _output(clip, "mkv")


def _svtav1(clip: Clip) -> Iterator[str]:
    from vs_srcomp.media.hdr import content_light, mastering_in_decimals

    picture, colour = clip.picture, clip.picture.colour
    yield from ("SvtAv1EncApp", "-i", "stdin", "-b", _output(clip, "ivf"), "--crf", "26", "--preset", "8")
    yield from ("--color-primaries", str(colour.primaries), "--transfer-characteristics", str(colour.transfer))
    yield from ("--matrix-coefficients", str(colour.matrix))
    yield from _options(
        {
            "--color-range": {1: "0", 2: "1"}.get(colour.range),
            "--chroma-sample-position": {1: "left", 3: "topleft"}.get(colour.chroma_location),
            "--mastering-display": mastering_in_decimals(picture),
            "--content-light": content_light(picture),
        }
    )


def _x265(clip: Clip) -> Iterator[str]:
    from vs_srcomp.media.hdr import content_light, mastering_in_units

    picture, colour = clip.picture, clip.picture.colour
    yield from ("x265", "--y4m", "--input", "-", "--output", _output(clip, "hevc"), "--crf", "20")
    square = picture.sample_aspect_ratio == 1
    yield from _options(
        {
            "--range": _RANGES.get(colour.range),
            "--colormatrix": _MATRICES.get(colour.matrix),
            "--colorprim": _PRIMARIES.get(colour.primaries),
            "--transfer": _TRANSFERS.get(colour.transfer),
            "--chromaloc": str(colour.chroma_location - 1) if colour.chroma_location else None,
            "--sar": None if square else "{}:{}".format(*picture.sample_aspect_ratio.as_integer_ratio()),
            "--master-display": mastering_in_units(picture),
            "--max-cll": content_light(picture),
        }
    )


def _mpv(clip: Clip) -> Iterator[str]:
    picture, colour = clip.picture, clip.picture.colour
    shape = picture.sample_aspect_ratio * picture.width / picture.height
    settings = {
        "colormatrix": _MPV_MATRICES.get(colour.matrix),
        "primaries": _MPV_PRIMARIES.get(colour.primaries),
        "gamma": _MPV_TRANSFERS.get(colour.transfer),
        "colorlevels": _RANGES.get(colour.range),
        "chroma-location": _MPV_LOCATIONS.get(_location(clip)),
        "dar": None if picture.sample_aspect_ratio == 1 else f"{float(shape):.6f}",
    }
    yield "mpv"
    if any(settings.values()):
        yield f"--vf=format={_joined(settings, '=', ':')}"
    if clip.turn:
        yield f"--video-rotate={clip.turn}"
    if clip.delay:
        yield f"--audio-delay={-float(clip.delay):.6f}"
    yield from (f"--audio-file={clip.source}", "-")


_COMMANDS: Mapping[str, Callable[[Clip], Iterator[str]]] = {
    "ffmpeg": _ffmpeg,
    "svtav1": _svtav1,
    "x265": _x265,
    "mpv": _mpv,
}

PROGRAMS = tuple(_COMMANDS)
"""What `command_line` takes, and ``--for``."""

# Those that read y4m alone.
_ENCODERS = {"svtav1": "SvtAv1EncApp", "x265": "x265"}


def notes(program: str, clip: Clip) -> Iterator[str]:
    """What the command for ``program`` leaves out, and what to do about it."""
    made = {"svtav1": _output(clip, "ivf"), "x265": _output(clip, "hevc")}.get(program)
    if made and clip.others:
        later = ["--sync", f"0:{round(1000 * clip.delay)}"] if clip.delay else []
        muxed = shlex.join(["mkvmerge", "-o", _output(clip, "mkv"), *later, made, "--no-video", str(clip.source)])
        yield f"{made} has only the video; {muxed} adds the other {counted(clip.others, 'stream')}"
    if program == "ffmpeg" and clip.has_cover:
        yield "the cover is left out: vs-srcomp upscale keeps it"
    if clip.is_flipped:
        yield "that players flip the picture is left out: add std.FlipVertical to the script"
    elif clip.turn and program in _ENCODERS:
        yield f"that players turn the picture by {clip.turn} degrees clockwise is left out: give it to the muxer"
    if program == "svtav1" and clip.picture.sample_aspect_ratio != 1:
        sar = "{}/{}".format(*clip.picture.sample_aspect_ratio.as_integer_ratio())
        yield f"AV1 in IVF has no pixel aspect ratio: give {sar} to the muxer, mkvmerge --aspect-ratio-factor 0:{sar}"


def _location(clip: Clip) -> int:
    """The chroma location in FFmpeg's numbers; 0 where it is unknown, and the reader may assume what it will."""
    picture = clip.picture
    # vspipe's name of 4:2:0 in 8 bits, C420, means centre; unknown is left.
    is_misnamed = clip.rate is not None and picture.subsampling == (1, 1) and picture.bits == 8
    return picture.colour.chroma_location or (_LEFT if is_misnamed else 0)


def _joined(settings: Mapping[str, str | None], between: str, after: str) -> str:
    return after.join(f"{key}{between}{value}" for key, value in settings.items() if value is not None)


def _options(settings: Mapping[str, str | None]) -> Iterator[str]:
    for key, value in settings.items():
        if value is not None:
            yield from (key, value)


def _vspipe() -> str:
    """The program's name, if a shell finds the one next to this Python; otherwise its path."""
    beside = Path(sys.executable).with_name("vspipe")
    found = which("vspipe")
    return "vspipe" if found and Path(found).parent.resolve() == beside.parent.resolve() else str(beside)
