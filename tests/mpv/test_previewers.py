"""The scripts in examples/ as a previewer runs them: any frame at any time, and what its properties say."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

from tests.mpv.conftest import ROOT


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.vpy")), ids=lambda path: path.name)
def test_a_frame_does_not_depend_on_those_before(script: Path) -> None:
    def output() -> vs.VideoNode:
        vs.clear_outputs()
        runpy.run_path(str(script))
        return vs.get_output(0).clip

    def look(clip: vs.VideoNode, n: int) -> tuple[bytes, dict[str, object]]:
        with clip.get_frame(n) as frame:
            return np.asarray(frame[0]).tobytes(), dict(frame.props)

    clip = output()
    forwards = {n: look(clip, n) for n in range(4)}
    clip = output()
    clip.get_frame(100).close()
    for n in (3, 0, 2, 1):
        assert look(clip, n) == forwards[n]
    _, props = forwards[0]
    assert {"_Matrix", "_Range", "_PictType", "_DurationNum", "_AbsoluteTime"} <= set(props)
