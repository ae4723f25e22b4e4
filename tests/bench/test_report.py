"""Medians and shares, by hand."""

from typing import Any

import pytest

from vs_srcomp.bench.process import Measurement
from vs_srcomp.bench.report import summarize
from vs_srcomp.bench.stage import Stage


def stage(kind: Any, **values: Any) -> Stage:
    given: dict[str, Any] = {
        "file": "in.mkv",
        "frames": 4,
        "width": 192,
        "height": 128,
        "ratio": "2:1",
        "q": 40,
        "model": "fast",
    }
    return Stage(kind=kind, **given | values)


def rounds(*rates: float, peak: float = 100) -> list[Measurement]:
    return [Measurement(frames=round(2 * rate), seconds=2, cpu=0.5, peak_mb=peak) for rate in rates]


def test_medians_and_spread() -> None:
    (report,) = summarize([(stage("lanczos5"), rounds(100, 80, 130))])
    assert (report.fps, report.ms, report.spread) == (100, 10, 0.5)
    assert report.cpu_ms == pytest.approx(1000 * 0.5 / 200)
    assert (report.limit, report.share) == (None, None)


def test_a_share_is_the_median_of_the_rounds_own_shares() -> None:
    raw, graph = summarize([(stage("inference"), rounds(100, 50, 10)), (stage("graph"), rounds(90, 48, 9.5, peak=300))])
    # 0.90, 0.96 and 0.95, while the ratio of the medians would be 0.96.
    assert graph.share == pytest.approx(0.95)
    assert (raw.share, graph.limit, graph.peak_mb) == (None, "inference", 300)


def test_without_its_limit_a_stage_has_no_share() -> None:
    (report,) = summarize([(stage("source"), rounds(10))])
    assert (report.limit, report.share) == (None, None)


def test_peers_are_distinguished_by_their_settings() -> None:
    one, two = (stage("script", script="/a/peer.vpy", variables={"streams": n, "plugin": "/x/y.so"}) for n in "12")
    assert one.name != two.name
    assert (one.title, two.title) == ("peer (streams 1)", "peer (streams 2)")
