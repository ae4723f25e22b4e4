"""The study of the quantizer on one short stream: scores, their file, and their tables."""

import dataclasses
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from click.testing import CliRunner

from tests.tolerances import SCORE_DIGITS
from tests.train.videos import make_video
from train.clips import encode_clip, read_video
from train.estimators import ESTIMATORS
from train.metrics import psnr
from train.quantizer_study import (
    HEIGHT,
    NEAR_LOSSLESS,
    TRIED,
    VIDEOS,
    WIDTH,
    Encoder,
    Stream,
    main,
    read_streams,
    score,
    write_streams,
)
from vs_srcomp.geometry import QUANTIZERS, quantizer_of_index, ratio_by_name
from vs_srcomp.resample import lanczos5
from vs_srcomp.source import source
from vs_srcomp.upscale import upscale

type Scored = tuple[Stream, Path, list[np.ndarray]]
"""The scores of a stream of six frames, its file, and the luma planes of its original."""

ENCODER = Encoder("libaom", "-c:v libaom-av1 -threads 1 -cpu-used 8 -crf {q} -b:v 0", (40,), length=6, step=5)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    folder = tmp_path_factory.mktemp("study")
    make_video(folder / "a.y4m", f"{WIDTH}x{HEIGHT}", ENCODER.length)
    original = read_video(folder / "a.y4m", ENCODER.length)
    path = folder / "a.mkv"
    encode_clip(original, ratio_by_name("2:1"), ENCODER.options.format(q=40), path)
    lumas = [planes[0] for planes in original]
    return score(path, "a", ENCODER, 40, lumas, "light"), path, lumas


def test_a_stream_is_scored_at_each_level_against_its_original(stream: Scored) -> None:
    found, path, lumas = stream
    assert (found.clip, found.encoder, found.level) == ("a", "libaom", 40)
    assert list(found.psnr) == ["lanczos5", *(f"q{q}" for q in TRIED)]
    coded = source(path)[:: ENCODER.step]
    shown = {"lanczos5": lanczos5(coded, WIDTH, HEIGHT), "q40": upscale(coded, ratio="2:1", q=40, model="light")}
    for method, clip in shown.items():
        frames = [np.array(frame[0]) for frame in clip.frames(close=True)]
        assert len(frames) == 2
        values = [psnr(*both) for both in zip(frames, lumas[:: ENCODER.step], strict=True)]
        assert found.psnr[method] == pytest.approx(fmean(values))
    within = [found.psnr[f"q{q}"] for q in TRIED if QUANTIZERS[0] <= q <= QUANTIZERS[-1]]
    assert len(set(within)) == len(within) > 2


def test_what_an_estimator_loses_is_what_lies_between_the_levels(stream: Scored) -> None:
    found, _, _ = stream
    for of_estimators in (found.estimate, found.loss, found.switches):
        assert list(of_estimators) == list(ESTIMATORS)
    scores = [found.psnr[f"q{q}"] for q in TRIED]
    # These have one level for the whole clip, and so no switches.
    for name in ("clip_median", "byte_weighted", "propagated_scene"):
        level = quantizer_of_index(found.estimate[name])
        assert found.loss[name] == pytest.approx(max(scores) - np.interp(level, TRIED, scores))
        assert found.switches[name] == 0


def test_scores_are_read_as_they_were_written(stream: Scored, tmp_path: Path) -> None:
    found, _, _ = stream
    streams = [found, dataclasses.replace(found, clip="b", encoder="SVT-AV1 crf", level=28)]
    write_streams(streams, tmp_path / "new" / "study.csv")
    for before, after in zip(streams, read_streams(tmp_path / "new" / "study.csv"), strict=True):
        assert (after.clip, after.encoder, after.level) == (before.clip, before.encoder, before.level)
        for group in ("psnr", "estimate", "loss", "switches"):
            assert getattr(after, group) == pytest.approx(getattr(before, group), abs=SCORE_DIGITS)


def test_the_tables_are_made_of_the_file_alone(stream: Scored, tmp_path: Path) -> None:
    found, _, _ = stream
    weak = dataclasses.replace(found, encoder=NEAR_LOSSLESS, level=5)
    write_streams([found, weak], tmp_path / "study.csv")
    arguments = ["--data", str(tmp_path), "--work", str(tmp_path), "--tables-only"]
    done = CliRunner().invoke(main, [*arguments, "--results", str(tmp_path / "study.csv")], catch_exceptions=False)
    assert done.exit_code == 0
    loss, shift, best, lossless = done.output.rstrip().split("\n\n")
    value = found.loss["clip_median"]
    assert f"| clip_median | {value:.3f} | {value:.3f} | {value:.3f} | 0.0 |" in loss
    assert NEAR_LOSSLESS not in loss
    assert "| clip_median |" in shift
    gains = [found.psnr[f"q{q}"] - found.psnr["lanczos5"] for q in TRIED]
    assert f"**{max(gains):+.2f}**" in best
    assert lossless.splitlines()[-1] == f"| a | {gains[0]:+.2f} |"


def test_an_original_that_is_missing_is_one_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--data", str(tmp_path), "--work", str(tmp_path), "--results", "none.csv"])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), done.exception
    file, _ = VIDEOS["cartoon"]
    assert f"Error: {tmp_path / 'video' / file}: not a readable video" in done.output
    assert "--data is the folder with video and test" in done.output
