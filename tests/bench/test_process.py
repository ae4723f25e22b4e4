"""Each stage has its own process, whose errors are reported."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import vapoursynth as vs

from tests.source.reference import write_scenes
from vs_srcomp.bench.process import StageProcess
from vs_srcomp.bench.stage import Kind, Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    file = write_scenes(tmp_path_factory.mktemp("bench") / "clip.mkv", 24, (64, 48))
    return Stage(kind="script", file=str(file), frames=4, width=128, height=96, ratio="2:1", q=40, model="none.onnx")


def peer(stage: Stage, folder: Path, code: str) -> Stage:
    script = folder / "peer.vpy"
    script.write_text(code)
    return replace(stage, script=str(script))


@pytest.mark.parametrize("kind", ["decode", "copy"])
def test_a_stage_is_measured_as_often_as_asked(kind: Kind, stage: Stage) -> None:
    with StageProcess(replace(stage, kind=kind)) as process:
        for _ in range(2):
            measured = process.measure(0.05)
            assert measured.frames > 0
            assert measured.seconds >= 0.05
            assert 0 < measured.cpu < 60
            assert 10 < measured.peak_mb < 10_000


@pytest.mark.parametrize("kind", ["decode", "copy", "source"])
@pytest.mark.parametrize(("frames", "text"), [(1, "1 frame"), (2, "2 frames"), (12, "12 frames")])
def test_a_file_of_few_frames_is_refused(kind: Kind, frames: int, text: str, stage: Stage, tmp_path: Path) -> None:
    short = write_scenes(tmp_path / "short.mkv", frames, (64, 48))
    with (
        pytest.raises(vs.Error, match=f"the clip has {text}, too few to measure decoding"),
        StageProcess(replace(stage, kind=kind, file=str(short))) as process,
    ):
        process.measure(5)


@pytest.mark.parametrize("backend", ["openvino", "openvino:tile=96", "onnxruntime"])
def test_raw_inference_takes_planes_that_are_no_multiple_of_the_stride(stage: Stage, backend: str) -> None:
    """64x48 becomes 86x64, and `light` steps by four pixels."""
    odd = replace(stage, kind="inference", model="light", ratio="4:3", backend=backend, width=86, height=64)
    with StageProcess(odd) as process:
        assert process.measure(0.01).frames > 0


def test_a_file_is_read_to_its_last_frame_however_short_the_measurement(stage: Stage) -> None:
    whole = replace(stage, kind="no-reuse", model="light", backend="openvino", frames=24)
    with StageProcess(whole) as process:
        assert process.measure(0.01).frames == 24


def test_a_peer_gets_the_clip_and_its_variables_and_may_print(stage: Stage, tmp_path: Path) -> None:
    code = """
import vapoursynth as vs
print("not an answer")
assert (clip.width, clip.height, clip.format.id) == (64, 48, vs.YUV420P8)
assert (beads, __file__[-8:], __name__) == ("3", "peer.vpy", "__vapoursynth__")
clip.resize.Point(width, height).set_output()
"""
    with StageProcess(replace(peer(stage, tmp_path, code), variables={"beads": "3"})) as process:
        assert process.measure(0.05).frames > 0


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("", "sets no output"),
        ("clip.set_output()", "gives 64x48, not 128x96"),
        ("import vapoursynth as vs; raise vs.Error('srcomp: no beads\\nget some')", "no beads\nget some"),
        ("import os, sys; print('the last word', file=sys.stderr, flush=True); os._exit(3)", "code 3\nthe last word"),
        ("\n1 / 0", r"peer.vpy' cannot run: ZeroDivisionError in line 2: division by zero\ninstall what it needs"),
        ("def (", r"peer.vpy' cannot run: SyntaxError: .*\ninstall what it needs"),
    ],
)
def test_failures_are_errors_with_the_reason(code: str, wrong: str, stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=wrong):
        StageProcess(peer(stage, tmp_path, code))


def test_a_peer_without_its_plugin_is_one_error(stage: Stage) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "peers" / "mlrt_ov.vpy"
    missing = replace(stage, script=str(script), variables={"plugin": "/absent/libvsov.so"})
    message = (
        r"^srcomp: '.*mlrt_ov.vpy' cannot run: Error in line \d+: Failed to load /absent/libvsov.so.*\ninstall .*$"
    )
    with pytest.raises(vs.Error, match=message):
        StageProcess(missing)


def test_no_process_is_left(stage: Stage) -> None:
    with StageProcess(replace(stage, kind="decode")) as process:
        number = process._process.pid
        os.kill(number, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
