"""Interlaced films."""

from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from click.testing import CliRunner

import vs_srcomp
from tests.helpers.films import INTERLACED, Studio, frames_of, times_of
from vs_srcomp.cli import main
from vs_srcomp.transcode import Job, transcode
from vs_srcomp.transcode.deinterlace import deinterlaced


@pytest.fixture(scope="module")
def film(studio: Studio) -> Path:
    return studio.picture("interlaced.mkv", *INTERLACED, rate="50")


def test_the_refusal_names_the_option_and_the_option_helps(film: Path, model: Path, tmp_path: Path) -> None:
    arguments = ["upscale", str(film), str(tmp_path / "out.mkv"), "--model", str(model), "--preset", "12"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert "frame 0 is interlaced" in refused.stderr
    assert "--deinterlace" in refused.stderr
    done = CliRunner().invoke(main, [*arguments, "--deinterlace"])
    assert done.exit_code == 0, done.stderr
    assert times_of(tmp_path / "out.mkv") == times_of(film)
    assert not any(frame.interlaced_frame for frame in frames_of(tmp_path / "out.mkv"))


def test_interlaced_frames_only(film: Path) -> None:
    woven = vs_srcomp.source(film)
    mixed = woven[:2].std.SetFrameProps(_FieldBased=0) + woven[2:]
    out = deinterlaced(mixed)
    assert out.num_frames == mixed.num_frames
    for number, frame in enumerate(out.frames()):
        assert frame.props["_FieldBased"] == 0
        assert bool((np.asarray(frame[0]) == np.asarray(mixed.get_frame(number)[0])).all()) == (number < 2)


def test_without_the_plugin_it_is_reported_before_work(
    film: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vs_srcomp.transcode.deinterlace.NAMESPACE", "of_no_plugin")
    with pytest.raises(vs.Error, match="pip install vapoursynth-bwdif"):
        transcode(Job(source=film, target=tmp_path / "out.mkv", model=model, deinterlace=True))
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_are_too_small_are_reported(studio: Studio) -> None:
    dot = studio.make(
        *("-f", "lavfi", "-i", "color=size=2x2:duration=0.04"),
        "-vf",
        "crop=1:1:exact=1,format=yuv420p",
        "-c:v",
        "ffv1",
        "1.mkv",
    )
    with pytest.raises(vs.Error, match="1x1, is smaller than its chroma can be"):
        vs_srcomp.source(dot)
