"""The host asks for every frame once and in order, and clips in memory need no Python."""

import threading

import numpy as np
import pytest
import vapoursynth as vs

from vs_srcomp.bench.hosting import Host, clip_in_memory


def numbered(length: int) -> tuple[vs.VideoNode, list[int]]:
    """A clip whose frame n is filled with n, and the numbers that it was asked for."""
    asked: list[int] = []
    lock = threading.Lock()
    blank = vs.core.std.BlankClip(width=16, height=16, format=vs.GRAY8, length=length, keep=True)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        with lock:
            asked.append(n)
        frame = vs.core.create_video_frame(f.format, f.width, f.height)
        np.asarray(frame[0])[:] = n
        return frame

    return blank.std.ModifyFrame(blank, fill), asked


def test_every_frame_is_asked_for_once() -> None:
    clip, asked = numbered(200)
    host = Host(clip)
    done = 0
    while not host.at_end:
        frames, seconds = host.run(0.001)
        assert frames > 0
        assert seconds > 0
        done += frames
    assert done == 200
    assert sorted(asked) == list(range(200))


def test_it_begins_at_the_given_place_and_stops_at_the_end() -> None:
    clip, asked = numbered(20)
    assert Host(clip, first=15).run(60)[0] == 5
    assert sorted(asked) == [15, 16, 17, 18, 19]
    host = Host(clip, first=20)
    assert host.at_end
    assert host.run(60)[0] == 0


def test_errors_of_the_graph_are_raised() -> None:
    blank = vs.core.std.BlankClip(width=16, height=16, length=100, keep=True)

    def fail(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        if n == 7:
            raise vs.Error("frame seven")
        return f

    with pytest.raises(vs.Error, match="frame seven"):
        Host(blank.std.ModifyFrame(blank, fail)).run(60)


def test_a_clip_in_memory_repeats_its_frames_and_runs_no_python() -> None:
    clip, asked = numbered(30)
    held = clip_in_memory(clip, 8)
    assert sorted(asked) == list(range(8))
    for number in (0, 7, 8, 1000, 123_456_789):
        with held.get_frame(number) as frame:
            assert np.all(np.asarray(frame[0]) == number % 8)
    Host(held).run(0.05)
    assert sorted(asked) == list(range(8))
