"""The encoder of a job with its settings."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

from vs_srcomp.transcode import Job, transcode
from vs_srcomp.transcode.job import check_job, encoder_settings


def job(**options: Any) -> Job:
    return Job(source=Path("in.mkv"), target=Path("out.mkv"), **options)


def test_what_is_not_set_has_the_defaults_of_the_encoder() -> None:
    settings = encoder_settings(job())
    assert (settings.kind.name, settings.crf, settings.preset) == ("svt-av1", 26, "8")
    assert encoder_settings(job(crf=30, preset=5)).ffmpeg_options({})["crf"] == "30"


@pytest.mark.parametrize("name", ["b", "qp"])
def test_another_control_of_the_rate_takes_the_place_of_the_default_crf(name: str) -> None:
    settings = encoder_settings(job(encoder="x264", encoder_options=((name, "40"),)))
    assert settings.crf is None
    assert settings.ffmpeg_options({}) == {name: "40", "preset": "medium"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"crf": 30, "encoder_options": (("b", "2M"),)}, "crf=30 and the encoder's own setting b exclude"),
        ({"crf": 30, "encoder_options": (("svtav1-params", "lp=1:crf=20"),)}, "setting crf exclude"),
        ({"crf": 30, "svt_params": "tbr=900:rc=1"}, "setting rc, tbr exclude"),
        ({"preset": 9, "svt_params": "preset=3"}, "preset=9 and the encoder's own setting preset exclude"),
        ({"pipe": "cat > {out}.ivf", "crf": 30, "preset": 4}, "pipe and crf and preset exclude each other"),
        ({"pipe": "cat > {out}.ivf", "crf": 0, "preset": 0}, "pipe and crf and preset exclude each other"),
        ({"encoder": "x265", "crf": 20, "encoder_options": (("x265-params", "bitrate=900"),)}, "setting bitrate"),
    ],
)
def test_settings_that_override_each_other_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(vs.Error, match=problem):
        encoder_settings(job(**given))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"start": Fraction(3), "end": Fraction(3)}, "the end, 3 s, is not after the start, 3 s"),
        ({"deinterlace": True, "film_grain": "restore"}, "deinterlacing and restored film grain exclude"),
        ({"segment_seconds": 0.0}, "segments of 0 seconds are none"),
        ({"encoder": "x266"}, "there is no encoder 'x266'"),
    ],
)
def test_options_that_do_not_fit_are_refused(given: dict[str, Any], problem: str, film: Path, tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=problem):
        check_job(job(**given))
    with pytest.raises(vs.Error, match=problem):
        transcode(Job(source=film, target=tmp_path / "out.mkv", **given))
