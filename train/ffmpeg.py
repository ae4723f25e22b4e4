"""FFmpeg from imageio-ffmpeg. The package is imported on demand: what is coded already can be read without it."""

from functools import cache


def ffmpeg() -> str:
    """Path of the program."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def ffmpeg_version() -> str:
    """Version of the program, for the record in a dataset's ``meta``."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_version())
