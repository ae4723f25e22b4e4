"""Small streams of every kind that the available encoders can make."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

_MOVING = "testsrc2=size={size}:rate=25,noise=alls=12:allf=t,rotate=0.01*n"


@dataclass(frozen=True)
class Recipe:
    """How FFmpeg is to make a stream."""

    options: str
    """Encoder and its options."""
    frames: int = 10
    size: str = "176x144"
    pixels: str = "yuv420p"
    container: str = "mkv"
    source: str = _MOVING


_AOM = "-c:v libaom-av1 -cpu-used 8 -threads 1"
_AOM_HIDDEN = f"{_AOM} -crf 40 -b:v 0 -lag-in-frames 12"
_AOM_REALTIME = f"{_AOM} -usage realtime -b:v 60k"
_SVT = "-c:v libsvtav1 -preset 10 -svtav1-params lp=1"
_RAV1E = "-c:v librav1e -speed 10 -qp 120"

RECIPES = {
    "aom-crf": Recipe(f"{_AOM_HIDDEN} -g 9", frames=24, container="mp4"),
    "aom-fixed-q": Recipe(f"{_AOM} -qmin 40 -qmax 40 -b:v 100k", frames=16),
    "aom-realtime-cyclic": Recipe(f"{_AOM_REALTIME} -aq-mode 3 -aom-params cpu-used=7", frames=16),
    "aom-realtime-fastest": Recipe(f"{_AOM_REALTIME} -aom-params cpu-used=10", container="ivf"),
    "aom-film-grain": Recipe(f"{_AOM_HIDDEN} -aom-params film-grain-test=4", container="mp4"),
    "aom-film-grain-444": Recipe(f"{_AOM} -crf 40 -aom-params film-grain-test=7", pixels="yuv444p"),
    "aom-film-grain-mono": Recipe(f"{_AOM} -crf 40 -aom-params film-grain-test=10", pixels="gray"),
    "aom-tiles-uniform": Recipe(f"{_AOM} -crf 40 -tile-columns 2 -tile-rows 1", frames=4, size="512x256"),
    "aom-tiles-explicit": Recipe(f"{_AOM} -crf 40 -tiles 3x2", frames=4, size="512x256"),
    "aom-superblock-128": Recipe(f"{_AOM_HIDDEN} -aom-params sb-size=128", frames=8, size="320x192"),
    "aom-aq-variance": Recipe(f"{_AOM_HIDDEN} -aq-mode 1"),
    "aom-aq-complexity": Recipe(f"{_AOM} -b:v 60k -aq-mode 2"),
    "aom-deltaq": Recipe(f"{_AOM_HIDDEN} -aom-params deltaq-mode=2:delta-lf-mode=1"),
    "aom-tile-groups": Recipe(f"{_AOM} -crf 40 -tiles 4x2 -aom-params num-tile-groups=3", frames=4, size="512x256"),
    "aom-timing-model": Recipe(f"{_AOM} -crf 40 -aom-params timing-info=model", container="ivf"),
    "aom-timing-constant": Recipe(f"{_AOM} -crf 40 -aom-params timing-info=constant", container="ivf"),
    "aom-qm": Recipe(f"{_AOM_HIDDEN} -aom-params enable-qm=1:enable-chroma-deltaq=1"),
    "aom-error-resilient": Recipe(f"{_AOM_HIDDEN} -error-resilience default", container="ivf"),
    "aom-no-order-hint": Recipe(f"{_AOM} -crf 40 -aom-params enable-order-hint=0"),
    "aom-screen": Recipe(
        f"{_AOM} -crf 40 -enable-intrabc 1 -aom-params tune-content=screen",
        pixels="yuv444p",
        source="testsrc=size={size}",
    ),
    "aom-global-motion": Recipe(
        "-c:v libaom-av1 -cpu-used 3 -threads 1 -crf 30 -lag-in-frames 8 -enable-global-motion 1",
        frames=10,
        size="128x96",
        source="testsrc=size={size}:rate=25,rotate=0.03*n",
    ),
    "aom-monochrome": Recipe(_AOM_HIDDEN, pixels="gray10le", container="mp4"),
    "aom-422-12bit": Recipe(f"{_AOM} -crf 40", frames=8, pixels="yuv422p12le"),
    "aom-420-12bit": Recipe(f"{_AOM} -crf 40", frames=8, pixels="yuv420p12le"),
    "aom-444-10bit": Recipe(f"{_AOM} -crf 40", frames=8, pixels="yuv444p10le"),
    "aom-rgb": Recipe(f"{_AOM} -crf 40 -color_primaries bt709 -color_trc iec61966-2-1", frames=8, pixels="gbrp"),
    "aom-lossless": Recipe(f"{_AOM} -aom-params lossless=1", frames=8),
    "aom-still-reduced": Recipe(f"{_AOM} -crf 30 -still-picture 1", frames=1, container="obu"),
    "aom-all-intra": Recipe(f"{_AOM} -crf 30 -usage allintra", frames=6),
    "aom-small": Recipe(f"{_AOM} -crf 40", size="16x16", container="obu"),
    "svt-crf": Recipe(f"{_SVT} -crf 40", frames=24, container="mp4"),
    "svt-low-delay": Recipe(f"{_SVT}:pred-struct=1:rc=2:tbr=80", frames=16, container="ivf"),
    "svt-open-gop": Recipe(f"{_SVT}:irefresh-type=1 -crf 40 -g 9", frames=28),
    "svt-s-frames": Recipe(f"{_SVT}:pred-struct=1:sframe-dist=4:sframe-mode=2 -crf 40", frames=20),
    "svt-superres": Recipe(f"{_SVT}:superres-mode=2 -crf 40"),
    "svt-resize": Recipe(f"{_SVT}:resize-mode=2:pred-struct=1 -crf 40"),
    "svt-tiles": Recipe(f"{_SVT}:tile-rows=1:tile-columns=1 -crf 40", frames=6, size="512x256", container="obu"),
    "svt-grain-10bit": Recipe(f"{_SVT}:film-grain=20 -crf 40", pixels="yuv420p10le", container="mp4"),
    "rav1e-segments": Recipe(_RAV1E, frames=12, container="ivf"),
    "rav1e-switch-frames": Recipe(f"{_RAV1E} -rav1e-params low_latency=true:switch_frame_interval=4", frames=12),
    "svt-variance-boost": Recipe(f"{_SVT}:enable-variance-boost=1:aq-mode=1 -crf 40"),
}


def make_stream(recipe: Recipe, folder: Path, name: str) -> Path:
    """Encode moving test pictures."""
    path = folder / f"{name}.{recipe.container}"
    source = recipe.source.format(size=recipe.size)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    command += ["-frames:v", str(recipe.frames), "-pix_fmt", recipe.pixels, *recipe.options.split(), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path
