import gc
import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from onnx import helper

import vs_srcomp
from tests.helpers.clips import planes, textured
from tests.helpers.networks import make_onnx, random_network, reference
from tests.tolerances import HALF_CODE, ONE_CODE
from vs_srcomp.backends import OpenVINO
from vs_srcomp.models import TIERS
from vs_srcomp.resample import lanczos5
from vs_srcomp.stills.colour import clip_of
from vs_srcomp.upscale import sharpened

core = vs.core
F32 = OpenVINO(precision="f32")

INTEGER_FORMATS = [
    vs.GRAY8, vs.GRAY16, vs.YUV420P8, vs.YUV420P10, vs.YUV420P12, vs.YUV420P14, vs.YUV420P16,
    vs.YUV422P8, vs.YUV422P10, vs.YUV444P8, vs.YUV444P12, vs.YUV444P16,
]  # fmt: skip
FLOAT_FORMATS = [vs.GRAYH, vs.GRAYS, vs.YUV420PH, vs.YUV420PS, vs.YUV422PS, vs.YUV444PH, vs.YUV444PS]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "random.onnx"
    path.write_bytes(random_network())
    return path


@pytest.mark.parametrize("format_id", INTEGER_FORMATS)
def test_luma_is_lanczos_then_network_and_chroma_is_lanczos_alone(format_id: int, network: Path) -> None:
    clip = textured(format_id)
    out = vs_srcomp.upscale(clip, model=network, backend=F32)
    plain = lanczos5(clip, 128, 96)
    assert (out.format.id, out.width, out.height, out.num_frames) == (format_id, 128, 96, clip.num_frames)
    for n in (0, 3):
        with out.get_frame(n) as got, plain.get_frame(n) as up:
            luma, *chroma = planes(got)
            plain_luma, *plain_chroma = planes(up)
        expected = reference(random_network(), plain_luma, clip.format.bits_per_sample)
        assert not np.array_equal(expected, plain_luma)
        assert np.abs(luma.astype(int) - expected.astype(int)).max() <= ONE_CODE
        for plane, plain_plane in zip(chroma, plain_chroma, strict=True):
            assert np.array_equal(plane, plain_plane)


@pytest.mark.parametrize("amount", [0.01, 0.2, 1.0])
@pytest.mark.parametrize("format_id", [vs.GRAY8, vs.YUV420P8, vs.YUV444P12, vs.YUV420P16])
def test_sharpness_adds_what_a_blur_takes_away_to_luma_alone(format_id: int, amount: float, network: Path) -> None:
    clip = textured(format_id)
    plain, sharp = (
        planes(vs_srcomp.upscale(clip, model=network, backend=F32, sharpness=s).get_frame(1)) for s in (0, amount)
    )
    assert all(np.array_equal(a, b) for a, b in zip(plain[1:], sharp[1:], strict=True))
    rows = np.pad(plain[0].astype(np.float64), 1, mode="edge")
    blurred = sum(
        weight * rows[y : y + plain[0].shape[0], x : x + plain[0].shape[1]]
        for (y, x), weight in np.ndenumerate(np.outer([1, 2, 1], [1, 2, 1]) / 16)
    )
    steps = max(1, round(32 * amount)) / 32
    expected = np.clip(plain[0] + steps * (plain[0] - blurred), 0, 2**clip.format.bits_per_sample - 1)
    # Without the border, where the core mirrors in a way of its own.
    inner = np.s_[1:-1, 1:-1]
    # Sums of 16 bits are rounded as float32 in the core.
    rounding = 0.01 if clip.format.bits_per_sample == 16 else 0
    assert np.abs(sharp[0][inner] - expected[inner]).max() <= HALF_CODE + rounding
    assert not np.array_equal(sharp[0], plain[0])


@pytest.mark.parametrize("format_id", [vs.GRAY8, vs.GRAY16])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 1), (2, 3), (3, 3), (3, 9)])
def test_small_planes_are_sharpened_as_parts_of_larger_ones(size: tuple[int, int], format_id: int) -> None:
    codes = np.random.default_rng(5).integers(40, 200, size[::-1], np.uint16 if format_id == vs.GRAY16 else np.uint8)
    small, large = (sharpened(clip_of([each], format_id, {}), 1.0) for each in (codes, np.pad(codes, 4, "edge")))
    np.testing.assert_array_equal(planes(small.get_frame(0))[0], planes(large.std.CropAbs(*size, 4, 4).get_frame(0))[0])


@pytest.mark.parametrize("range_", [vs.RANGE_LIMITED, vs.RANGE_FULL])
@pytest.mark.parametrize("format_id", FLOAT_FORMATS)
def test_float_means_the_same_picture_as_16_bit(format_id: int, range_: int, network: Path) -> None:
    clip = textured(format_id).std.SetFrameProps(_Range=range_)
    out = vs_srcomp.upscale(clip, model=network, backend=F32)
    assert out.format.id == format_id
    luma = clip.resize.Point(format=clip.format.replace(sample_type=vs.FLOAT, bits_per_sample=32).id)
    codes = lanczos5(luma.std.ShufflePlanes(0, vs.GRAY), 128, 96).resize.Point(format=vs.GRAY16)
    with codes.get_frame(1) as up, out.get_frame(1) as got:
        expected = reference(random_network(), np.array(up[0]), 16).astype(np.float64)
        luma_plane = np.array(got[0]).astype(np.float64)
    black, white = (16 << 8, 235 << 8) if range_ == vs.RANGE_LIMITED else (0, 65535)
    tolerance = 2e-3 if clip.format.bits_per_sample == 16 else 1e-4
    assert np.abs(luma_plane - (expected - black) / (white - black)).max() < tolerance


def test_every_property_survives_and_ours_are_added(network: Path) -> None:
    props = {
        "_Matrix": 9, "_Transfer": 16, "_Primaries": 9, "_Range": 0, "_ChromaLocation": 2, "_SARNum": 4, "_SARDen": 3,
        "_DurationNum": 1001, "_DurationDen": 24000, "_AbsoluteTime": 1.25, "_PictType": b"P", "_FieldBased": 0,
        "MasteringDisplayPrimariesX": [0.68, 0.265, 0.15], "ContentLightLevelMax": 1000, "_MP_IMAGE": b"\x00\xff\x01",
    }  # fmt: skip
    clip = textured(vs.YUV420P10).std.SetFrameProps(**props)
    with clip.get_frame(2) as frame:
        before = dict(frame.props)
    with vs_srcomp.upscale(clip, q=23, model=network, backend=F32).get_frame(2) as frame:
        after = dict(frame.props)
    own = {key: after.pop(key) for key in ("SrcompModel", "SrcompQ", "SrcompRatio")}
    assert own == {"SrcompModel": "random.onnx", "SrcompQ": 23.0, "SrcompRatio": "2:1"}
    assert after == before


@pytest.mark.parametrize("format_id", [vs.GRAY8, vs.GRAYS, vs.YUV444PS])
def test_properties_survive_without_chroma_and_in_float(format_id: int, network: Path) -> None:
    clip = textured(format_id).std.SetFrameProps(opaque=b"\x00\x01", _DurationNum=1, _DurationDen=7)
    with vs_srcomp.upscale(clip, model=network, backend=F32).get_frame(0) as frame:
        assert frame.props["opaque"] == b"\x00\x01"
        assert frame.props["_DurationDen"] == 7


def test_nothing_is_invented(network: Path) -> None:
    clip = textured(vs.YUV420P8).std.RemoveFrameProps()
    with vs_srcomp.upscale(clip, model=network, backend=F32).get_frame(0) as frame:
        assert set(frame.props) == {"SrcompModel", "SrcompQ", "SrcompRatio"}


@pytest.mark.parametrize(
    ("arguments", "size", "ratio"),
    [
        ({}, (128, 96), "2:1"),
        ({"ratio": "8:5"}, (102, 76), "8:5"),
        ({"ratio": "4:3"}, (86, 64), "4:3"),
        ({"width": 128}, (128, 96), "2:1"),
        ({"height": 80}, (106, 80), "8:5"),
        ({"width": 101, "height": 75}, (102, 76), "8:5"),
        ({"width": 192, "height": 144}, (192, 144), "2:1"),
        ({"width": 64, "height": 48}, (64, 48), "4:3"),
    ],
)
def test_sizes(arguments: dict[str, object], size: tuple[int, int], ratio: str, network: Path) -> None:
    out = vs_srcomp.upscale(textured(vs.YUV420P8), model=network, backend=F32, **arguments)  # type: ignore[arg-type]
    assert (out.width, out.height) == size
    with out.get_frame(0) as frame:
        assert (frame.width, frame.height) == size
        assert frame.props["SrcompRatio"] == ratio


def test_pixels_keep_their_shape_unless_the_picture_changes_it(network: Path) -> None:
    unknown = textured(vs.YUV420P8)
    square = unknown.std.SetFrameProps(_SARNum=1, _SARDen=1)
    wide = unknown.std.SetFrameProps(_SARNum=4, _SARDen=3)
    for clip, arguments, aspect in (
        (wide, {"ratio": "8:5"}, Fraction(4, 3)),
        (wide, {"width": 128, "height": 96}, Fraction(4, 3)),
        # 4:3 pixels on 64x48 show 16:9; on 128x72 that takes square ones.
        (wide, {"width": 128, "height": 72}, Fraction(1)),
        (square, {"width": 128, "height": 64}, Fraction(2, 3)),
        (unknown, {"width": 128, "height": 64}, Fraction(2, 3)),
    ):
        with vs_srcomp.upscale(clip, model=network, backend=F32, **arguments).get_frame(0) as frame:
            assert Fraction(frame.props["_SARNum"], frame.props["_SARDen"]) == aspect


@pytest.mark.parametrize("ratio", ["2:1", "8:5", "4:3"])
def test_every_tier_has_networks_that_change_the_picture_by_the_level(ratio: str) -> None:
    clip = textured(vs.YUV420P8)
    for tier in TIERS:
        names, found = set(), []
        for q in (20, 50):
            with vs_srcomp.upscale(clip, ratio=ratio, q=q, model=tier, backend=F32).get_frame(0) as frame:
                names.add(frame.props["SrcompModel"])
                found.append(planes(frame)[0])
        assert all(name.startswith(f"srcomp-{tier}-{ratio.replace(':', 'by')}") for name in names)
        assert not np.array_equal(found[0], found[1])


def test_vfr_keeps_its_unknown_rate_and_its_durations(network: Path) -> None:
    parts = [core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=1, fpsnum=fps) for fps in (24, 30)]
    clip = core.std.Splice([part.std.SetFrameProps(_DurationNum=1, _DurationDen=i + 1) for i, part in enumerate(parts)])
    out = vs_srcomp.upscale(clip, model=network, backend=F32)
    assert out.fps == 0
    assert [frame.props["_DurationDen"] for frame in out.frames()] == [1, 2]


def test_random_access_gives_the_same_frames(network: Path) -> None:
    out = vs_srcomp.upscale(textured(vs.YUV420P8, length=12), model=network, backend=F32)
    forward = [planes(frame) for frame in out.frames(close=True)]
    for n in (7, 0, 11, 3, 3, 10):
        with out.get_frame(n) as frame:
            assert all(np.array_equal(a, b) for a, b in zip(planes(frame), forward[n], strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": "3:2"}, "no ratio is called '3:2'"),
        ({"ratio": "2:1", "width": 128}, "exclude each other"),
        ({"width": 0}, "0 is not a size in pixels"),
        ({"height": 99.5}, "99.5 is not a size in pixels"),
        ({"width": 32}, "smaller than the clip"),
        ({"width": "1920"}, "'1920' is not a size in pixels"),
        ({"width": True}, "True is not a size in pixels"),
        ({"ratio": 2}, "no ratio is called 2"),
        ({"q": 64}, "q=64"),
        ({"q": None}, "q=None"),
        ({"q": True}, "q=True"),
        ({"q": float("nan")}, "q=nan"),
        ({"q": -1}, "q=-1"),
        ({"q": "best"}, "q='best'"),
        ({"q": np.array([20, 30])}, r"q=array\(\[20, 30\]\)"),
        ({"sharpness": 1.5}, "sharpness is 1.5"),
        ({"sharpness": "high"}, "sharpness is 'high'"),
        ({"sharpness": None}, "sharpness is None"),
        ({"passes": 3}, "passes is 3"),
        ({"passes": 1.0}, "passes is 1.0"),
        ({"look": ["crisp"]}, "look=\\['crisp'\\] is not a look"),
        ({"ratio": ""}, "no ratio is called ''"),
        ({"model": "a\0.onnx"}, "is not a file name"),
        ({"passes": 2}, "does not enlarge cannot run in two passes"),
        ({"look": "nice"}, "the look 'nice'"),
        ({"look": 1}, "look=1 is not a look"),
        ({"model": 5}, "model=5 is not a model"),
        ({"model": None}, "model=None is not a model"),
        ({"ensemble": "yes"}, "ensemble='yes' is no number of views"),
        ({"ensemble": 1}, "ensemble=1 is no number of views"),
        ({"ensemble": 3}, "ensemble=3 is no number of views"),
        ({"ensemble": 4.0}, "ensemble=4.0 is no number"),
        ({"reuse": "no"}, "reuse='no' is neither"),
        ({"backend": "openvino"}, "backend='openvino' is not a backend"),
        ({"backend": OpenVINO}, "backend=OpenVINO is not a backend"),
        ({"model": "slow"}, "no model 'slow'"),
        ({"model": "/nowhere/net.onnx"}, "cannot read the model"),
        ({"model": "NET.ONNX"}, "cannot read the model"),
        ({"model": "/nowhere/net"}, "cannot read the model"),
    ],
)
def test_bad_arguments_state_what_to_do(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(vs.Error, match=rf"^srcomp: (.|\n)*{message}") as caught:
        vs_srcomp.upscale(textured(vs.YUV420P8), **arguments)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 2


def test_a_file_that_is_no_such_network_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "three.onnx"
    path.write_bytes(make_onnx([helper.make_node("Relu", ["x"], ["y"])], {}, ("N", 3, "H", "W")))
    with pytest.raises(vs.Error, match=r"^srcomp: three\.onnx takes 3 channels\n.*\[N, 1, H, W\] float32"):
        vs_srcomp.upscale(textured(vs.YUV420P8), model=path, backend=F32)


def test_tiles_by_hand_give_the_same_picture(network: Path) -> None:
    clip = textured(vs.YUV420P8, 102, 76)
    whole = vs_srcomp.upscale(clip, model=network, backend=F32)
    tiled = vs_srcomp.upscale(clip, model=network, backend=OpenVINO(precision="f32", tile=96))
    with whole.get_frame(1) as expected, tiled.get_frame(1) as got:
        assert all(np.array_equal(a, b) for a, b in zip(planes(got), planes(expected), strict=True))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("rgb", "RGB24 is not YUV or GRAY\nconvert first"),
        ("size", "the clip changes its format or size\n"),
        ("format", "the clip changes its format or size\n"),
        ("32 bit", "Gray32 has more than 16 bits\nconvert"),
        ("no clip", "the clip must be a vs.VideoNode, not str\npass one"),
        ("nothing", "the clip must be a vs.VideoNode, not NoneType\n"),
        ("sound", "the clip must be a vs.VideoNode, not AudioNode\n"),
    ],
)
def test_clips_that_cannot_be_used_say_so(bad: str, message: str) -> None:
    blank = core.std.BlankClip(format=vs.YUV420P8, width=16, height=16)
    clip = {
        "rgb": core.std.BlankClip(format=vs.RGB24),
        "size": core.std.Splice([blank, core.std.BlankClip(format=vs.YUV420P8, width=32, height=16)], mismatch=True),
        "32 bit": core.std.BlankClip(format=vs.GRAY32),
        "format": core.std.Splice([blank, blank.resize.Point(format=vs.YUV444P8)], mismatch=True),
        "no clip": "clip.mkv",
        "nothing": None,
        "sound": core.std.BlankAudio(),
    }[bad]
    with pytest.raises(vs.Error) as refused:
        vs_srcomp.upscale(clip)
    assert str(refused.value).startswith(f"srcomp: {message}")
    assert len(str(refused.value).splitlines()) == 2


def test_numbers_may_be_those_of_numpy(network: Path) -> None:
    clip = textured(vs.YUV420P8)
    numbers: dict[str, Any] = {"width": np.int64(2 * clip.width), "q": np.float32(30), "sharpness": np.float32(0)}
    counts: dict[str, Any] = {"passes": np.int64(1), "ensemble": np.int64(2)}
    out = vs_srcomp.upscale(clip, model=network, **numbers, **counts)
    assert out.width == 2 * clip.width
    with out.get_frame(0) as frame:
        assert frame.props["SrcompQ"] == 30


def test_interlaced_frames_are_refused(network: Path) -> None:
    clip = textured(vs.YUV420P8).std.SetFrameProps(_FieldBased=2)
    # Of the second one, no field has a whole number of lines of chroma.
    for each in (clip, clip.std.CropAbs(clip.width, clip.height // 4 * 4 - 2)):
        with pytest.raises(vs.Error, match="srcomp: frame 0 is interlaced\ndeinterlace it"):
            vs_srcomp.upscale(each, model=network, backend=F32).get_frame(0)


def test_graphs_are_freed(network: Path) -> None:
    clip = textured(vs.YUV420P8)
    held = []
    for _ in range(3):
        out = vs_srcomp.upscale(clip, model=network, backend=F32)
        out.get_frame(0).close()
        held.append(weakref.ref(out))
        del out
    gc.collect()
    assert not any(reference() for reference in held)
