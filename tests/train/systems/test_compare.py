"""The comparison from end to end on small pictures and untrained networks; what is kept, and what is refused."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from train.__main__ import main
from train.networks import NETWORKS
from train.run import Run, save_weights
from train.systems.classic import Plane
from train.systems.compare import compare
from train.systems.experiments import Ground
from train.systems.methods import RECIPES, Trained
from train.systems.pictures import frames, lumas
from train.systems.report import _scores, table, write_report
from train.systems.scores import Book, Case, Judge, Score
from train.systems.sheets import curves

CASE = Case("line", "set5", "img_001", "bicubic", "2")
SCORE = Score("line", "set5", "img_001", "bicubic", "2", method="nearest", psnr=30.5, ssim=0.9)


def plane(seed: int, height: int = 64, width: int = 72) -> Plane:
    down, right = np.mgrid[:height, :width]
    waves = np.sin(down / (3 + seed)) * np.cos(right / 5) + 0.3 * np.sign(np.sin((down + 2 * right) / 9))
    return np.asarray(128 + 60 * waves, np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("set5", "set14", "kodak", "clic"):
        folder = tmp_path / "data" / "test" / name
        folder.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(plane(number)).save(folder / f"{number + 1}.png")
    (tmp_path / "data" / "video").mkdir()
    return tmp_path / "data"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for name, network in (("espcn-2x", "espcn"), ("srcnn", "srcnn")):
        run = Run(tmp_path / "work" / "runs" / name)
        run.folder.mkdir(parents=True)
        save_weights(run.weights, NETWORKS.make(network))
        run.log.write_text("step,learning_rate,loss,valid_gain_db\n100,1e-3,0.5,30\n200,5e-4,0.25,31\n300,0,0.2,31.5\n")
    return tmp_path / "work"


def run(data: Path, work: Path, *options: str) -> Result:
    argv = ["compare-systems", "--data", str(data), "--work", str(work), "--out", str(work / "out" / "systems.md")]
    return CliRunner().invoke(main, [*argv, "--side", "64", "--pictures", "2", "--no-perceptual", *options])


def test_the_report_has_every_method_that_is_trained_and_no_other(data: Path, work: Path) -> None:
    result = run(data, work, "--only", "line")
    assert result.exit_code == 0, result.output
    report = (work / "out" / "systems.md").read_text("utf-8")
    assert "| espcn-2x | 58,212 | 14.5 | 300 | 31.50 dB | +0.50 dB | Shi et al. 2016, arXiv 1609.05158 |" in report
    assert "| srcnn | 57,281 | 57.2 | 300 | +31.50 dB | +0.50 dB |" in report
    for scale in ("### Scale 2", "### Scale 4"):
        section = report.partition(scale)[2].partition("###")[0]
        assert {"nearest", "Wiener", "srcnn"} <= {line.split(" | ")[0].strip("| ") for line in section.splitlines()}
    assert "edsr" not in report
    for file in ("espcn-2x.png", "line-2x.png", "curves.png"):
        assert f"](systems/{file})" in report
        with Image.open(work / "out" / "systems" / file) as picture:
            assert picture.width > 400
    assert "[pictures](systems/line-2x.html)" in report
    assert "srcnn" in (work / "out" / "systems" / "line-2x.html").read_text("utf-8")


@pytest.mark.parametrize("row", ["400,0,0.1", "400,0,x,31.5"])
def test_a_log_that_is_damaged_is_named(data: Path, work: Path, row: str) -> None:
    log = Run(work / "runs" / "srcnn").log
    log.write_text(f"{log.read_text()}{row}\n")
    drawn = work / "curves.png"
    with pytest.raises(ValueError, match=rf"{log} is not a log of a run"):
        curves(work / "runs", ["srcnn"], drawn)
    assert not drawn.exists()
    ground = Ground(data, Trained(work / "runs"), 2, 64, False, work / "systems")
    with pytest.raises(ValueError, match=rf"{log} is not a log of a run"):
        write_report(ground, work / "runs", RECIPES, work / "systems.md", [])
    assert not (work / "systems.md").exists()


def test_what_was_measured_is_not_measured_again(data: Path, work: Path) -> None:
    assert run(data, work, "--only", "fd-srcnn").exit_code == 0
    (book,) = (work / "systems").glob("fd-srcnn-*.csv")
    before = book.read_text()
    # Half a comparison, as if it had been stopped, is completed to the same scores.
    lines = before.splitlines(keepends=True)
    book.write_text("".join(lines[: len(lines) // 2]))
    assert run(data, work, "--only", "fd-srcnn").exit_code == 0
    assert sorted(book.read_text().splitlines()) == sorted(before.splitlines())


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--only", "lines"), "there is no experiment 'lines'; there are line, espcn, fd-srcnn, cisr-psi, av1")],
)
def test_an_unknown_experiment_is_refused(data: Path, work: Path, options: tuple[str, ...], message: str) -> None:
    result = run(data, work, *options)
    assert result.exit_code == 1
    assert result.output == f"Error: {message}\n"


def test_nothing_trained_or_no_pictures_is_refused_with_what_to_do(data: Path, work: Path) -> None:
    shutil.rmtree(data / "test" / "set5")
    result = run(data, work, "--only", "line")
    assert result.exit_code == 1
    assert "set5 has no pictures: give the folder of test sets as --data" in result.output
    shutil.rmtree(work / "runs")
    result = run(data, work)
    assert result.exit_code == 1
    assert "no system is trained" in result.output
    assert "make systems trains all" in result.output


def test_a_picture_that_cannot_be_read_is_named(data: Path, work: Path) -> None:
    (data / "test" / "set5" / "0.png").write_bytes(b"no picture")
    result = run(data, work, "--only", "line")
    assert result.exit_code == 1
    assert "0.png: not a readable picture" in result.output
    assert len(result.output.splitlines()) == 1


def test_pictures_come_in_natural_order_and_are_cut_to_their_middles(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.fromarray(plane(number)).save(tmp_path / f"{number}.png")
    found = list(lumas(tmp_path, 2, 48))
    assert [name for name, _ in found] == ["1", "2"]
    assert found[0][1].shape == (48, 48)


def test_a_turned_picture_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row of the file is the right side of the picture
    Image.fromarray(plane(1)).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(np.rot90(plane(1), -1)).save(tmp_path / "upright.png")
    (_, turned), (_, upright) = lumas(tmp_path)
    assert turned.shape == (72, 64)
    np.testing.assert_array_equal(turned, upright)


def test_frames_of_a_video_keep_their_range(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(9):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for part, value in zip(frame.planes, (16 + number, 128, 128), strict=True):
                part.update(bytes([value]) * part.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    # Black in limited range is 16: taken for full range, it would become 0.
    found = [int(luma[0, 0]) for _, luma in frames(tmp_path / "a.mkv", 3, 100)]
    assert found[0] == 16
    assert len(found) == 3
    assert found == sorted(found)


def test_a_video_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"a\.mkv is not a video that can be read"):
        list(frames(tmp_path / "a.mkv", 3, 100))


def test_a_book_keeps_what_it_is_given(tmp_path: Path) -> None:
    book = Book(tmp_path / "line.csv")
    assert book.lacks(CASE, "nearest")
    book.add(SCORE)
    again = Book(tmp_path / "line.csv")
    assert again.scores == [SCORE]
    assert not again.lacks(CASE, "nearest")
    assert again.lacks(CASE, "bilinear")


def test_a_perceptual_distance_that_is_missing_is_measured_later(tmp_path: Path) -> None:
    plain = dataclasses.replace(SCORE, perceptual=None)
    Book(tmp_path / "line.csv").add(plain)
    book = Book(tmp_path / "line.csv")
    assert not book.lacks(CASE, "nearest")
    assert book.lacks(CASE, "nearest", perceptual=True)
    book.add(dataclasses.replace(plain, perceptual=0.25))
    again = Book(tmp_path / "line.csv")
    assert not again.lacks(CASE, "nearest", perceptual=True)
    assert [score.perceptual for score in again.scores] == [0.25]


def test_scores_of_other_weights_are_measured_again(tmp_path: Path) -> None:
    file, weights = tmp_path / "line.csv", {"nearest": "", "edsr-2x": "old"}
    network = dataclasses.replace(SCORE, method="edsr-2x")
    book = Book(file, weights.__getitem__)
    book.add(SCORE)
    book.add(network)
    assert len(Book(file, weights.__getitem__).scores) == 2
    weights["edsr-2x"] = "new"
    again = Book(file, weights.__getitem__)
    assert again.scores == [SCORE]
    assert again.lacks(CASE, "edsr-2x")
    again.add(dataclasses.replace(network, psnr=32.0))
    assert [score.psnr for score in Book(file, weights.__getitem__).scores] == [30.5, 32.0]


def test_weights_are_those_of_all_networks_of_a_method(work: Path) -> None:
    trained = Trained(work / "runs")
    espcn, srcnn = trained.weights_of("espcn-2x"), trained.weights_of("srcnn")
    assert espcn != srcnn
    assert trained.weights_of("espcn-2x, twice") == espcn
    assert trained.weights_of("srcnn, espcn-2x") == f"{srcnn} {espcn}"
    assert trained.weights_of("bicubic") == trained.weights_of("edsr-2x") == ""
    assert trained.weights_of("fast, ours") not in ("", trained.weights_of("light, ours"))
    save_weights(Run(work / "runs" / "srcnn").weights, NETWORKS.make("srcnn"))
    assert Trained(work / "runs").weights_of("srcnn") != srcnn


def test_a_file_that_holds_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "line.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is not a file of scores; remove it to measure again"):
        Book(tmp_path / "line.csv")


def test_a_judge_leaves_the_border_out() -> None:
    original, restored = plane(1), plane(1).copy()
    restored[0] = 0
    judge = Judge(perceptual=False)
    assert judge.score(CASE, "x", restored, original, border=1).psnr == float("inf")
    assert judge.score(CASE, "x", restored, original, border=0).psnr < 40


def test_a_judge_measures_the_perceptual_distance_of_the_middle() -> None:
    pytest.importorskip("stlpips_pytorch")
    judge = Judge(perceptual=True)
    blurred = np.asarray(Image.fromarray(plane(1)).resize((36, 32)).resize((72, 64)))
    distances = [judge.score(CASE, "x", restored, plane(1), border=2).perceptual for restored in (plane(1), blurred)]
    assert distances[0] == 0
    assert distances[1] is not None
    assert distances[1] > 0.01


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_av1_is_measured_in_twelve_cells(data: Path, work: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    done = list(compare(data, work, ["av1"], 2, 64, work / "out" / "systems.md"))
    assert len(done) == 13
    report = (work / "out" / "systems.md").read_text("utf-8")
    section = report.partition("## All of them on AV1")[2]
    (head,) = [line for line in section.splitlines() if line.startswith("| method")]
    assert len(head.split("|")) == 12 + 3
    assert "| espcn-2x |" in section


def noted(work: Path, *found: tuple[str, str]) -> None:
    """Write scores of methods on pictures of Kodak to the book of the first experiment."""
    book = Book(work / "systems" / "line-64.csv")
    for method, picture in found:
        book.add(dataclasses.replace(SCORE, set="kodak", method=method, picture=picture))


def test_the_report_is_about_the_pictures_of_this_run(data: Path, work: Path) -> None:
    # An earlier run had more pictures, and no such method.
    noted(work, ("bicubic", "1"), ("bicubic", "2"), ("nearest", "1"))
    ground = Ground(data, Trained(work / "runs"), 1, 64, False, work / "systems")
    assert [(score.method, score.picture) for score in _scores(ground, "line")] == [("bicubic", "1"), ("nearest", "1")]
    more = dataclasses.replace(ground, pictures=2)
    with pytest.raises(ValueError, match=r"line, kodak, scale 2: nearest and bicubic were .* --only line and the same"):
        _scores(more, "line")
    # Of a set that is not there nothing is known.
    shutil.rmtree(data / "test" / "kodak")
    with pytest.raises(ValueError, match="nearest and bicubic were measured on different pictures"):
        _scores(ground, "line")


def test_sheets_of_sets_that_are_not_there_are_left_out(data: Path, work: Path) -> None:
    shutil.rmtree(data / "test" / "set14")
    result = run(data, work, "--only", "fd-srcnn")
    assert result.exit_code == 0, result.output
    report = (work / "out" / "systems.md").read_text("utf-8")
    assert "](systems/espcn-2x.png)" in report
    assert "line-2x" not in report


def test_a_report_that_cannot_be_written_leaves_the_old_one(
    data: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = work / "out" / "systems.md"
    report.parent.mkdir()
    report.write_text("old")

    def full(path: Path, data: bytes) -> int:
        path.open("wb").close()
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    noted(work, ("bicubic", "1"))
    ground = Ground(data, Trained(work / "runs"), 2, 64, False, work / "systems")
    with pytest.raises(OSError, match="No space left"):
        write_report(ground, work / "runs", RECIPES, report, [])
    assert report.read_text() == "old"
