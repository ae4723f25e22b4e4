"""Networks that enlarge by themselves: size, phase, chroma, formats, properties, passes; the mean of several views."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import vapoursynth as vs
from onnx import helper

import vs_srcomp
from tests.helpers.clips import planes, textured
from tests.helpers.networks import Evaluated, make_onnx, random_doubler, reference
from tests.tolerances import HALF_CODE, ONE_CODE
from vs_srcomp.backends import OpenVINO
from vs_srcomp.resample import lanczos5

core = vs.core

# Views of a picture: quarter turns, and whether it is flipped after them.
TURNED_BY_HALF = [(0, False), (2, False)]
FLIPPED = [*TURNED_BY_HALF, (0, True), (2, True)]
TRANSPOSED = [(turns, is_flipped) for turns in (1, 3) for is_flipped in (False, True)]


def interpolation(mode: str) -> bytes:
    """A network that doubles by an interpolation that is centred, as pictures are."""
    weights = {"none": np.zeros(0, np.float32), "scales": np.array([1, 1, 2, 2], np.float32)}
    rule = {"mode": mode, "coordinate_transformation_mode": "half_pixel"}
    return make_onnx([helper.make_node("Resize", ["x", "none", "scales"], ["y"], **rule)], weights)


@pytest.fixture(scope="module", params=["nearest", "linear", "random"])
def doubler(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("models"), request.param)


def written(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.onnx"
    path.write_bytes(random_doubler() if kind == "random" else interpolation(kind))
    return path


def luma(clip: vs.VideoNode, n: int = 0) -> np.ndarray:
    with clip.get_frame(n) as frame:
        return np.array(frame[0])


@pytest.mark.parametrize("format_id", [vs.GRAY8, vs.YUV420P8, vs.YUV420P10, vs.YUV422P8, vs.YUV444P16])
def test_the_network_sees_the_clip_itself_and_chroma_is_lanczos_alone(format_id: int, doubler: Path) -> None:
    clip = textured(format_id)
    out = vs_srcomp.upscale(clip, model=doubler, backend=Evaluated())
    plain = lanczos5(clip, 128, 96)
    assert (out.format.id, out.width, out.height, out.num_frames) == (format_id, 128, 96, clip.num_frames)
    for n in (0, 3):
        expected = reference(doubler.read_bytes(), luma(clip, n), clip.format.bits_per_sample, 1, 2)
        assert np.array_equal(luma(out, n), expected)
        with out.get_frame(n) as got, plain.get_frame(n) as up:
            for plane, plain_plane in zip(planes(got)[1:], planes(up)[1:], strict=True):
                assert np.array_equal(plane, plain_plane)


@pytest.mark.parametrize(("mode", "kernel"), [("nearest", "Point"), ("linear", "Bilinear")])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (33, 25)])
def test_the_picture_is_where_resize_puts_it(mode: str, kernel: str, width: int, height: int, tmp_path: Path) -> None:
    clip = textured(vs.GRAY16, width, height)
    out = vs_srcomp.upscale(clip, model=written(tmp_path, mode), backend=Evaluated())
    expected = getattr(clip.resize, kernel)(2 * width, 2 * height)
    assert np.abs(luma(out).astype(int) - luma(expected).astype(int)).max() <= ONE_CODE


@pytest.mark.parametrize("size", [(128, 96), (102, 76), (86, 64), (192, 144), (64, 48), (150, 144), (192, 80)])
def test_a_ramp_stays_where_it_is_at_every_target_size(size: tuple[int, int], tmp_path: Path) -> None:
    """Code values that tell their place: a shift by a tenth of a pixel would show as a difference of 51."""
    clip = core.std.BlankClip(format=vs.GRAY16, width=64, height=48, length=1)
    y, x = np.mgrid[:48, :64]

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        np.asarray(out[0])[:] = 1000 + 512 * x + 512 * y
        return out

    clip = clip.std.ModifyFrame(clip, draw)
    width, height = size
    out = luma(
        vs_srcomp.upscale(clip, model=written(tmp_path, "linear"), backend=Evaluated(), width=width, height=height)
    )
    y, x = np.mgrid[:height, :width]
    expected = 1000 + 512 * ((x + 0.5) * 64 / width - 0.5) + 512 * ((y + 0.5) * 48 / height - 0.5)
    inner = np.s_[height // 4 : -height // 4, width // 4 : -width // 4]
    assert np.abs(out - expected)[inner].max() < 15


@pytest.mark.parametrize("arguments", [{"ratio": "8:5"}, {"ratio": "4:3"}, {"width": 102, "height": 50}])
def test_smaller_targets_are_reached_by_catmull_rom(arguments: dict[str, object], doubler: Path) -> None:
    clip = textured(vs.YUV420P8)
    out = vs_srcomp.upscale(clip, model=doubler, backend=Evaluated(), **arguments)  # type: ignore[arg-type]
    doubled = vs_srcomp.upscale(clip, model=doubler, backend=Evaluated()).std.ShufflePlanes(0, vs.GRAY)
    expected = doubled.resize.Bicubic(out.width, out.height, filter_param_a=0, filter_param_b=0.5)
    assert np.array_equal(luma(out, 2), luma(expected, 2))
    with out.get_frame(2) as got, lanczos5(clip, out.width, out.height).get_frame(2) as up:
        assert all(np.array_equal(a, b) for a, b in zip(planes(got)[1:], planes(up)[1:], strict=True))


@pytest.mark.parametrize(("width", "height"), [(192, 144), (130, 96)])
def test_larger_targets_are_reached_by_lanczos(width: int, height: int, doubler: Path) -> None:
    clip = textured(vs.YUV420P8)
    out = vs_srcomp.upscale(clip, model=doubler, backend=Evaluated(), width=width, height=height)
    doubled = vs_srcomp.upscale(clip, model=doubler, backend=Evaluated()).std.ShufflePlanes(0, vs.GRAY)
    assert np.array_equal(luma(out, 2), luma(lanczos5(doubled, width, height), 2))


@pytest.mark.parametrize("range_", [vs.RANGE_LIMITED, vs.RANGE_FULL])
@pytest.mark.parametrize("format_id", [vs.GRAYH, vs.GRAYS, vs.YUV420PS, vs.YUV444PH])
@pytest.mark.parametrize(("width", "height"), [(128, 96), (102, 76)])
def test_float_means_the_same_picture_as_16_bit(
    format_id: int, range_: int, width: int, height: int, tmp_path: Path
) -> None:
    model = written(tmp_path, "linear")
    clip = textured(format_id).std.SetFrameProps(_Range=range_)
    out = vs_srcomp.upscale(clip, model=model, backend=Evaluated(), width=width, height=height)
    assert out.format.id == format_id
    codes = clip.std.ShufflePlanes(0, vs.GRAY).resize.Point(format=vs.GRAY16)
    expected = luma(vs_srcomp.upscale(codes, model=model, backend=Evaluated(), width=width, height=height), 1).astype(
        np.float64
    )
    black, white = (16 << 8, 235 << 8) if range_ == vs.RANGE_LIMITED else (0, 65535)
    tolerance = 2e-3 if clip.format.bits_per_sample == 16 else 1e-4
    difference = luma(out, 1).astype(np.float64) - (expected - black) / (white - black)
    assert np.abs(difference).max() < tolerance


@pytest.mark.parametrize("format_id", [vs.YUV420P10, vs.YUV420PS])
@pytest.mark.parametrize("ratio", ["2:1", "4:3"])
def test_every_property_survives_and_ours_are_added(format_id: int, ratio: str, tmp_path: Path) -> None:
    props = {
        "_Matrix": 9, "_Transfer": 16, "_Primaries": 9, "_Range": 0, "_ChromaLocation": 2, "_SARNum": 4, "_SARDen": 3,
        "_DurationNum": 1001, "_DurationDen": 24000, "_AbsoluteTime": 1.25, "_PictType": b"P", "_FieldBased": 0,
        "MasteringDisplayPrimariesX": [0.68, 0.265, 0.15], "ContentLightLevelMax": 1000, "_MP_IMAGE": b"\x00\xff\x01",
    }  # fmt: skip
    clip = textured(format_id).std.RemoveFrameProps().std.SetFrameProps(**props)
    out = vs_srcomp.upscale(clip, q=23, model=written(tmp_path, "random"), backend=Evaluated(), ratio=ratio)
    with clip.get_frame(2) as frame:
        before = dict(frame.props)
    with out.get_frame(2) as frame:
        after = dict(frame.props)
    own = {key: after.pop(key) for key in ("SrcompModel", "SrcompQ", "SrcompRatio")}
    assert own == {"SrcompModel": "random.onnx", "SrcompQ": 23.0, "SrcompRatio": ratio}
    assert after == before


def test_vfr_keeps_its_unknown_rate(tmp_path: Path) -> None:
    parts = [core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=1, fpsnum=fps) for fps in (24, 30)]
    out = vs_srcomp.upscale(core.std.Splice(parts), model=written(tmp_path, "nearest"), backend=Evaluated())
    assert (out.fps, out.num_frames) == (0, 2)


def test_openvino_doubles_too(doubler: Path) -> None:
    clip = textured(vs.YUV420P10)
    out = vs_srcomp.upscale(clip, model=doubler, backend=OpenVINO(precision="f32", threads=1))
    expected = reference(doubler.read_bytes(), luma(clip), 10, 1, 2)
    assert np.abs(luma(out).astype(int) - expected.astype(int)).max() <= ONE_CODE


@pytest.mark.parametrize("scale", [3, 4])
def test_networks_of_other_scales_make_their_own_size_and_any_other(scale: int, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(random_doubler(scale=scale))
    clip = textured(vs.YUV420P8)
    out = vs_srcomp.upscale(clip, model=path, backend=Evaluated())
    expected = reference(path.read_bytes(), luma(clip), 8, 1, scale)
    assert (out.width, out.height) == (64 * scale, 48 * scale)
    assert np.array_equal(luma(out), expected)
    with out.get_frame(0) as frame, lanczos5(clip, 64 * scale, 48 * scale).get_frame(0) as up:
        assert all(np.array_equal(a, b) for a, b in zip(planes(frame)[1:], planes(up)[1:], strict=True))
        assert frame.props["SrcompRatio"] == f"{scale}:1"
    smaller = vs_srcomp.upscale(clip, model=path, backend=Evaluated(), ratio="2:1")
    whole = out.std.ShufflePlanes(0, vs.GRAY)
    assert (smaller.width, smaller.height) == (128, 96)
    assert np.array_equal(luma(smaller), luma(whole.resize.Bicubic(128, 96, filter_param_a=0, filter_param_b=0.5)))
    larger = vs_srcomp.upscale(clip, model=path, backend=Evaluated(), width=320, height=240)
    assert np.array_equal(luma(larger), luma(lanczos5(whole, 320, 240)))


@pytest.mark.parametrize("scale", [3, 4])
def test_openvino_runs_other_scales(scale: int, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(random_doubler(scale=scale))
    clip = textured(vs.GRAY8, 33, 25)
    out = vs_srcomp.upscale(clip, model=path, backend=OpenVINO(precision="f32", threads=1, tile=24))
    expected = reference(path.read_bytes(), luma(clip), 8, 1, scale)
    assert np.abs(luma(out).astype(int) - expected.astype(int)).max() <= ONE_CODE


def test_models_of_other_systems_are_chosen_by_name(carried: Path) -> None:
    clip = textured(vs.YUV420P8)
    for name, size in (
        ("espcn-2x", (128, 96)),
        ("espcn-3x", (192, 144)),
        ("esrgan-4x", (256, 192)),
        ("vdsr", (128, 96)),
    ):
        out = vs_srcomp.upscale(clip, model=name, backend=Evaluated())
        assert (out.width, out.height) == size
        with out.get_frame(0) as frame:
            assert frame.props["SrcompModel"] == name


def test_a_clip_keeps_its_network_and_the_next_one_takes_the_new_file(tmp_path: Path) -> None:
    clip, model = textured(vs.GRAY8), tmp_path / "model.onnx"
    for seed, scale in ((1, 2), (2, 2), (3, 3)):
        data = random_doubler(seed=seed, scale=scale)
        model.write_bytes(data)
        out = vs_srcomp.upscale(clip, model=model, backend=Evaluated())
        model.write_bytes(random_doubler(seed=9))
        assert out.width == scale * clip.width
        assert np.array_equal(luma(out, 1), reference(data, luma(clip, 1), 8, 1, scale))


def test_two_passes_are_the_network_on_what_it_has_made(doubler: Path) -> None:
    clip = textured(vs.YUV420P10).std.SetFrameProps(SrcompQ=31.5)
    out = vs_srcomp.upscale(clip, model=doubler, passes=2, backend=Evaluated())
    once = reference(doubler.read_bytes(), luma(clip, 2), 10, 1, 2)
    assert (out.width, out.height) == (256, 192)
    assert np.array_equal(luma(out, 2), reference(doubler.read_bytes(), once, 10, 1, 2))
    with out.get_frame(2) as frame:
        assert (frame.props["SrcompQ"], frame.props["SrcompRatio"]) == (31.5, "4:1")
    smaller = vs_srcomp.upscale(clip, model=doubler, passes=2, width=192, backend=Evaluated())
    assert (smaller.width, smaller.height) == (192, 144)


@pytest.mark.parametrize(
    ("scale", "passes", "ensemble", "views"),
    [
        (1, 1, 2, TURNED_BY_HALF),
        (2, 1, 4, FLIPPED),
        (1, 1, True, FLIPPED + TRANSPOSED),
        (2, 1, 8, FLIPPED + TRANSPOSED),
        (2, 2, 8, FLIPPED + TRANSPOSED),
    ],
)
def test_an_ensemble_is_the_mean_over_turned_and_flipped_views(
    scale: int, passes: int, ensemble: bool | Literal[2, 4, 8], views: Sequence[tuple[int, bool]], tmp_path: Path
) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(random_doubler(scale=scale))
    clip = textured(vs.YUV420P16, 36, 20)
    out = vs_srcomp.upscale(clip, model=path, passes=passes, ensemble=ensemble, backend=Evaluated())
    source = luma(clip if scale > 1 else lanczos5(clip, 72, 40), 1)
    total = np.zeros((source.shape[0] * scale**passes, source.shape[1] * scale**passes))
    for turns, is_flipped in views:
        view = np.rot90(source, turns)
        view = view[:, ::-1] if is_flipped else view
        for _ in range(passes):
            view = reference(path.read_bytes(), np.ascontiguousarray(view), 16, 1, scale)
        view = view[:, ::-1] if is_flipped else view
        total += np.rot90(view, -turns) / len(views)
    assert np.abs(luma(out, 1) - total).max() <= HALF_CODE
    once = vs_srcomp.upscale(clip, model=path, passes=passes, backend=Evaluated())
    assert np.abs(luma(out, 1) - luma(once, 1).astype(float)).max() > 100
    with out.get_frame(1) as frame, once.get_frame(1) as plain:
        assert dict(frame.props) == dict(plain.props)
        assert all(np.array_equal(a, b) for a, b in zip(planes(frame)[1:], planes(plain)[1:], strict=True))
