"""The VapourSynth clip of a video file."""

import os
import weakref
from fractions import Fraction
from numbers import Integral

import vapoursynth as vs
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vs_srcomp.errors import check_flags, error
from vs_srcomp.log import log_info, log_once
from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.formats import pixel_format
from vs_srcomp.source.grid import damaged_grid, read_grid
from vs_srcomp.source.index import UNKNOWN
from vs_srcomp.source.media import Cropping, StreamInfo, local_file, no_picture, open_container, tracks
from vs_srcomp.source.props import ChangeOfDescription, PropsMaker
from vs_srcomp.source.quantizer import Quantizers, quantizers_of
from vs_srcomp.source.reader import FrameReader, LostFrameError
from vs_srcomp.source.timing import timing

# The video may be shorter than stated by this share of the length and these seconds: headers may be a little wrong, and
# where only the length of the file is stated, audio may be longer.
_INEXACT, _SECONDS = Fraction(1, 10), Fraction(1, 2)


def open_clip(
    path: str | os.PathLike[str],
    *,
    film_grain: bool = False,
    track: int = 0,
    threads: int = 0,
    report_left_out: bool = True,
) -> vs.VideoNode:
    """The implementation of `vs_srcomp.source.source`.

    Args:
        path: See `vs_srcomp.source.source`.
        film_grain: See `vs_srcomp.source.source`.
        track: See `vs_srcomp.source.source`.
        threads: See `vs_srcomp.source.source`.
        report_left_out: False for callers that add alpha, and the last row and column of odd sizes, themselves.
    """
    if not isinstance(path, str | os.PathLike):
        raise error(f"a path is needed, not {type(path).__name__}", 'give the path of a video file, such as "in.mkv"')
    check_flags(film_grain=film_grain)
    if not isinstance(track, Integral) or isinstance(track, bool):
        raise error(f"track is {track!r}", "give the number of a video track, 0 for the first")
    if not isinstance(threads, Integral) or isinstance(threads, bool) or not 0 <= threads <= 256:
        raise error(f"threads is {threads!r}", "give a number from 1 to 256, or 0 for the default")
    file = local_file(path)
    clip, stream = _open_track(file, track, film_grain=film_grain, threads=threads, report=report_left_out)
    if not stream.is_tile:
        return clip
    if track != 0:
        raise error(f"track {track} does not exist in {file!r}, which has one picture", "choose track 0")
    return _grid_of(clip, file, film_grain=film_grain, threads=threads, report=report_left_out)


def _grid_of(first: vs.VideoNode, file: str, *, film_grain: bool, threads: int, report: bool) -> vs.VideoNode:
    """The picture that consists of the tiles of ``file``, with the properties of the tile ``first``."""
    grid = read_grid(file)
    with open_container(file) as container:
        items = [stream.id for stream in tracks(container)]
    try:
        numbers = [items.index(item) for item in grid.tiles]
    except ValueError:
        raise damaged_grid(file) from None
    tiles = [_open_track(file, number, film_grain=film_grain, threads=threads, report=report)[0] for number in numbers]
    if any((tile.width, tile.height, tile.format) != (first.width, first.height, first.format) for tile in tiles):
        raise damaged_grid(file)
    rows = [vs.core.std.StackHorizontal(tiles[at : at + grid.columns]) for at in range(0, len(tiles), grid.columns)]
    whole = vs.core.std.StackVertical(rows)
    w, h = first.format.subsampling_w, first.format.subsampling_h
    if grid.width > whole.width or grid.height > whole.height:
        raise damaged_grid(file)
    return whole.std.CropAbs(grid.width >> w << w, grid.height >> h << h)


def _open_track(
    file: str, track: int, *, film_grain: bool, threads: int, report: bool
) -> tuple[vs.VideoNode, StreamInfo]:
    decoder = Decoder(file, track, film_grain=film_grain, threads=threads)
    try:
        reader = FrameReader(decoder)
    except LostFrameError as cause:
        raise no_picture(file) from cause
    quantizers = quantizers_of(file, track, reader.index)
    return _Clip(file, reader, decoder.info, quantizers, report=report).node(), decoder.info


class _Clip:
    """Serves the core's requests for frames."""

    def __init__(
        self, file: str, reader: FrameReader, stream: StreamInfo, quantizers: Quantizers | None, *, report: bool
    ) -> None:
        self._file = file
        self._reader = reader
        self._timing = timing(reader.index)
        self._pixel_format = pixel_format(reader.first.format.name)
        self._format = self._pixel_format.video_format()
        self._picture = _picture(reader.first)
        self._window = self._pixel_format.window(reader.first.width, reader.first.height, stream.cropping)
        self._width, self._height = self._window.width, self._window.height
        self._props = PropsMaker(stream, self._pixel_format, self._timing)
        self._quantizers = quantizers
        if quantizers:
            weakref.finalize(self, quantizers.close)
        self._grain_reported = False
        self._damage_reported = False
        if report and self._pixel_format.has_alpha:
            log_info(f"{file!r} has an alpha plane, which is left out")
        asked = stream.cropping != Cropping()
        if (self._width, self._height) != self._picture[1:] and (report or asked):
            reason = "as it asks for" if asked else "which the chroma subsampling divides"
            log_info(f"{file!r} is cropped to {self._width}x{self._height}, {reason}")
        self._change = ChangeOfDescription(file)
        if report:
            self._report_missing_end(stream)

    def node(self) -> vs.VideoNode:
        if not (self._width and self._height):
            raise error(
                f"the picture of {self._file!r}, {self._picture[1]}x{self._picture[2]}, "
                "is smaller than its chroma can be",
                "give a larger one",
            )
        rate = self._timing.rate
        template = vs.core.std.BlankClip(
            format=self._format.id,
            width=self._width,
            height=self._height,
            length=len(self._reader.index),
            fpsnum=rate.numerator if rate else 0,
            fpsden=rate.denominator if rate else 1,
            keep=True,
        )
        return template.std.ModifyFrame(template, self._frame)

    def _report_missing_end(self, stream: StreamInfo) -> None:
        """Log if much of the video is missing, as after an interrupted download."""
        if (self._reader.index.times == UNKNOWN).any():
            return  # what a raw stream states is a guess from its first bytes
        times, stated = self._timing, stream.stated_end
        found = (int(times.start[-1]) + int(times.duration[-1])) * times.time_base - stream.begin
        if found < stated * (1 - _INEXACT) - _SECONDS:
            log_once(f"{self._file!r} ends after {float(found):.1f} s of {float(stated):.1f} s: it seems to be cut off")

    def _frame(self, n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        try:
            decoded = self._reader.get(n)
        except LostFrameError:
            raise error(
                f"frame {n} of {self._file!r}, at {self._timing.seconds(n) - self._timing.seconds(0):.2f} s, cannot be "
                "decoded, because its data is damaged",
                "get an undamaged copy, or go around it: with --start and --end where the output is a video, or "
                "clip[first:last] in a script",
            ) from None
        if _picture(decoded) != self._picture:
            raise error(
                "frame {} of {!r} is {} {}x{}, but the clip began as {} {}x{}".format(
                    n, self._file, *_picture(decoded), *self._picture
                ),
                "cut the file where the picture changes, or convert it to one size and pixel format",
            )
        # A frame made from scratch, because a copy of ``f`` would be copied again before it is written to.
        frame = vs.core.create_video_frame(self._format, self._width, self._height)
        self._pixel_format.copy(decoded, frame, self._window.left, self._window.top)
        props = frame.props
        values = self._props.props(n, decoded, self._reader.pixel_shape(n))
        for name, value in values.items():
            props[name] = value
        self._change.look_at(n, values)
        if self._quantizers:
            for name, value in self._quantizers.props(n).items():
                props[name] = value
        if decoded.is_corrupt and not self._damage_reported:
            self._damage_reported = True
            log_info(
                f"frame {n} of {self._file!r} is damaged: the decoder has filled in what it lacks, and maybe others"
            )
        if not self._grain_reported and Type.FILM_GRAIN_PARAMS in list(decoded.side_data):
            self._grain_reported = True
            log_info(
                f"{self._file!r} asks for film grain: the network gets the picture without it, and --film-grain "
                "restore, where the output is a video, or vs_srcomp.restore_grain in a script puts it on the result"
            )
        return frame


def _picture(frame: VideoFrame) -> tuple[str, int, int]:
    return frame.format.name, frame.width, frame.height
