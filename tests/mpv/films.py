"""Short films for a real player."""

import subprocess
from pathlib import Path
from shutil import which


def ffmpeg() -> str:
    found = which("ffmpeg")
    if found is None:
        import imageio_ffmpeg

        found = imageio_ffmpeg.get_ffmpeg_exe()
    return str(found)


def make(path: Path, *options: str, size: str = "160x96", frames: int = 30) -> Path:
    source = f"testsrc2=size={size}:rate=25"
    head = [ffmpeg(), "-v", "error", "-y", "-f", "lavfi", "-i", source, "-frames:v", str(frames)]
    subprocess.run([*head, *options, path], check=True, stdin=subprocess.DEVNULL)
    return path


def film(folder: Path) -> Path:
    return make(folder / "film.mkv", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", frames=250)
