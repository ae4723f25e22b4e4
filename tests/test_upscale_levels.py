"""Playing with models that know the level: which frames get which network, by any backend, and looks."""

from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

import vs_srcomp
from tests.helpers.clips import planes, textured
from tests.helpers.networks import Evaluated, random_level_network, reference
from tests.helpers.storing_backend import Darken
from tests.tolerances import ONE_CODE
from vs_srcomp.backends import OnnxRuntime, OpenVINO, Torch, engine_store
from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat
from vs_srcomp.backends.engine_store import MAX_LEVELS
from vs_srcomp.models import Network
from vs_srcomp.models.level import at_level
from vs_srcomp.resample import lanczos5
from vs_srcomp.restore import DEFAULT_Q

core = vs.core

BACKENDS: dict[str, BackendConfig] = {
    "OpenVINO": OpenVINO(precision="f32", threads=1),
    "ONNX Runtime": OnnxRuntime(provider="CPUExecutionProvider", threads=1),
    "torch": Torch(device="cpu", precision="f32"),
}


def luma(clip: vs.VideoNode, n: int = 0) -> np.ndarray:
    with clip.get_frame(n) as frame:
        return np.array(frame[0])


def expected(carried: Path, name: str, clip: vs.VideoNode, q: float, n: int = 0) -> np.ndarray:
    """What the model ``name`` makes of the clip at one level."""
    network = at_level((carried / f"{name}.onnx").read_bytes(), q)
    return reference(network, luma(lanczos5(clip, 2 * clip.width, 2 * clip.height), n), 8, stride=4)


def test_every_frame_gets_the_network_of_its_own_level_and_keeps_it_exactly(carried: Path) -> None:
    levels = (22.4, 48.0, 31.6, 35.25)
    clip = textured(vs.YUV420P8)
    clip = core.std.Splice([clip[n].std.SetFrameProps(SrcompQ=q) for n, q in enumerate(levels)])
    out = vs_srcomp.upscale(clip, backend=Evaluated())
    for n, q in enumerate(levels):
        with out.get_frame(n) as frame:
            assert (frame.props["SrcompModel"], frame.props["SrcompQ"]) == ("srcomp-fast-2by1", q)
        assert np.array_equal(luma(out, n), expected(carried, "srcomp-fast-2by1", clip, round(q), n))


def test_a_level_that_is_given_is_that_of_all_frames(carried: Path) -> None:
    clip = textured(vs.YUV420P8).std.SetFrameProps(SrcompQ=22.0)
    found = {q: luma(vs_srcomp.upscale(clip, q=q, backend=Evaluated())) for q in (34, 35, 36)}
    for q, picture in found.items():
        assert np.array_equal(picture, expected(carried, "srcomp-fast-2by1", clip, q))
    assert not np.array_equal(found[34], found[35])


@pytest.mark.parametrize(("q", "nearest"), [(0, 20), (12.5, 20), (63, 50)])
def test_beyond_the_levels_of_training_the_nearest_one_is_taken(carried: Path, q: float, nearest: float) -> None:
    clip = textured(vs.YUV420P8)
    out = vs_srcomp.upscale(clip, q=q, backend=Evaluated())
    assert np.array_equal(luma(out), expected(carried, "srcomp-fast-2by1", clip, nearest))
    with out.get_frame(0) as frame:
        assert frame.props["SrcompQ"] == q


def test_frames_of_an_unknown_level_get_the_default_one(carried: Path) -> None:
    clip = textured(vs.YUV420P8)
    out = vs_srcomp.upscale(clip, backend=Evaluated())
    assert np.array_equal(luma(out), expected(carried, "srcomp-fast-2by1", clip, DEFAULT_Q))
    with out.get_frame(0) as frame:
        assert frame.props["SrcompQ"] == DEFAULT_Q
    assert f"without it get {DEFAULT_Q:g}," in str(vs_srcomp.upscale.__doc__)


@pytest.mark.parametrize("foreign", ["high", [20.0, 30.0], float("nan")])
def test_what_is_no_level_is_unknown(foreign: object) -> None:
    clip = textured(vs.YUV420P8).std.SetFrameProps(SrcompQ=foreign)
    with vs_srcomp.upscale(clip).get_frame(0) as frame:
        assert frame.props["SrcompQ"] == DEFAULT_Q


@pytest.mark.parametrize(("foreign", "q"), [(200.0, 63), (-5, 0), (float("inf"), 63)])
def test_a_level_beyond_the_scale_is_the_last_one_on_it(foreign: float, q: float) -> None:
    clip = textured(vs.YUV420P8).std.SetFrameProps(SrcompQ=foreign)
    with vs_srcomp.upscale(clip).get_frame(0) as frame:
        assert frame.props["SrcompQ"] == q


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_run_the_network_of_a_level(carried: Path, name: str) -> None:
    backend = BACKENDS[name]
    if reason := backend.why_not():
        pytest.skip(f"{name}: {reason}")
    clip = textured(vs.YUV420P8)
    for q in (20, 33.0, 47):
        found = luma(vs_srcomp.upscale(clip, q=q, backend=backend)).astype(int)
        assert np.abs(found - expected(carried, "srcomp-fast-2by1", clip, q).astype(int)).max() <= ONE_CODE


def test_a_file_of_the_users_may_take_the_level(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(random_level_network(residual=True))
    clip = textured(vs.YUV420P8)
    for q in (20, 55):
        out = vs_srcomp.upscale(clip, q=q, model=path, backend=Evaluated())
        assert np.array_equal(luma(out), expected(tmp_path, "own", clip, q))


def test_what_takes_minutes_to_compile_is_made_for_four_levels(carried: Path, tmp_path: Path) -> None:
    backend = Darken(log=tmp_path / "builds")
    clip = textured(vs.YUV420P8)
    out = vs_srcomp.upscale(clip, backend=backend)
    assert len(backend.builds()) == 4
    for q in (8.0, 27.0, 36.5, 60.0):
        vs_srcomp.upscale(clip.std.SetFrameProps(SrcompQ=q), backend=backend).get_frame(0).close()
        vs_srcomp.upscale(clip, q=q, backend=backend).get_frame(0).close()
    out.get_frame(0).close()
    assert len(backend.builds()) == 4


def test_a_long_film_keeps_few_engines(carried: Path) -> None:
    engine_store._alive.clear()
    engine_store._engines.clear()
    clip = textured(vs.YUV420P8, length=24)
    clip = core.std.Splice([clip[n].std.SetFrameProps(SrcompQ=float(20 + n)) for n in range(24)])
    out = vs_srcomp.upscale(clip, backend=Evaluated())
    for n, frame in enumerate(out.frames(close=True)):
        assert frame.props["SrcompQ"] == 20 + n
    assert len(engine_store._engines) == MAX_LEVELS


@pytest.mark.parametrize("reuse", [True, False])
def test_a_script_of_many_levels_compiles_each_once(
    carried: Path, monkeypatch: pytest.MonkeyPatch, reuse: bool
) -> None:
    engine_store._alive.clear()
    engine_store._engines.clear()
    prepare, compiled = engine_store.prepare, []

    def counted(network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
        compiled.append(network)
        return prepare(network, backend, plane)

    monkeypatch.setattr(engine_store, "prepare", counted)
    clip = textured(vs.YUV420P8, length=6)
    levels = range(20, 20 + MAX_LEVELS + 3)
    clips = [vs_srcomp.upscale(clip, q=q, backend=Evaluated(), reuse=reuse) for q in levels]
    for frame in core.std.StackHorizontal(clips).frames(close=True):
        assert frame.width == len(clips) * clips[0].width
    assert len(compiled) == len(clips)


@pytest.mark.parametrize("ratio", ["2:1", "8:5", "4:3"])
def test_looks(carried: Path, ratio: str) -> None:
    clip = textured(vs.YUV420P8)
    slug = ratio.replace(":", "by")
    names = {}
    for look in ("faithful", "crisp"):
        with vs_srcomp.upscale(clip, ratio=ratio, look=look, q=30, backend=Evaluated()).get_frame(0) as frame:
            names[look] = frame.props["SrcompModel"], planes(frame)[0]
    assert [name for name, _ in names.values()] == [f"srcomp-fast-{slug}", f"srcomp-fast-{slug}-crisp"]
    assert not np.array_equal(names["faithful"][1], names["crisp"][1])


@pytest.mark.parametrize(
    ("arguments", "what", "todo"),
    [
        (
            {"look": "crisp", "model": "quality"},
            "no quality model with the look 'crisp'",
            "use the look faithful, or the model fast or light",
        ),
        ({"look": "soft"}, "no fast model with the look 'soft'", "use the look faithful or crisp"),
        (
            {"look": "crisp", "model": "espcn-2x"},
            "espcn-2x has no look 'crisp'",
            "use the look faithful, or the model fast or light",
        ),
        ({"model": "espcn-5x"}, "no model 'espcn-5x'", "quality, fast, light, espcn-2x, espcn-3x, esrgan-4x, vdsr, or"),
        ({"model": "srcomp-fast-2by1"}, "no model 'srcomp-fast-2by1'", "the path of an ONNX file"),
        ({"passes": 2}, "does not enlarge", "leave passes out"),
        ({"passes": 2, "model": "vdsr"}, "does not enlarge", "leave passes out"),
        ({"passes": 3, "model": "espcn-2x"}, "passes is 3", "give 1 or 2"),
    ],
)
def test_what_is_not_carried_is_reported_with_what_is(
    carried: Path, arguments: dict[str, object], what: str, todo: str
) -> None:
    with pytest.raises(vs.Error, match=r"^srcomp: ") as caught:
        vs_srcomp.upscale(textured(vs.YUV420P8), backend=Evaluated(), **arguments)  # type: ignore[arg-type]
    message, do = str(caught.value).splitlines()
    assert what in message
    assert todo in do
