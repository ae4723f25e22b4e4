"""The filter in a player: sizes, options, and the decision that a network is too slow."""

import json
import time
from pathlib import Path

import pytest
import vapoursynth as vs

from tests.mpv.conftest import Playing
from vs_srcomp.geometry import RATIOS
from vs_srcomp.models import catalogue, find_model
from vs_srcomp.mpv import pace as paces
from vs_srcomp.mpv import player
from vs_srcomp.mpv.options import Options, read_options
from vs_srcomp.mpv.pace import LASTING_VERDICT, Pace
from vs_srcomp.mpv.player import play, target_size

UNKNOWN = (0, 0)
OWN = find_model("fast", RATIOS[0]).name
ENDLESS = 134217727

# Of a frame, in seconds; it and the times of work are sums of few powers of two, which add up exactly.
DURATION = 1 / 32


def blank(format_: int = vs.YUV420P8, width: int = 96, height: int = 64, **props: object) -> vs.VideoNode:
    clip = vs.core.std.BlankClip(format=format_, width=width, height=height, length=ENDLESS, keep=True)
    return clip.std.SetFrameProps(**props) if props else clip


@pytest.fixture
def played() -> Playing:
    def run(clip: vs.VideoNode, options: str = "q=20") -> vs.VideoNode:
        paces._paces.clear()
        return play(clip, shown=(clip.width, clip.height), display=UNKNOWN, options=options)

    return run


@pytest.mark.parametrize("format_", [vs.RGB24, vs.RGBS, vs.GRAY8, vs.YUV420PS, vs.YUV444PH])
@pytest.mark.parametrize("options", ["ratio=2:1", ""])
def test_formats_that_a_player_does_not_take_back_are_left_as_they_are(
    played: Playing, format_: int, options: str
) -> None:
    clip = blank(format_)
    assert played(clip, options) is clip


@pytest.mark.parametrize(("width", "height"), [(30, 64), (64, 30), (2, 2)])
@pytest.mark.parametrize("options", ["ratio=2:1", ""])
def test_tiny_pictures_are_left_as_they_are(played: Playing, width: int, height: int, options: str) -> None:
    clip = blank(width=width, height=height)
    assert played(clip, options) is clip


@pytest.mark.parametrize(
    ("size", "shown", "display", "ratio", "expected"),
    [
        ((960, 540), (960, 540), (1920, 1080), "auto", (1920, 1080)),
        ((960, 540), (960, 540), (7680, 4320), "auto", (1920, 1080)),
        ((1280, 720), (1280, 720), (1920, 1080), "auto", (1920, 1080)),
        ((1280, 720), (1280, 720), (1920, 1200), "auto", (1920, 1080)),
        ((1280, 720), (1280, 720), UNKNOWN, "auto", (1920, 1080)),
        ((854, 480), (854, 480), (1366, 768), "auto", (1366, 768)),
        ((1800, 1000), (1800, 1000), (1920, 1080), "auto", None),
        ((1920, 1080), (1920, 1080), UNKNOWN, "auto", None),
        ((3840, 2160), (3840, 2160), UNKNOWN, "auto", None),
        ((3840, 2160), (3840, 2160), UNKNOWN, "4:3", (5120, 2880)),
        ((1920, 1080), (1920, 1080), (1920, 1080), "2:1", (3840, 2160)),
        ((720, 576), (1024, 576), (1536, 1080), "auto", (1080, 864)),
        ((720, 576), UNKNOWN, (1080, 1080), "auto", (1080, 864)),
        ((854, 480), (854, 480), UNKNOWN, "8:5", (1366, 768)),
    ],
)
def test_target_size(
    size: tuple[int, int],
    shown: tuple[int, int],
    display: tuple[int, int],
    ratio: str,
    expected: tuple[int, int] | None,
) -> None:
    assert target_size(blank(width=size[0], height=size[1]), shown, display, ratio) == expected


def test_options() -> None:
    assert read_options() == read_options("", " , ") == Options()
    assert read_options("ratio=8by5,q=30", "q=22.5, display=2560x1440,model=fast,adapt=no,sharpness=0.2") == Options(
        ratio="8:5", q=22.5, display=(2560, 1440), adapt=False, sharpness=0.2
    )
    assert read_options("ratio=2:1,q=40", "ratio=auto,q=auto") == Options()
    assert read_options("model=light,q=30,,") == Options(model="light", q=30)
    assert read_options("model=/mine, all/a.onnx,q=30") == Options(model="/mine, all/a.onnx", q=30)


def test_interlaced_pictures_are_only_enlarged(played: Playing) -> None:
    clip = blank(_FieldBased=2, _MP_IMAGE=b"x", _DurationNum=1, _DurationDen=25)
    for width, height in ((96, 64), (66, 50)):
        frame = played(blank(width=width, height=height, _FieldBased=1)).get_frame(3)
        assert (frame.props["SrcompModel"], frame.props["_FieldBased"]) == ("lanczos5", 1)
    frame = played(clip).get_frame(0)
    assert {name: frame.props[name] for name in clip.get_frame(0).props} == dict(clip.get_frame(0).props)


def test_progressive_pictures_of_the_same_clip_are_restored(played: Playing) -> None:
    parts = [blank(_FieldBased=0), blank(_FieldBased=1), blank()]
    clip = vs.core.std.Interleave(parts, modify_duration=False)
    found = [played(clip).get_frame(n).props["SrcompModel"] for n in range(3)]
    assert found == [OWN, "lanczos5", OWN]


def test_looks_are_played_and_what_has_none_plays_its_faithful_network(
    played: Playing, carried: Path, model: Path, messages: list[str]
) -> None:
    described = json.loads((carried / "models.json").read_text())
    described["models"] = [entry for entry in described["models"] if entry["name"] != "srcomp-fast-4by3-crisp"]
    (carried / "models.json").write_text(json.dumps(described))
    catalogue._catalogue.cache_clear()
    for options, name in (
        ("", "srcomp-fast-2by1-crisp"),
        ("model=light", "srcomp-light-2by1-crisp"),
        ("model=quality", "srcomp-quality-2by1"),
        ("ratio=4:3", "srcomp-fast-4by3"),
        ("ratio=8:5", "srcomp-fast-8by5-crisp"),
        (f"model={model}", model.name),
    ):
        frame = played(blank(), f"q=20,look=crisp,{options}").get_frame(0)
        assert frame.props["SrcompModel"] == name
    assert [line for line in messages if "look" in line] == [
        "quality has no look crisp at 2:1: the faithful one is used",
        "fast has no look crisp at 4:3: the faithful one is used",
        f"{model} has no look crisp at 2:1: the faithful one is used",
    ]
    assert player._steps(Options(model="quality")) == ["quality", "fast", "light", "lanczos5"]
    with pytest.raises(vs.Error, match=r"look=soft cannot be understood\nlook is faithful or crisp"):
        read_options("look=soft")


@pytest.mark.parametrize(
    "props", [{}, {"_DurationNum": -999999, "_DurationDen": 1000000}, {"_DurationNum": 1, "_DurationDen": 0}]
)
def test_frames_of_unknown_duration_pass(played: Playing, props: dict[str, int]) -> None:
    out = played(blank(**props))
    assert [out.get_frame(n).props["SrcompModel"] for n in range(4)] == [OWN] * 4


def test_a_slow_network_is_left_before_the_delay_can_be_seen() -> None:
    pace = Pace(last=2)
    speeds = [pace.count(duration=DURATION, work=1 / 8) for _ in range(4)]
    assert speeds[:-1] == [None] * 3
    assert speeds[-1]
    assert (speeds[-1].possible, speeds[-1].needed) == (8, 32)
    assert pace.step == 1


def test_a_little_too_slow_is_reported_by_a_second() -> None:
    pace = Pace(last=2)
    counted = 1
    while not pace.count(duration=DURATION, work=9 / 256):
        counted += 1
    assert counted == 29
    assert pace.step == 1


def test_the_next_network_is_judged_by_itself() -> None:
    pace = Pace(last=2)
    while pace.step == 0:
        pace.count(duration=DURATION, work=1 / 8)
    counted = 0
    while pace.step == 1:
        pace.count(duration=DURATION, work=1 / 16)
        counted += 1
    assert counted == 7  # when it is more than 0.2 s behind


def test_the_last_step_is_never_left() -> None:
    pace = Pace(last=1)
    for _ in range(100):
        pace.count(duration=DURATION, work=1.0)
    assert pace.step == 1


def test_a_network_that_is_fast_enough_stays() -> None:
    pace = Pace(last=1)
    assert [pace.count(duration=DURATION, work=1 / 33) for _ in range(32)].count(None) == 31
    for _ in range(1000):
        pace.count(duration=DURATION, work=1 / 33)
    assert pace.step == 0


def test_later_a_slow_moment_does_not_count_but_five_seconds_do() -> None:
    pace = Pace(last=1)
    while not pace.count(duration=DURATION, work=1 / 64):
        pass
    for _ in range(8):
        pace.count(duration=DURATION, work=1 / 8)
    for _ in range(152):
        pace.count(duration=DURATION, work=1 / 64)
    assert pace.step == 0
    for _ in range(40):
        pace.count(duration=DURATION, work=1 / 8)
    assert pace.step == 1


def test_one_frame_is_not_enough_to_judge_by() -> None:
    pace = Pace(last=1)
    assert pace.count(duration=DURATION, work=3.0) is None
    assert pace.step == 0
    assert pace.count(duration=DURATION, work=3.0)
    assert pace.step == 1


def test_a_verdict_lasts_over_seeks_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace(last=1)
    while pace.step == 0:
        pace.count(duration=DURATION, work=1 / 8)
    pace.load()
    assert pace.step == 1
    later = time.monotonic() + LASTING_VERDICT + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    pace.load()
    assert pace.step == 0
