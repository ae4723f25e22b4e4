"""vs_srcomp/mpv/srcomp.lua in mpv itself, where there is one that has the filter and Lua."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mpv.conftest import ROOT
from tests.mpv.films import film, make
from tests.mpv.ipc import Player

LUA = ROOT / "vs_srcomp" / "mpv" / "srcomp.lua"


@pytest.fixture(scope="session")
def lua_mpv(mpv: str) -> str:
    if "--osc" not in subprocess.run([mpv, "--no-config", "--list-options"], capture_output=True, text=True).stdout:
        pytest.skip("this mpv is built without Lua")
    return mpv


def command(folder: Path, report: object = None, code: int = 0) -> Path:
    """Something that answers as ``vs-srcomp probe`` does."""
    path = folder / "vs-srcomp"
    (folder / "report").write_text(json.dumps(report))
    path.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "probe --json --quick" ] || exit 9\ncat {folder}/report\nexit {code}\n')
    path.chmod(0o755)
    return path


def start(mpv: str, folder: Path, clip: str | Path, probe: str | Path, **options: str) -> Player:
    settings = {"ratio": "2:1", "adapt": "no", "command": str(probe)} | options
    values = ",".join(f"srcomp-{key}={value}" for key, value in settings.items())
    player = Player(mpv, folder, clip, f"--script={LUA}", f"--script-opts={values}")
    player.event("playback-restart")
    return player


def option(player: Player, key: str) -> str | None:
    """Of the filter, or None if it is not there."""
    for one in player.get("vf") or []:
        if one.get("label") == "srcomp":
            pairs = dict(item.split("=", 1) for item in one["params"]["user-data"].split(","))
            return pairs.get(key)
    return None


def await_q(player: Player, q: str) -> None:
    player.wait(lambda: option(player, "q") == q)


def summary(player: Player) -> str:
    player.command("script-message-to", "srcomp", "summary")
    player.wait(lambda: player.get("user-data/srcomp"))
    return str(player.get("user-data/srcomp"))


def test_q_follows_the_scenes(lua_mpv: str, tmp_path: Path) -> None:
    scenes = [{"start": 0, "end": 4, "q": 21.5}, {"start": 4, "end": 7, "q": 24.0}, {"start": 7, "end": 10, "q": 31.0}]
    probe = command(tmp_path, {"q": 24.0, "scenes": scenes})
    with start(lua_mpv, tmp_path, film(tmp_path), probe) as player:
        player.command("set_property", "pause", True)
        await_q(player, "21.5")
        # The second scene has the model of the first one: nothing is loaded again.
        for moment, q in ((5.0, "21.5"), (8.0, "31.0"), (1.0, "21.5"), (5.0, "21.5")):
            player.forget_events()
            player.command("seek", moment, "absolute", "exact")
            player.event("playback-restart")
            await_q(player, q)
        assert player.get("video-out-params/w") == 320
        assert player.troubles() == ""


def test_one_q_is_enough(lua_mpv: str, tmp_path: Path) -> None:
    with start(lua_mpv, tmp_path, film(tmp_path), command(tmp_path, {"q": 33.25})) as player:
        await_q(player, "33.2")


@pytest.mark.parametrize("kind", ["absent", "fails", "nonsense"])
def test_without_an_answer_q_stays(lua_mpv: str, tmp_path: Path, kind: str) -> None:
    report, code = ([1, "q"], 0) if kind == "nonsense" else ({"q": 20}, 1)
    probe = tmp_path / "nothing" if kind == "absent" else command(tmp_path, report, code)
    with start(lua_mpv, tmp_path, film(tmp_path), probe) as player:
        player.wait(lambda: player.get("time-pos") > 0.5)
        assert option(player, "q") == "auto"
        assert player.get("video-out-params/w") == 320
        # mpv tells by itself that there is no such program.
        assert player.troubles().count("\n") == 0
        assert not player.troubles() or "Subprocess failed: init" in player.troubles()


def test_a_q_that_the_user_gives_is_not_touched(lua_mpv: str, tmp_path: Path) -> None:
    with start(lua_mpv, tmp_path, film(tmp_path), command(tmp_path, {"q": 20}), q="45") as player:
        player.wait(lambda: player.get("time-pos") > 0.5)
        assert option(player, "q") == "45"


def test_the_real_probe(lua_mpv: str, tmp_path: Path) -> None:
    probe = Path(sys.executable).with_name("vs-srcomp")
    clip = make(tmp_path / "clip.mkv", "-c:v", "libsvtav1", "-crf", "30", "-preset", "10", frames=100)
    answer = subprocess.run([probe, "probe", "--json", "--quick", clip], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    q = json.loads(answer.stdout)["q"]
    for opened in (clip, clip.as_uri()):  # as desktops do
        with start(lua_mpv, tmp_path, opened, probe) as player:
            player.wait(lambda player=player: option(player, "q") != "auto")  # type: ignore[misc]
            assert abs(float(option(player, "q") or 0) - q) < 10


def test_keys_switch_it_and_show_what_is_done(lua_mpv: str, tmp_path: Path) -> None:
    with start(lua_mpv, tmp_path, film(tmp_path), "", q="20", vpy=str(LUA.with_name("srcomp.vpy"))) as player:
        player.expect("video-out-params/w", 320)
        text = summary(player)
        assert "srcomp: srcomp-fast-2by1" in text
        assert "Q 20, made for 2:1" in text
        assert "160x96 to 320x192" in text
        assert "dropped" in text
        player.command("keypress", "Ctrl+u")
        player.expect("video-out-params/w", 160)
        player.command("del", "user-data/srcomp")
        assert summary(player) == "srcomp is off"
        player.command("keypress", "Ctrl+u")
        player.expect("video-out-params/w", 320)
        player.command("keypress", "Alt+u")
        assert player.troubles() == ""


def test_other_filters_stay(lua_mpv: str, tmp_path: Path) -> None:
    with start(lua_mpv, tmp_path, film(tmp_path), "", q="20") as player:
        player.command("vf", "add", "@other:format=dw=400")
        for width in (160, 320):
            player.command("script-binding", "srcomp/toggle")
            player.expect("video-out-params/w", width)
            assert "other" in [one.get("label") for one in player.get("vf")]
