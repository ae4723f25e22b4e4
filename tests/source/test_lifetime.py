"""Freed clips leave no thread, memory or output, and cause no waiting."""

import gc
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import vapoursynth as vs

from vs_srcomp.source import source
from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.reader import ClosedError, FrameReader

from .reference import write_scenes


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "v.mkv", 30, (320, 240), codec="libsvtav1", options={"preset": "12"})


def test_no_thread_outlives_its_clip(video: Path) -> None:
    before = set(threading.enumerate())
    clip = source(video)
    assert set(threading.enumerate()) == before  # until a frame is asked for, there is none
    clip.get_frame(3).close()
    (thread,) = (t for t in set(threading.enumerate()) - before if t.name == "srcomp source")
    del clip
    gc.collect()
    assert not thread.is_alive()


def test_files_are_closed_with_the_clip(video: Path) -> None:
    def open_files() -> int:
        return sum(os.path.realpath(link) == str(video) for link in Path("/proc/self/fd").iterdir())

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    clip = source(video)
    clip.get_frame(20).close()
    assert open_files() > 0
    del clip
    gc.collect()
    assert open_files() == 0


def test_the_thread_of_a_clip_may_collect_it(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any thread may that the garbage collector chooses, in the middle of its work."""
    before = set(threading.enumerate())
    reader = FrameReader(Decoder(str(video), 0, film_grain=False, threads=1))
    worker, decode_next = reader._worker, reader._worker._decode_next

    def collected() -> None:
        worker.close()
        decode_next()

    monkeypatch.setattr(worker, "_decode_next", collected)
    with pytest.raises(ClosedError):
        reader.get(20)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert set(threading.enumerate()) <= before
    assert worker._run is None


def run_python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("end", ["pass", "del clip", "raise SystemExit(0)", "clip.get_frame_async(25)"])
def test_the_interpreter_exits_while_a_clip_is_alive(end: str, video: Path) -> None:
    script = f"""
import sys
from vs_srcomp.source import source
clip = source(sys.argv[1])
for number in range(10):
    clip.get_frame(number)
{end}
"""
    done = run_python(script, str(video))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_hosts_drop_their_environments_while_frames_are_decoded_ahead(video: Path) -> None:
    """As players do that load a script again."""
    script = """
import sys, threading
import vapoursynth as vs
class Policy(vs.EnvironmentPolicy):
    current = None
    def on_policy_registered(self, api):
        self.api = api
    def on_policy_cleared(self):
        pass
    def get_current_environment(self):
        return self.current
    def set_environment(self, environment):
        self.current, old = environment, self.current
        return old
    def is_alive(self, environment):
        return True
policy = Policy()
vs.register_policy(policy)
from vs_srcomp.source import source
for last in range(12):
    environment = policy.api.create_environment()
    with policy.api.wrap_environment(environment).use():
        clip = source(sys.argv[1])
        for number in range(last):
            clip.get_frame(number).close()
        del clip
    policy.api.destroy_environment(environment)
    del environment
    assert threading.active_count() == 1, threading.enumerate()
"""
    done = run_python(script, str(video))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_damaged_files_do_not_make_ffmpeg_talk(video: Path) -> None:
    data = bytearray(video.read_bytes())
    data[len(data) // 2 :] = b"\x55" * (len(data) - len(data) // 2)
    video.write_bytes(data)
    script = """
import sys
import vapoursynth as vs
from vs_srcomp.source import source
try:
    for frame in source(sys.argv[1]).frames():
        pass
except vs.Error:
    pass
"""
    done = run_python(script, str(video))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_the_package_does_not_load_pyav() -> None:
    done = run_python("import sys, vs_srcomp.source; assert 'av' not in sys.modules")
    assert (done.returncode, done.stderr) == (0, "")


def test_memory_stays_flat_over_many_reloads(video: Path) -> None:
    def reload(times: int) -> int:
        for _ in range(times):
            clip = source(video)
            vs.core.std.SetVideoCache(clip, mode=0)
            for frame in clip.frames(close=True):
                frame.close()
            del clip
        return resident()

    reload(10)
    before = reload(10)
    # A leak of one decoder a time would be more than 100 MiB.
    assert reload(40) - before < 40 << 20


def test_memory_stays_flat_over_a_long_video(shared_data: Path) -> None:
    clip = source(shared_data / "av1/long_180p_av1.mp4")[:4000]
    vs.core.std.SetVideoCache(clip, mode=0)
    sizes = [resident() for frame in clip.frames(close=True)]
    # All of these frames together are 330 MiB.
    assert max(sizes) - sizes[500] < 60 << 20


def resident() -> int:
    """Bytes of memory in use by this process."""
    if not Path("/proc/self/statm").is_file():
        pytest.skip("needs /proc")
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
