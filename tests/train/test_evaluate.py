import dataclasses
import json
from pathlib import Path
from statistics import fmean

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from PIL import Image

import train.evaluate as evaluate_module
from train.__main__ import main
from train.coding import decode
from train.evaluate import METRICS, Score, evaluate, models_of
from train.material.pictures import clip_planes, each_luma
from train.metrics import psnr, ssim, vmaf
from train.pairs import pair_by_slug
from train.report import (
    costs_of_tiers,
    gain_table,
    mean_table,
    rate_table,
    record_gains,
    summary_table,
    tables,
    write_tables,
)
from train.streams import stream_path
from train.table import read_rows, write_rows
from vs_srcomp.models import find_model, load_network, network_at
from vs_srcomp.resample import lanczos5

PAIR = pair_by_slug("2by1-q40")
ENGINES = Path(__file__).resolve().parents[2] / "engines"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    y, x = np.mgrid[:64, :80]
    for name, scale in (("a", 5), ("b", 9)):
        luma = 128 + 60 * np.sin(x / scale) + 40 * np.cos(y / 7) + np.random.default_rng(1).normal(0, 6, x.shape)
        Image.fromarray(luma.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def score(pair: str, method: str, value: float, picture: str = "a", **more: float) -> Score:
    return Score(pair, picture, method, value, 0.0, 0.25, **more)


def test_each_picture_gets_every_metric_from_every_method(pictures: Path, tmp_path: Path) -> None:
    file = ENGINES / "srcomp-fast-2by1.onnx"
    scores = list(evaluate(pictures, tmp_path, [PAIR], ["fast"], networks=[file], metrics=METRICS))
    of_tier = [
        *("fast", "fast sharp"),
        *(["fast int8"] if find_model("fast", PAIR.ratio).ranges else []),
        *("fast crisp", "fast crisp int8"),
    ]
    assert [(s.picture, s.method) for s in scores] == [
        (picture, method)
        for picture in ("a", "b")
        for method in ("lanczos5", "bicubic", "spline36", *of_tier, "srcomp-fast-2by1")
    ]
    for path, original in each_luma(pictures):
        of_picture = {s.method: s for s in scores if s.picture == path.stem}
        stream = stream_path(tmp_path, PAIR, path).read_bytes()
        luma = clip_planes(lanczos5(decode(stream), 80, 64))[0]
        plain = of_picture["lanczos5"]
        assert plain.psnr_y == psnr(luma, original)
        assert plain.ssim_y == ssim(luma, original)
        both = vmaf([luma], [original], stills=True)[0]
        assert (plain.vmaf, plain.vmaf_neg) == (both.vmaf, both.neg)
        assert plain.bits_per_pixel == 8 * len(stream) / (64 * 80)
        # The same network, by its tier and by its path.
        by_path = of_picture["srcomp-fast-2by1"]
        assert dataclasses.replace(by_path, method="fast") == of_picture["fast"]
        assert by_path.psnr_y != plain.psnr_y


def test_a_model_gets_the_level_of_its_pair(pictures: Path, tmp_path: Path) -> None:
    pairs = [pair_by_slug(slug) for slug in ("2by1-q20", "2by1-q50")]
    scores = list(evaluate(pictures, tmp_path, pairs, ["fast"], metrics=["psnr"]))
    found = {(s.pair, s.picture): s.psnr_y for s in scores if s.method == "fast"}
    assert all(s.ssim_y is s.vmaf is s.vmaf_neg is None for s in scores)
    (model,) = (m for m in models_of("fast", PAIR.ratio) if m.look == "faithful")
    for pair in pairs:
        network = network_at(load_network(model), pair.q)
        session = onnxruntime.InferenceSession(network.onnx, providers=["CPUExecutionProvider"])
        for path, original in each_luma(pictures):
            luma = clip_planes(lanczos5(decode(stream_path(tmp_path, pair, path).read_bytes()), 80, 64))[0]
            (made,) = session.run(None, {"degraded": (luma / np.float32(255)).astype(np.float32)[None, None]})
            restored = (np.asarray(made)[0, 0] * 255).round().clip(0, 255).astype(np.uint8)
            assert found[pair.slug, path.stem] == pytest.approx(psnr(restored, original), abs=0.02)


def test_a_tier_with_another_look_and_integers_is_measured_as_those_too(monkeypatch: pytest.MonkeyPatch) -> None:
    (model,) = (m for m in models_of("fast", PAIR.ratio) if m.look == "faithful")
    plain = dataclasses.replace(model, ranges=())
    crisp = dataclasses.replace(plain, name=f"{plain.name}-crisp", look="crisp")
    for there, expected in (
        ([plain], ["fast", "fast sharp"]),
        ([dataclasses.replace(plain, ranges=(1.0,))], ["fast", "fast sharp", "fast int8"]),
        ([crisp, plain], ["fast", "fast sharp", "fast crisp"]),
        ([plain, dataclasses.replace(crisp, ranges=(1.0,))], ["fast", "fast sharp", "fast crisp", "fast crisp int8"]),
        ([], []),
    ):
        monkeypatch.setattr(evaluate_module, "models", lambda there=there: there)
        assert list(evaluate_module._models("fast", PAIR.ratio)) == expected
    monkeypatch.setattr(evaluate_module, "models", lambda: [plain])
    methods = ["fast", "fast sharp", "fast ensemble 2", "fast ensemble 8"]
    assert list(evaluate_module._models("fast", PAIR.ratio, [2, 8])) == methods


def test_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    scores = [score("2by1-q40", "lanczos5", 30.5, ssim_y=0.875), score("2by1-q40", "fast", 31.25, vmaf=50.5)]
    write_rows(tmp_path / "new" / "scores.csv", Score, scores)
    assert read_rows(tmp_path / "new" / "scores.csv", Score) == scores
    # Files of before there were other metrics.
    text = "pair,picture,method,psnr_y,mean_drift,bits_per_pixel\n2by1-q40,1,fast,31.25,0.5,0.25\n"
    (tmp_path / "old.csv").write_text(text)
    assert read_rows(tmp_path / "old.csv", Score) == [Score("2by1-q40", "1", "fast", 31.25, 0.5, 0.25)]


def test_scores_measured_again_replace_the_old_ones_and_new_methods_join_their_tier() -> None:
    methods = ("lanczos5", "fast", "fast sharp", "quality")
    old = [score(pair, m, 30, picture) for pair in ("2by1-q40", "4by3-q20") for picture in "ba" for m in methods]
    old.append(score("2by1-q40", "fast", 30, "no longer in the set"))
    new = [score("2by1-q40", m, 31, picture) for picture in "ba" for m in ("lanczos5", "fast", "fast crisp")]
    found = evaluate_module.updated(old, [*new, score("2by1-q50", "fast", 32, "b")])
    assert [(s.pair, s.picture) for s in found] == [
        *(("2by1-q40", picture) for picture in "ba" for _ in range(5)),
        ("2by1-q50", "b"),
        *(("4by3-q20", picture) for picture in "ba" for _ in range(4)),
    ]
    assert [(s.method, s.psnr_y) for s in found[:5]] == [
        ("lanczos5", 31),
        ("fast", 31),
        ("fast sharp", 30),
        ("fast crisp", 31),
        ("quality", 30),
    ]
    old.pop()
    assert evaluate_module.updated(old, old) == old
    assert evaluate_module.updated([], new) == new


def test_recorded_metrics_must_be_measured_again() -> None:
    old = [score("2by1-q40", "fast", 30, ssim_y=0.9, vmaf=70)]
    with pytest.raises(ValueError, match="the recorded scores have vmaf, too: measure it with --metrics"):
        evaluate_module.check_metrics(old, ["psnr", "ssim"])
    evaluate_module.check_metrics(old, ["ssim", "vmaf"])


def test_tables_show_gains_of_means_over_the_pictures() -> None:
    scores = [
        score("2by1-q40", "lanczos5", 30, "a", vmaf_neg=50),
        score("2by1-q40", "fast", 31, "a", vmaf_neg=54),
        score("2by1-q40", "lanczos5", 32, "b", vmaf_neg=60),
        score("2by1-q40", "fast", 32.5, "b", vmaf_neg=65),
        score("4by3-q20", "lanczos5", 40, "a", vmaf_neg=90),
        score("4by3-q20", "fast", 40.25, "a", vmaf_neg=91),
        score("4by3-q20", "other", 39, "a", vmaf_neg=89),
    ]
    assert gain_table(scores) == (
        "| | 2:1 Q40 | 4:3 Q20 |\n"
        "| --- | ---: | ---: |\n"
        "| lanczos5, dB | 31.00 | 40.00 |\n"
        "| fast | +0.75 | +0.25 |\n"
        "| other | - | -1.00 |"
    )
    shown = {metric.mark: table for metric, table in tables(scores)}
    assert list(shown) == ["gains", "vmaf-neg", "rate"]
    assert shown["vmaf-neg"] == (
        "| | 2:1 Q40 | 4:3 Q20 | mean |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| lanczos5 | 55.0 | 90.0 | 72.5 |\n"
        "| fast | +4.5 | +1.0 | +2.8 |\n"
        "| other | - | -1.0 | - |"
    )
    assert mean_table(scores) == (
        "| | Y-PSNR, dB | VMAF-NEG |\n| --- | ---: | ---: |\n| lanczos5 | 35.50 | 72.5 |\n| fast | +0.50 | +2.8 |"
    )
    assert rate_table(scores).splitlines()[-1] == "| bits per pixel | 0.250 | 0.250 | 0.250 |"


def test_tables_have_every_level_that_was_measured_in_order() -> None:
    scores = [score(pair, "lanczos5", 30, "a") for pair in ("4by3-q5", "2by1-q40", "2by1-q25")]
    assert gain_table(scores).splitlines()[0] == "| | 2:1 Q25 | 2:1 Q40 | 4:3 Q5 |"


def test_documents_get_the_tables_that_they_have_a_place_for(tmp_path: Path) -> None:
    document = tmp_path / "stills.md"
    document.write_text(
        "<!-- gains: kodak -->\nold\n<!-- end -->\n<!-- vmaf: kodak -->\nold vmaf\n<!-- end -->\n"
        "<!-- ssim: kodak -->\n<!-- end -->\n<!-- ssim: set5 -->\nother\n<!-- end -->\n"
        "<!-- means: kodak -->\n<!-- end -->\n<!-- summary: kodak -->\n<!-- end -->\n"
    )
    scores = [score("2by1-q40", "lanczos5", 30, ssim_y=0.9), score("2by1-q40", "fast", 31, ssim_y=0.91)]
    costs = {"fast": 10368.0}
    write_tables({"kodak": scores}, [document], costs)
    shown = {metric.mark: table for metric, table in tables(scores)}
    assert document.read_text() == (
        f"<!-- gains: kodak -->\n{shown['gains']}\n<!-- end -->\n<!-- vmaf: kodak -->\nold vmaf\n<!-- end -->\n"
        f"<!-- ssim: kodak -->\n{shown['ssim']}\n<!-- end -->\n<!-- ssim: set5 -->\nother\n<!-- end -->\n"
        f"<!-- means: kodak -->\n{mean_table(scores)}\n<!-- end -->\n"
        f"<!-- summary: kodak -->\n{summary_table(scores, costs)}\n<!-- end -->\n"
    )


def test_the_summary_has_the_mean_of_each_ratio_and_the_work_of_each_tier(tmp_path: Path) -> None:
    gains = {20: 0.5, 30: 0.25, 40: 0.125, 50: 0.125}
    scores = [score(f"2by1-q{q}", "lanczos5", 30) for q in gains]
    scores += [score(f"2by1-q{q}", "fast", 30 + gain) for q, gain in gains.items()]
    # Not of all levels: no mean.
    scores += [score("8by5-q20", "lanczos5", 30), score("8by5-q20", "fast", 31)]
    catalogue = tmp_path / "models.json"
    models = [
        {"system": "srcomp", "tier": tier, "macs_per_pixel": macs}
        for tier, macs in (("fast", 9000), ("light", 2304), ("fast", 10368))
    ]
    catalogue.write_text(json.dumps({"models": [*models, {"system": "espcn", "macs_per_pixel": 1}]}))
    assert costs_of_tiers(catalogue) == {"light": 2304, "fast": 10368}
    assert summary_table(scores, costs_of_tiers(catalogue)) == (
        "| Y-PSNR | 2:1 | 8:5 | 4:3 | work, kMAC per pixel |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| Lanczos-5 | 30.00 dB | - | - |  |\n"
        "| `light` | - | - | - | 2.3 |\n"
        "| `fast` | +0.25 dB | - | - | 10.4 |"
    )


def test_gains_are_noted_in_the_catalogue(tmp_path: Path) -> None:
    ours = {"system": "srcomp", "tier": "fast", "look": "faithful"}
    entries = [
        ours | {"ratio": "2:1", "gain_db": {"other": 1}},
        ours | {"ratio": "2:1", "look": "crisp", "gain_db": {}},
        ours | {"ratio": "8:5", "gain_db": {}},
        {"system": "espcn", "gain_db": {}},
    ]
    catalogue = tmp_path / "models.json"
    catalogue.write_text(json.dumps({"models": entries}))
    gains = {20: 0.5, 30: 0.25, 40: 0.125, 50: 0.25}
    scores = [score(f"2by1-q{q}", "lanczos5", 30) for q in gains]
    scores += [score(f"2by1-q{q}", "fast", 30 + gain) for q, gain in gains.items()]
    scores += [score(f"2by1-q{q}", "fast crisp", 30 - gain) for q, gain in gains.items()]
    scores += [score("8by5-q20", "lanczos5", 30), score("8by5-q20", "fast", 31)]
    record_gains(scores, "kodak", catalogue)
    noted = [entry["gain_db"] for entry in json.loads(catalogue.read_text())["models"]]
    # The mean over all levels, and nothing until all are measured.
    mean = pytest.approx(fmean(gains.values()), abs=1e-3)
    assert noted == [{"other": 1, "kodak": mean}, {"kodak": pytest.approx(-fmean(gains.values()), abs=1e-3)}, {}, {}]


ROOT = Path(__file__).resolve().parents[2]


def test_the_command_stores_scores_and_a_report_and_records_tables(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "engines").mkdir()
    documents = [Path("README.md"), Path("docs/results/stills.md")]
    for document in (*documents, Path("engines/models.json")):
        text = (ROOT / document).read_text("utf-8")
        (tmp_path / document).write_text(text.replace(": kodak -->", ": pictures -->"), "utf-8")
    monkeypatch.chdir(tmp_path)
    arguments = ["evaluate", "--record", "--images", str(pictures), "--pair", "2by1-q40"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    scores = read_rows(tmp_path / "work" / "scores" / "pictures.csv", Score)
    assert gain_table(scores) in done.output
    report = (tmp_path / "work" / "scores" / "pictures.md").read_text()
    assert all(table.splitlines()[0] in report for _, table in tables(scores))
    rows = [line for line in report.splitlines() if line.startswith(("| a |", "| b |"))]
    assert len(rows) == len(scores) == 2 * len({s.method for s in scores})
    assert {"lanczos5", "fast", "fast sharp"} <= {s.method for s in scores}
    assert f"| a | fast | {scores[3].psnr_y:.2f} | {scores[3].ssim_y:.4f} | {scores[3].bits_per_pixel:.3f} |" in rows
    assert all(s.ssim_y is not None and s.vmaf is None for s in scores)
    # What the project's own documents have places for.
    assert read_rows(Path("train/results/pictures.csv"), Score) == scores
    summary, detailed = (document.read_text("utf-8") for document in documents)
    assert summary_table(scores, costs_of_tiers(Path("engines/models.json"))) in summary
    shown = {metric.mark: table for metric, table in tables(scores)} | {"means": mean_table(scores)}
    assert all(f"<!-- {mark}: pictures -->\n{table}\n<!-- end -->" in detailed for mark, table in shown.items())


def test_a_metric_of_the_recorded_scores_is_missed_before_anything_is_measured(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("train/results/pictures.csv"), Score, [score("2by1-q40", "fast", 30, ssim_y=0.9, vmaf=70)])
    done = CliRunner().invoke(main, ["evaluate", "--record", "--images", str(pictures)])
    assert done.exit_code == 1
    assert "the recorded scores have vmaf, too: measure it with --metrics" in done.output
    assert not Path("work").exists()


def test_what_a_tier_measured_before_goes_where_it_may_be_of_other_networks() -> None:
    methods = ("fast", "fast ensemble 4", "light")
    old = [score(pair, method, 30) for pair in ("2by1-q40", "2by1-q50") for method in methods]
    found = evaluate_module.updated(old, [score("2by1-q40", "fast", 31)], ["fast"])
    assert [(s.pair, s.method, s.psnr_y) for s in found] == [
        *(("2by1-q40", "fast", 31), ("2by1-q40", "light", 30)),
        *(("2by1-q50", method, 30) for method in methods),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images", "a/set", "--images", "b/set"), "several folders are called set: measure them one by one"),
        (("--images", "a/set"), "have the same name: rename one"),
        (("--images", "b/set", "--tier", "fats"), "'fats' is not one of 'quality', 'fast', 'light'"),
        (("--images", "b/set", "--model", "junk.onnx"), "junk.onnx"),
    ],
)
def test_what_cannot_be_measured_is_one_error(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/set/one.png", "a/set/one.jpg", "b/set/one.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64)).save(name)
    Path("junk.onnx").write_bytes(b"junk")
    done = CliRunner().invoke(main, ["evaluate", *arguments, "--pair", "2by1-q40"])
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit)
    assert message in done.output


def test_only_the_package_at_the_twelve_pairs_is_recorded(
    pictures: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["evaluate", "--record", "--images", str(pictures)]
    for more, message in ((["--pair", "2by1-q35"], "the twelve pairs"), (["--model", str(model)], "leave it out, or")):
        done = CliRunner().invoke(main, [*arguments, *more])
        assert done.exit_code == 2
        assert message in done.output
    assert not Path("work").exists()


def test_methods_of_a_pair_have_the_same_pictures() -> None:
    same = [score(pair, method, 30, "a") for pair in ("2by1-q40", "4by3-q20") for method in ("lanczos5", "fast")]
    evaluate_module.check_pictures(same)
    with pytest.raises(ValueError, match="4by3-q20: light and lanczos5 were measured on different pictures"):
        evaluate_module.check_pictures([*same, score("4by3-q20", "light", 30, "b")])


def test_an_unknown_metric_is_named(pictures: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", "--images", str(pictures), "--metrics", "psnr,lpips"])
    assert done.exit_code == 2
    assert "there is no metric 'lpips'; there are psnr, ssim, vmaf, vmaf-neg" in done.output


def test_scores_of_the_folder_that_one_is_in_have_its_name(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    work = tmp_path / "work"
    done = CliRunner().invoke(main, ["evaluate", "--images", ".", "--work", str(work), "--pair", "2by1-q40"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (work / "scores").iterdir()) == ["pictures.csv", "pictures.md"]
    assert (work / "evaluation" / "pictures").is_dir()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a/mine.onnx", "b/mine.onnx"), "have the same name: rename one"),
        (("bicubic.onnx",), "bicubic.onnx is named like the method bicubic: rename it"),
        (("a/light int8.onnx",), "light int8.onnx is named like the method light: rename it"),
    ],
)
def test_networks_with_the_name_of_another_method_are_refused(
    names: tuple[str, ...], message: str, pictures: Path, tmp_path: Path
) -> None:
    networks = [tmp_path / name for name in names]
    with pytest.raises(ValueError, match=message):
        next(evaluate(pictures, tmp_path / "streams", [PAIR], ["fast"], networks=networks))
    assert not (tmp_path / "streams").exists()
