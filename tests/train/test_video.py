import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import train.video as video_module
from tests.train.videos import make_video
from train.__main__ import main
from train.clips import read_video
from train.metrics import psnr
from train.table import read_rows, write_rows
from train.video import ClipScore, error_change, evaluate_videos, updated_clips, video_means, video_tables
from vs_srcomp.geometry import ratio_by_name
from vs_srcomp.resample import lanczos5
from vs_srcomp.source import source


def test_the_change_of_the_error_is_its_mean_difference_between_frames() -> None:
    originals = [np.full((2, 2), value, np.uint8) for value in (10, 200, 90)]
    # A constant error does not change, however much the picture does.
    assert error_change([luma + 5 for luma in originals], originals) == 0
    errors = np.array([[[0, 0], [0, 0]], [[4, 0], [0, -4]], [[4, 2], [0, 2]]])
    restored = [(luma + error).astype(np.uint8) for luma, error in zip(originals, errors, strict=True)]
    assert error_change(restored, originals) == pytest.approx(((4 + 4) / 4 + (2 + 6) / 4) / 2)
    with pytest.raises(ValueError, match="two are needed"):
        error_change(restored[:1], originals[:1])


def test_a_clip_is_scored_against_its_original_frame_by_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_module, "LEVELS", (30,))
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "moving.y4m", "96x64")
    (tmp_path / "videos" / "notes.txt").write_text("no video")
    every = evaluate_videos(tmp_path / "videos", tmp_path / "work", [ratio_by_name("2:1")], ["fast"])
    scores = [score for score in every if score.method != "fast crisp"]
    assert [(s.clip, s.encoder, s.level, s.method, s.frames) for s in scores] == [
        ("moving", encoder, 30, method, 9) for encoder in ("libaom", "SVT-AV1") for method in ("lanczos5", "fast")
    ]
    originals = [planes[0] for planes in read_video(tmp_path / "videos" / "moving.y4m", 9)]
    for plain, fast in zip(scores[::2], scores[1::2], strict=True):
        (path,) = (tmp_path / "work").glob(f"moving-*-2by1-{plain.encoder}-30.mkv")
        shown = [np.array(frame[0]) for frame in lanczos5(source(path), 96, 64).frames()]
        assert plain.psnr_y == pytest.approx(np.mean([psnr(*both) for both in zip(shown, originals, strict=True)]))
        assert plain.error_change == pytest.approx(error_change(shown, originals))
        assert plain.bits_per_pixel == fast.bits_per_pixel == 8 * path.stat().st_size / (9 * 96 * 64)
        assert plain.q == ""
        levels = {round(float(frame.props["SrcompQ"])) for frame in source(path).frames()}
        assert fast.q == " ".join(map(str, sorted(levels)))
        assert fast.psnr_y != plain.psnr_y
        assert 0 < plain.vmaf_neg <= plain.vmaf + 1 <= 101


def clip_score(method: str, psnr_y: float, change: float, vmaf: float) -> ClipScore:
    q = "" if method == "lanczos5" else "20 30"
    return ClipScore("c", "8:5", "libaom", 35, method, q, 9, 0.125, psnr_y, change, vmaf, vmaf - 1)


def test_scores_are_kept_and_shown_against_lanczos(tmp_path: Path) -> None:
    scores = [clip_score("lanczos5", 30, 2, 80), clip_score("fast", 31.5, 1.75, 83)]
    write_rows(tmp_path / "video.csv", ClipScore, scores)
    assert read_rows(tmp_path / "video.csv", ClipScore) == scores
    ((title, table),) = video_tables(scores).items()
    assert title == "fast 8:5"
    assert table.splitlines()[2:] == [
        "| c | libaom | 35 | 0.125 | 30.00 | +1.50 | +3.0 | +3.0 | 0.875 |",
        "| mean | | | 0.125 | 30.00 | +1.50 | +3.0 | +3.0 | 0.875 |",
    ]


def test_clips_measured_again_take_their_old_places() -> None:
    plain, fast, light = (clip_score(method, 30, 2, 80) for method in ("lanczos5", "fast", "light"))
    again, crisp = clip_score("fast", 31, 2, 81), clip_score("fast crisp", 29, 2, 85)
    assert updated_clips([plain, fast, light], [plain, again, crisp]) == [plain, again, light, crisp]


def test_the_command_stores_what_it_shows_and_records_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_module, "LEVELS", (40,))
    monkeypatch.setattr("train.clips.FRAMES", 3)
    monkeypatch.setattr(video_module, "ENCODERS", {"SVT-AV1": video_module.ENCODERS["SVT-AV1"]})
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "moving.y4m", "96x64")
    document = Path("docs/results/video.md")
    (tmp_path / document.parent).mkdir(parents=True)
    shutil.copy(Path(__file__).resolve().parents[2] / document, tmp_path / document)
    monkeypatch.chdir(tmp_path)
    arguments = ["evaluate-video", "--record", "--videos", "videos", "--frames", "3"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    scores = read_rows(tmp_path / "work" / "scores" / "video.csv", ClipScore)
    assert [score.method for score in scores][:2] == ["lanczos5", "fast"]
    assert {score.frames for score in scores} == {3}
    assert "fast 2:1\n" + "\n".join(video_tables(scores)["fast 2:1"].splitlines()[:2]) in done.output
    assert read_rows(Path("train/results/video.csv"), ClipScore) == scores
    table = video_tables(scores)["fast 2:1"]
    assert f"<!-- video: fast 2:1 -->\n{table}\n<!-- end -->" in document.read_text("utf-8")
    assert f"<!-- video: means -->\n{video_means(scores)}\n<!-- end -->" in document.read_text("utf-8")


def test_scores_over_fewer_frames_are_not_recorded(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate-video", "--record", "--videos", str(tmp_path), "--frames", "9"])
    assert done.exit_code == 2
    assert "--record keeps scores over 33 frames" in done.output


def test_means_have_a_row_for_each_ratio_and_method() -> None:
    scores = [clip_score("lanczos5", 30, 2, 80), clip_score("fast", 31.5, 1.75, 83)]
    other = [dataclasses.replace(score, clip="d", psnr_y=score.psnr_y - (score.method == "fast")) for score in scores]
    at_2 = [dataclasses.replace(score, ratio="2:1") for score in scores]
    assert video_means([*scores, *other, *at_2]).splitlines()[2:] == [
        "| 2:1 | fast | 0.125 | 30.00 | +1.50 | +3.0 | +3.0 | 0.875 | +1.50 |",
        "| 8:5 | fast | 0.125 | 30.00 | +1.00 | +3.0 | +3.0 | 0.875 | +0.50 |",
    ]


def test_a_clip_that_stands_still_has_no_change_and_is_not_in_the_mean() -> None:
    scores = [clip_score("lanczos5", 30, 2, 80), clip_score("fast", 31.5, 1.75, 83)]
    still = [dataclasses.replace(score, clip="d", error_change=0.0) for score in scores]
    ((_, table),) = video_tables([*scores, *still]).items()
    assert table.splitlines()[3:] == [
        "| d | libaom | 35 | 0.125 | 30.00 | +1.50 | +3.0 | +3.0 | - |",
        "| mean | | | 0.125 | 30.00 | +1.50 | +3.0 | +3.0 | 0.875 |",
    ]
    assert video_means([*scores, *still]).endswith("| +3.0 | 0.875 | +1.50 |")
    assert video_means(still).endswith("| +3.0 | - | +1.50 |")


def test_a_gain_that_is_not_known_is_not_the_least() -> None:
    scores = [clip_score("lanczos5", 30, 2, 80), clip_score("fast", 31.5, 1.75, 83)]
    exact = [dataclasses.replace(score, clip="d", psnr_y=math.inf) for score in scores]
    assert video_means([*exact, *scores]).endswith("| 0.875 | +1.50 |")
    assert video_means(exact).endswith("| 0.875 | - |")


def test_what_was_measured_is_stored_before_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [clip_score("lanczos5", 30, 2, 80), clip_score("fast", 31.5, 1.75, 83)]

    def no_tables(scores: object) -> dict[str, str]:
        raise ValueError("no tables")

    monkeypatch.setattr(video_module, "evaluate_videos", lambda *_: scores)
    monkeypatch.setattr(video_module, "video_tables", no_tables)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["evaluate-video", "--videos", "."])
    assert done.exit_code == 1
    assert read_rows(Path("work/scores/video.csv"), ClipScore) == scores


def test_videos_that_cannot_be_measured_are_named_before_the_first_is(tmp_path: Path) -> None:
    make_video(tmp_path / "a.y4m", "64x64", 3)
    make_video(tmp_path / "b.y4m", "64x64", 1)
    with pytest.raises(ValueError, match=r"b\.y4m has one frame, .*: leave it out"):
        next(evaluate_videos(tmp_path, tmp_path / "work", [ratio_by_name("2:1")], []))
    (tmp_path / "b.y4m").rename(tmp_path / "a.webm")
    with pytest.raises(ValueError, match=r"a\.webm and .*a\.y4m have the same name: rename one"):
        next(evaluate_videos(tmp_path, tmp_path / "work", [ratio_by_name("2:1")], []))
    assert not list((tmp_path / "work").iterdir())


def test_a_folder_without_videos_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no videos are in"):
        next(evaluate_videos(tmp_path, tmp_path / "work", [ratio_by_name("2:1")], []))
