"""vs_srcomp/mpv/srcomp.vpy in a stand-in for mpv's filter."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import vapoursynth as vs

from tests.helpers.films import write_model
from tests.mpv.conftest import SCRIPT
from vs_srcomp.backends.engine_store import get_engine
from vs_srcomp.mpv import pace, player
from vs_srcomp.mpv.options import Options
from vs_srcomp.restore import FrameRestorer

FRAMES = 40

# The stand-in leaves it to the interpreter to close the script's file.
pytestmark = pytest.mark.filterwarnings("ignore:.*srcomp.vpy:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def brighter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that makes code c of it 1.02 c."""
    return write_model(tmp_path_factory.mktemp("model") / "brighter.onnx")


def restored(luma: int) -> int:
    """What `brighter` makes of a code."""
    return int(luma * 1.02 + 0.5)


def load(host: Any) -> vs.VideoNode:
    """What mpv gets of the script before it asks for frames."""
    vs.clear_outputs()
    code = compile(SCRIPT.read_text(), SCRIPT, "exec")
    exec(code, {**host.vars, "__name__": "__vapoursynth__", "__file__": str(SCRIPT)})
    return vs.get_output(0).clip


@pytest.fixture(autouse=True)
def _as_in_a_new_player(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SRCOMP_MPV", raising=False)
    pace._paces.clear()
    # All scripts share a core here, and what one adds to it would be heard in the tests of other files.
    show, shown = player.show_messages, []
    monkeypatch.setattr(player, "show_messages", lambda: shown.append(show()))
    yield
    for handle in shown:
        vs.core.remove_log_handler(handle)


def test_every_frame_is_restored(stand_in: ModuleType, brighter: Path) -> None:
    host = stand_in.Host(FRAMES, user_data=f"ratio=2:1,adapt=no,model={brighter}")
    luma, out = host.run(SCRIPT)
    assert host.problems == []
    assert luma == [restored(16 + n) for n in range(FRAMES)]
    assert (out.width, out.height, out.format.id, out.num_frames) == (640, 360, vs.YUV420P8, host.LEN)


@pytest.mark.parametrize("ratio", ["2:1", "8:5", "4:3"])
def test_the_models_of_the_package_run(stand_in: ModuleType, ratio: str) -> None:
    host = stand_in.Host(12, user_data=f"ratio={ratio},q=20,adapt=no")
    luma, _ = host.run(SCRIPT)
    assert host.problems == []
    assert len(luma) == 12


@pytest.mark.parametrize(
    "name", ["YUV420P8", "YUV422P8", "YUV444P8", "YUV420P10", "YUV422P10", "YUV444P12", "YUV420P16"]
)
def test_the_format_stays(stand_in: ModuleType, brighter: Path, name: str) -> None:
    host = stand_in.Host(8, fmt=getattr(vs, name), user_data=f"adapt=no,model={brighter}")
    luma, out = host.run(SCRIPT)
    assert (host.problems, len(luma), out.format.name) == ([], 8, name)


def test_all_properties_are_kept(stand_in: ModuleType, brighter: Path) -> None:
    host = stand_in.Host(8, user_data=f"model={brighter}")
    _, out = host.run(SCRIPT)
    for n in range(8):
        before, after = dict(host.video_in.get_frame(n).props), dict(out.get_frame(n).props)
        assert {name: after[name] for name in before} == before
        assert set(after) - set(before) == {"SrcompModel", "SrcompQ", "SrcompRatio"}


@pytest.mark.parametrize(("buffered", "concurrent"), [(1, 1), (1, 2), (4, 1), (4, 2), (4, 8)])
def test_no_frame_is_lost_whatever_the_window(
    stand_in: ModuleType, brighter: Path, buffered: int, concurrent: int
) -> None:
    host = stand_in.Host(FRAMES, buffered=buffered, concurrent=concurrent, user_data=f"adapt=no,model={brighter}")
    luma, _ = host.run(SCRIPT)
    assert (host.problems, len(luma)) == ([], FRAMES)


@pytest.mark.parametrize(
    ("size", "display", "expected"),
    [
        ((320, 180), [0, 0], (640, 360)),
        ((320, 180), [512, 300], (512, 288)),
        ((320, 180), [400, 300], (400, 226)),
        ((320, 180), [400, 200], (320, 180)),
        ((320, 180), [320, 180], (320, 180)),
        ((1920, 1080), [0, 0], (1920, 1080)),
        ((1280, 720), [0, 0], (1920, 1080)),
        ((3840, 2160), [1920, 1080], (3840, 2160)),
    ],
)
def test_size_goes_by_the_display(
    stand_in: ModuleType, size: tuple[int, int], display: list[int], expected: tuple[int, int]
) -> None:
    host = stand_in.Host(3, w=size[0], h=size[1], user_data="q=20")
    host.vars["display_res"] = display
    out = load(host)
    assert (out.width, out.height) == expected
    assert host.problems == []


def test_pixels_that_are_not_square_fill_the_display_and_no_more(stand_in: ModuleType) -> None:
    host = stand_in.Host(3, w=360, h=288, user_data="q=20")
    host.vars |= {"video_in_dw": 512, "display_res": [768, 1080]}
    out = load(host)
    assert (out.width, out.height) == (540, 432)


def test_a_picture_that_cannot_be_improved_goes_through_untouched(stand_in: ModuleType) -> None:
    host = stand_in.Host(3)
    host.vars["display_res"] = [320, 180]
    luma, out = host.run(SCRIPT)
    assert luma == [16, 17, 18]
    assert out == host.video_in


def test_options_come_from_the_environment_and_the_user_data_goes_before_them(
    stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRCOMP_MPV", "ratio=8:5,q=20")
    assert load(stand_in.Host(2)).width == 512
    assert load(stand_in.Host(2, user_data="ratio=4by3")).width == 426


@pytest.mark.parametrize(
    ("user_data", "message"),
    [
        ("ratio=7:3", "srcomp: ratio=7:3 cannot be understood\nratio is auto, or one of 2:1, 8:5, 4:3"),
        ("display=0x0", "srcomp: display=0x0 cannot be understood\ndisplay is a size in pixels, such as 1920x1080"),
        ("status=", "srcomp: status= cannot be understood\nstatus is the path of a file"),
        ("q=64", "srcomp: q=64 cannot be understood\nq is auto, or a number from 0 to 63"),
        ("q=strong", "srcomp: q=strong cannot be understood\nq is auto, or a number from 0 to 63"),
        ("display=big", "srcomp: display=big cannot be understood\ndisplay is a size in pixels, such as 1920x1080"),
        ("adapt=maybe", "srcomp: adapt=maybe cannot be understood\nadapt is yes or no"),
        ("speed=2", "srcomp: there is no option 'speed'\nthe options are "),
        ("model=slow", "srcomp: there is no model 'slow'\nuse one of "),
        ("model=/nowhere/net.onnx", "srcomp: cannot read the model '/nowhere/net.onnx'"),
    ],
)
def test_mistakes_are_reported_when_the_script_loads(stand_in: ModuleType, user_data: str, message: str) -> None:
    with pytest.raises(vs.Error) as raised:
        load(stand_in.Host(3, user_data=user_data))
    assert str(raised.value).startswith(message)


def test_a_network_that_does_not_keep_up_is_left_for_the_rest_of_the_playing(
    stand_in: ModuleType, brighter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FIRST_WINDOW", 1e-4)
    # Enough for some that the network changes: it leaves dark ones as they are.
    monkeypatch.setattr(pace, "LEAST_FRAMES", 20)
    judged = player.WARM_UP + 20
    options = f"ratio=2:1,model={brighter},status={tmp_path / 'status'}"
    # No network can be as fast as a million frames a second.
    host = stand_in.Host(FRAMES, dur=(1, 1_000_000), user_data=options, concurrent=1)
    luma, out = host.run(SCRIPT)
    assert (host.problems, len(luma)) == ([], FRAMES)
    assert luma == [*(restored(16 + n) for n in range(judged)), *range(16 + judged, 16 + FRAMES)]
    assert restored(16 + judged - 1) != 16 + judged - 1
    status = json.loads((tmp_path / "status").read_text())
    assert status["model"] == "lanczos5"
    assert status["too_slow"] == str(brighter)
    assert (status["width"], status["height"]) == (640, 360)

    luma, again = stand_in.Host(5, dur=(1, 1_000_000), user_data=options).run(SCRIPT)
    assert luma == [16, 17, 18, 19, 20]
    assert (again.width, again.height) == (out.width, out.height)


def test_adapt_no_keeps_the_network(stand_in: ModuleType, brighter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_WINDOW", 1e-4)
    host = stand_in.Host(FRAMES, dur=(1, 1_000_000), user_data=f"ratio=2:1,adapt=no,model={brighter}")
    luma, _ = host.run(SCRIPT)
    assert luma == [restored(16 + n) for n in range(FRAMES)]


def test_a_network_that_keeps_up_stays(stand_in: ModuleType, brighter: Path, tmp_path: Path) -> None:
    options = f"ratio=2:1,model={brighter},status={tmp_path / 'status'}"
    luma, _ = stand_in.Host(FRAMES, dur=(1000, 1), user_data=options).run(SCRIPT)
    assert luma == [restored(16 + n) for n in range(FRAMES)]
    status = json.loads((tmp_path / "status").read_text())
    assert (status["model"], status["too_slow"]) == (brighter.name, None)
    assert status["possible_fps"] > status["needed_fps"]


def test_the_status_shows_that_a_picture_is_left_as_it_is(stand_in: ModuleType, tmp_path: Path) -> None:
    host = stand_in.Host(2, user_data=f"status={tmp_path / 'status'},display=320x180")
    host.run(SCRIPT)
    assert json.loads((tmp_path / "status").read_text()) == {"width": 320, "height": 180, "model": None}


def test_seeks_leave_no_node_behind(stand_in: ModuleType, brighter: Path) -> None:
    def nodes() -> list[object]:
        gc.collect()
        # By type(): isinstance() would ask every object in the process for its __class__, and some warn of that.
        return [thing for thing in gc.get_objects() if type(thing) in (player._Watch, FrameRestorer)]

    of_other_tests = nodes()
    host = stand_in.Host(4, w=64, h=64, user_data=f"ratio=2:1,model={brighter}")
    for _ in range(200):
        load(host)
    vs.clear_outputs()
    assert [node for node in nodes() if not any(node is other for other in of_other_tests)] == []


def test_a_seek_compiles_no_engine(stand_in: ModuleType, brighter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    def remember(*arguments: object) -> object:
        used.append(get_engine(*arguments))  # type: ignore[arg-type]
        return used[-1]

    monkeypatch.setattr("vs_srcomp.restore.get_engine", remember)
    for _ in range(3):
        stand_in.Host(3, user_data=f"model={brighter}").run(SCRIPT)
    assert len({id(engine) for engine in used}) == 1


@pytest.mark.parametrize(
    ("model", "then"), [("quality", ["fast", "light"]), ("fast", ["light"]), ("light", []), ("my.onnx", [])]
)
def test_each_network_gives_way_to_the_next_faster_one(model: str, then: list[str]) -> None:
    assert player._steps(Options(model=model)) == [model, *then, "lanczos5"]
