"""Videos to measure and to make clips of."""

import subprocess
from pathlib import Path

from train.ffmpeg import ffmpeg


def make_video(path: Path, size: str = "96x70", frames: int = 9) -> None:
    """A test picture that moves, without loss."""
    argv = [ffmpeg(), "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25"]
    argv += ["-frames:v", str(frames), "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(argv, check=True)
