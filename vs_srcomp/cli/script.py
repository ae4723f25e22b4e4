"""``vs-srcomp script``: a VapourSynth script for a file, and the command line that plays or encodes it."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vs_srcomp.cli.arguments import FileName, UpscaleOptions, deinterlace_option, upscale_options
from vs_srcomp.cli.programs import PROGRAMS, TICKS, Clip, command_line, notes
from vs_srcomp.cli.reports import core_log_on_stderr, debug_option
from vs_srcomp.settings import UpscaleSettings

if TYPE_CHECKING:
    from av.container import InputContainer

# In seconds: a delay that nobody notices.
_LEAST_DELAY = Fraction(1, 1000)


def _checked_output(context: click.Context, parameter: click.Parameter, output: Path | None) -> Path | None:
    """The path of a script, which vspipe and mpv know by its suffix."""
    if output is not None and output.suffix != ".vpy":
        raise click.BadParameter(f"'{output}' does not end in .vpy, as a script does")
    return output


@click.command(short_help="Write a script for vspipe, and the command for it.")
@click.argument("source", metavar="IN", type=FileName())
@click.option(
    "--for",
    "program",
    type=click.Choice(PROGRAMS),
    default="ffmpeg",
    show_default=True,
    help="Program that reads the frames.",
)
@click.option(
    "-o",
    "--output",
    type=FileName(written=True),
    callback=_checked_output,
    metavar="OUT.vpy",
    help="Write the script to this file, and print the command.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing script that differs.")
@upscale_options
@deinterlace_option
@debug_option
def script(
    source: Path,
    program: str,
    output: Path | None,
    overwrite: bool,
    options: UpscaleOptions,
    deinterlace: bool,
) -> None:
    """Print a VapourSynth script that upscales IN, and the command that pipes it into a player or an encoder.

    The command restores what a pipe of raw frames loses: colour tags, range, pixel aspect ratio, rotation, HDR
    metadata, and the name of the video. With ffmpeg all other streams of the file but covers are kept, too. If the
    frame rate varies, the frames are piped as Matroska, which keeps the time at which each begins.

    \b
    Examples:
      vs-srcomp script in.mkv > in.vpy
      vs-srcomp script in.mkv --for svtav1 --ratio 4:3 -o in.vpy
      vs-srcomp script in.mkv --for mpv -o in.vpy | bash
    """
    if output:
        from vs_srcomp.named_files import check_output

        check_output(output)
    elif set("\r\n") & set(str(source.resolve())):
        from vs_srcomp.errors import error

        raise error(f"{str(source)!r} has a line break, and a script has its command in one line", "give -o OUT.vpy")
    path = output or Path(source.stem + ".vpy")
    _check_name(path)
    arguments = _arguments(options)
    with core_log_on_stderr():
        clip, conversion = _examine(source.resolve(), arguments, program, deinterlace=deinterlace)
    command = command_line(program, clip, path)
    text = f"# {_facts(clip)}\n" + _script(clip.source, arguments, conversion, deinterlace=deinterlace)
    if output is None:
        click.echo(f"# To be saved as {path} and run with\n#\n#   {command}\n#\n{text}", nl=False)
    else:
        _write(output, text.encode(), overwrite=overwrite)
        click.echo(command)
    for note in notes(program, clip):
        click.echo(note, err=True)
    if program != "mpv":
        from vs_srcomp.media.containers import container_for
        from vs_srcomp.media.losses import losses

        for loss in losses(str(clip.source), container_for(Path("out.mkv"))):
            click.echo(loss, err=True)


def _check_name(path: Path) -> None:
    """Raise an error if vspipe, which reads names as UTF-8, would not find the script at ``path``."""
    from vs_srcomp.errors import error

    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise error(
            f"{str(path)!r} is not UTF-8, and vspipe opens no such script", "give -o OUT.vpy another name"
        ) from None


def _write(output: Path, script: bytes, *, overwrite: bool) -> None:
    from vs_srcomp.errors import error
    from vs_srcomp.files import write_atomically

    if not overwrite and output.exists() and output.read_bytes() != script:
        raise error(
            f"{str(output)!r} exists and differs", "give the script another name, or replace it with --overwrite"
        )
    write_atomically(output, script)


def _arguments(options: UpscaleOptions) -> dict[str, Any]:
    """Arguments that differ from the defaults, and those that users often change."""
    from vs_srcomp.models import TIERS

    defaults = UpscaleSettings().arguments()
    given = options.arguments()
    if isinstance(options.model, Path):
        given["model"] = str(options.model.resolve())
    elif options.model in TIERS and not (options.ratio or options.width or options.height):
        given["ratio"] = "2:1"  # Other networks have their own scale.
    return {name: value for name, value in given.items() if name in ("q", "model") or value != defaults[name]}


def _examine(source: Path, arguments: Mapping[str, Any], program: str, *, deinterlace: bool) -> tuple[Clip, str | None]:
    """The output, and the arguments of the resize that makes of it what SVT-AV1 takes."""
    import av
    import vapoursynth as vs

    import vs_srcomp
    from vs_srcomp.encoders.library import encodable, is_full_range
    from vs_srcomp.media.copies import stream_tags
    from vs_srcomp.media.picture import describe_picture
    from vs_srcomp.media.streams import is_part_of_picture
    from vs_srcomp.media.subtitles import is_timed_text
    from vs_srcomp.source.media import open_container, tracks, video_stream
    from vs_srcomp.transcode.deinterlace import deinterlaced

    clip = vs_srcomp.source(source)
    if clip.format.color_family == vs.RGB:
        encodable(clip)  # whose error states how to convert it
    if deinterlace:
        clip = deinterlaced(clip)
    upscaled = vs_srcomp.upscale(clip, **arguments)
    out = encodable(upscaled) if program in ("ffmpeg", "svtav1") else upscaled
    props = out.get_frame(0).props
    picture = describe_picture(out, clip.get_frame(0).props, props)
    rate = Fraction(clip.fps) if clip.fps else None
    conversion = None if out is upscaled else f'format=vs.{out.format.name}, dither_type="error_diffusion"'
    if conversion and props.get("_ChromaLocation") == vs.CHROMA_LEFT:
        conversion += ', chromaloc_s="left"'
    if conversion and upscaled.format.color_family == vs.GRAY and is_full_range(upscaled):
        conversion += ', range_s="full"'
    with open_container(str(source)) as container:
        others = len(container.streams) - 1
        begin = Fraction(container.start_time or 0, av.time_base)
        video = video_stream(container, 0)
        of_video = stream_tags(video, reencoded=True)
        others_of_video = [s for s in container.streams.video if s.index != video.index and not is_part_of_picture(s)]
        further_videos = tuple(s.index for s in tracks(container) if s in others_of_video)
        has_cover = len(further_videos) < len(others_of_video)
        has_timed_text = any(is_timed_text(stream) for stream in container.streams)
        others_begin = _begin_of_others(container, further_videos) - begin
    first = clip.get_frame(0).props
    delay = Fraction(first["_AbsoluteTime"]).limit_denominator(TICKS) - begin if others else Fraction(0)
    delay = delay if delay >= _LEAST_DELAY else Fraction(0)
    described = Clip(
        source=source,
        picture=picture,
        frames=clip.num_frames,
        rate=rate,
        others=others,
        delay=delay,
        others_begin=others_begin if others_begin >= _LEAST_DELAY else Fraction(0),
        turn=int(first.get("Rotation", 0)),
        is_flipped=bool(first.get("FlipVertical", 0)),
        tags={name: of_video[name] for name in ("title", "language") if of_video.get(name, "und") != "und"},
        has_timed_text=has_timed_text,
        further_videos=further_videos,
        has_cover=has_cover,
    )
    return described, conversion


def _begin_of_others(container: "InputContainer", further_videos: Collection[int]) -> Fraction:
    """From when on FFmpeg counts the times of a file whose first video it does not use, in seconds.

    In MPEG-TS, MPEG-PS and Ogg, whose times may jump, that is the start of the first stream that it uses; elsewhere it
    is the start of the file.
    """
    import av
    from av.format import Flags

    from vs_srcomp.source.media import fraction

    used = [
        stream.start_time * fraction(stream.time_base)
        for stream in container.streams
        if (stream.type in ("audio", "subtitle") or stream.index in further_videos) and stream.start_time is not None
    ]
    if used and container.format.flags & Flags.ts_discont.value:  # type: ignore[operator]  # the stub of value is wrong
        return min(used)
    return Fraction(container.start_time or 0, av.time_base)


# As `vs_srcomp.transcode.deinterlace` does it.
_DEINTERLACED = """\
progressive = clip.bwdif.Bwdif(field=1).std.SetFrameProps(_FieldBased=0)
clip = clip.std.FrameEval(
    lambda n, f, clip=clip: progressive if f.props.get("_FieldBased") else clip,
    prop_src=clip,
    clip_src=[clip, progressive],
)"""


def _script(source: Path, arguments: Mapping[str, Any], conversion: str | None, *, deinterlace: bool) -> str:
    words = ", ".join(f"{key}={_python(value)}" for key, value in arguments.items())
    lines = [
        "import vs_srcomp",
        "",
        f"clip = vs_srcomp.source({_python(str(source))})",
        *([_DEINTERLACED] if deinterlace else []),
        f"clip = vs_srcomp.upscale(clip, {words})",
    ]
    if conversion:
        lines.insert(0, "import vapoursynth as vs\n")
        lines += [
            "# SVT-AV1 takes 4:2:0 in 8 or 10 bits, with chroma to the left or top left.",
            "clip = clip.std.Crop(right=clip.width % 2, bottom=clip.height % 2)",
            f"clip = clip.resize.Bicubic({conversion})",
        ]
    return "\n".join([*lines, "clip.set_output()", ""])


def _python(value: object) -> str:
    if is_dataclass(value):
        given = {field.name: getattr(value, field.name) for field in fields(value)}
        changed = {field.name: given[field.name] for field in fields(value) if given[field.name] != field.default}
        words = ", ".join(f"{name}={_python(setting)}" for name, setting in changed.items())
        return f"vs_srcomp.Backend.{type(value).__name__}({words})"
    text = repr(value)
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text else text


def _facts(clip: Clip) -> str:
    rate = f"{float(clip.rate):.3f} frames a second".replace(".000", "") if clip.rate else "a varying frame rate"
    return f"{clip.frames} frames of {clip.picture.width}x{clip.picture.height} in {clip.picture.bits} bits, {rate}"
