"""Clips of a moving texture, and the planes of frames."""

import numpy as np
import vapoursynth as vs


def textured(format_id: int, width: int = 64, height: int = 48, length: int = 4) -> vs.VideoNode:
    """Smooth texture that differs from frame to frame, in any format."""
    blank = vs.core.std.BlankClip(format=vs.GRAYS, width=width, height=height, length=length, keep=True)
    y, x = np.mgrid[:height, :width].astype(np.float32)

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        np.asarray(out[0])[:] = 0.5 + 0.2 * np.sin(0.4 * x + n) + 0.2 * np.cos(0.3 * y - n)
        return out

    gray = blank.std.ModifyFrame(blank, draw)
    clip = vs.core.std.ShufflePlanes([gray] * 3, [0, 0, 0], vs.RGB)
    return clip.resize.Bicubic(format=format_id, matrix_s="709", range_s="limited")


def planes(frame: vs.VideoFrame) -> list[np.ndarray]:
    return [np.array(frame[index]) for index in range(frame.format.num_planes)]
