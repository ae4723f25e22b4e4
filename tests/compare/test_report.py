"""The file that is written: its pictures, its size, what it tells, and what is refused."""

import base64
import io
import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image

from tests.compare.conftest import embedded
from tests.helpers.films import Studio, write_model
from vs_srcomp.compare import Options, candidate_from_file, made_candidates, metrics_there, write_report
from vs_srcomp.compare.choice import Chosen
from vs_srcomp.compare.inputs import distinct_names
from vs_srcomp.compare.pictures import draw, most_different
from vs_srcomp.compare.scores import measure
from vs_srcomp.geometry import ratio_by_name
from vs_srcomp.models import find_model
from vs_srcomp.source import source
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.stills.run import upscale_picture


def silent(what: str, done: int, total: int) -> None:
    """Show no progress."""


def test_what_was_compared_is_in_it(report: Path, bad: Path, original: Path) -> None:
    data = json.loads(embedded(report.read_text("utf-8"), "report"))
    worse, better = data["candidates"]
    assert worse["file"] == "bad.mkv"
    assert worse["bytes"] == bad.stat().st_size
    assert 0 < worse["bits_per_second"] < better["bits_per_second"]
    # 24 frames at 25 a second; the container is less than a fifth of so small a file.
    assert 0.8 * 8 * bad.stat().st_size / 0.96 < worse["bits_per_second"] < 8 * bad.stat().st_size / 0.96
    assert worse["codec"] == "h264"
    assert data["reference"]["file"] == original.name
    assert worse["mean"]["vmaf-neg"] < better["mean"]["vmaf-neg"]
    assert worse["worst"]["psnr"] <= min(worse["scores"]["psnr"])
    assert (data["width"], data["height"], data["frames"], data["cuts"]) == (320, 180, 24, [0, 10])
    assert {"vs-srcomp", "VapourSynth", "FFmpeg (VMAF)"} <= {*data["versions"]}
    assert all(metric["version"] for metric in data["metrics"])


def test_the_rate_counts_a_last_frame_whose_duration_is_not_stored(shared_data: Path) -> None:
    film = shared_data / "av1/parkjoy.webm"
    clip = source(film)
    with av.open(str(film)) as container:
        size = sum(packet.size for packet in container.demux(video=0))
    expected = 8 * size * float(clip.fps) / clip.num_frames
    assert candidate_from_file(film).facts["bits_per_second"] == pytest.approx(expected, rel=1e-3)


def test_a_picture_has_no_rate(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "1.png")
    assert candidate_from_file(tmp_path / "1.png").facts["bits_per_second"] is None


def test_a_codec_that_only_its_tag_hides_is_named(shared_data: Path) -> None:
    film = shared_data / "av1/video_dovi_3840x2160_30fps_dav1_10.mp4"  # FFmpeg knows no decoder for this tag
    assert candidate_from_file(film).facts["codec"] == "av1"


def test_crops_are_lossless(report: Path, bad: Path, original: Path) -> None:
    html = report.read_text("utf-8")
    data, pictures = json.loads(embedded(html, "report")), json.loads(embedded(html, "pictures"))
    for side, path in ((0, bad), (2, original)):
        # As another library converts it: PyAV's scaler rounds differently, by a code or two.
        clip = candidate_from_file(path).clip
        rgb = clip.resize.Bicubic(format=vs.RGB24, matrix_in=6)
        for shown, pictured in zip(data["shown"], pictures, strict=True):
            uri = pictured["crops"][side]
            assert uri.startswith("data:image/webp;base64,")
            found = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))
            left, top, width, height = shown["crop"]
            with rgb.get_frame(shown["number"]) as frame:
                whole = np.stack([np.asarray(plane) for plane in frame], axis=-1)
            assert np.array_equal(found, whole[top : top + height, left : left + width])


def test_networks_of_one_name_are_told_apart(film: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    paths = [write_model(tmp_path / folder / "own.onnx") for folder in ("a", "b")]
    sides = made_candidates(film, ["light", *paths])
    assert [side.name for side in sides] == ["lanczos5", "light", "a/own.onnx", "b/own.onnx"]
    assert made_candidates(film, [paths[0]])[1].name == "own"


def test_files_of_one_name_have_levels_of_their_own(film: Path) -> None:
    sides = [candidate_from_file(film), candidate_from_file(film)]
    measured = measure(sides, None, (), threads=1, progress=silent)
    assert [len(track.q) for track in measured.tracks] == [len(measured.times)] * 2


def test_crops_are_where_candidates_differ() -> None:
    one = np.full((200, 300, 3), 90, np.uint8)
    other = one.copy()
    other[120:160, 208:248] = 200
    left, top = most_different([one, other, one], 2, 48, 48)
    assert left <= 208 <= 248 <= left + 48
    assert top <= 120 <= 160 <= top + 48
    # Only one candidate: against the reference.
    assert most_different([other, one], 1, 48, 48) == (left, top)
    assert most_different([one, other], 2, 300, 200) == (0, 0)


def test_pictures_keep_to_the_bytes_they_may_have(good: Path, original: Path) -> None:
    sides = [candidate_from_file(good), candidate_from_file(original)]
    chosen = [Chosen(number, ("test",)) for number in (0, 12, 20)]
    for largest in (10_000_000, 200_000):
        shown = draw(sides, 1, chosen, largest, silent)
        size = sum(len(each.overview) + sum(map(len, each.crops)) for each in shown)
        assert size <= largest
        for each in shown:
            with Image.open(io.BytesIO(each.crops[0])) as picture:
                assert picture.size == (each.width, each.height)
    assert (shown[0].width, shown[0].height) < (320, 180)


def test_noise_in_twelve_large_frames_stays_below_ten_megabytes(tmp_path: Path, studio: Studio) -> None:
    noise = studio.make(
        *("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=0.6,noise=alls=60:allf=t"),
        *("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "noise.mkv"),
    )
    softer = studio.make(
        "-i", str(noise), "-vf", "gblur=0.5", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "softer.mkv"
    )
    target = tmp_path / "noise.html"
    write_report([candidate_from_file(noise), candidate_from_file(softer)], None, target)
    data = json.loads(embedded(target.read_text(), "report"))
    assert len(data["shown"]) == 12
    assert 4_000_000 < target.stat().st_size <= 10_000_000


def test_hdr_is_shown_as_it_is_coded_and_marked_as_such(tmp_path: Path, studio: Studio) -> None:
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=limited"
    source = ("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=0.12")
    paths = [
        studio.make(*source, "-vf", f"format=yuv420p10le,{tags}{more}", "-c:v", "ffv1", name)
        for name, more in (("hdr.mkv", ""), ("blurred.mkv", ",gblur=1"))
    ]
    write_report([candidate_from_file(path) for path in paths], None, tmp_path / "hdr.html")
    html = (tmp_path / "hdr.html").read_text("utf-8")
    assert "without tone mapping" in html
    uri = json.loads(embedded(html, "pictures"))[0]["crops"][0]
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))
    # The test picture has saturated bars, whatever the curve.
    assert found.max() > 250
    assert found.min() < 5


def test_a_picture_for_documents(tmp_path: Path, good: Path, bad: Path, original: Path) -> None:
    sides = [candidate_from_file(path) for path in (bad, good)]
    options = Options(frames=3, metrics=["psnr"], picture=tmp_path / "crops.png")
    write_report(sides, candidate_from_file(original), tmp_path / "r.html", options)
    with Image.open(tmp_path / "crops.png") as picture:
        assert picture.size == (3 * (320 + 6) - 6, 240 + 22)
        parts = [np.asarray(picture.crop((x, 22, x + 320, 262))) for x in (0, 326, 652)]
    errors = [np.abs(part.astype(int) - parts[2]).mean() for part in parts[:2]]
    assert errors[0] > errors[1]
    assert np.array_equal(parts[0][::2, ::2].repeat(2, 0).repeat(2, 1), parts[0])


def test_candidates_are_made_as_upscale_makes_them(studio: Studio, original: Path) -> None:
    small = studio.make("-i", str(original), "-vf", "scale=160:90", "-c:v", "libsvtav1", "-crf", "40", "small.mkv")
    plain, light = made_candidates(small, ["light"], ratio="2:1")
    assert (plain.name, light.name) == ("lanczos5", "light")
    assert (light.clip.width, light.clip.height) == (320, 180)
    model = find_model("light", ratio_by_name("2:1"))
    assert light.facts["models"] == {model.name: model.sha256}
    assert light.facts["command"] == "vs-srcomp upscale small.mkv out.mkv --ratio 2:1 --model light"
    with light.clip.get_frame(3) as restored, plain.clip.get_frame(3) as enlarged:
        assert restored.props["SrcompModel"] == model.name
        assert not np.array_equal(np.asarray(restored[0]), np.asarray(enlarged[0]))
        assert np.array_equal(np.asarray(restored[1]), np.asarray(enlarged[1]))


@pytest.mark.parametrize("orientation", [1, 6])
def test_pictures_are_made_as_upscale_makes_them(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = Image.radial_gradient("L").resize((41, 30)).convert("RGB")
    photo.save(tmp_path / "in.jpg", quality=40, subsampling="4:2:0", exif=exif)
    plain, light = made_candidates(tmp_path / "in.jpg", ["light"])
    assert light.facts["command"] == "vs-srcomp upscale in.jpg out.png --ratio 2:1 --model light"
    result = upscale_picture(PictureJob(source=tmp_path / "in.jpg", target=tmp_path / "out.png", model="light"))
    assert {(side.clip.width, side.clip.height) for side in (plain, light)} == {result.target_size}
    with light.clip.get_frame(0) as frame:
        assert frame.props["SrcompQ"] == pytest.approx(result.q)
        assert result.q > 25  # which is taken of unknown levels
    found = measure([light], candidate_from_file(tmp_path / "out.png"), ["psnr"], threads=1, progress=silent)
    score = found.tracks[0].scores["psnr"][0]
    assert score is None or score > 50  # but for the way to RGB


@pytest.mark.parametrize("size", [(3, 3), (1, 1), (40, 1)])
def test_metrics_that_small_pictures_are_too_small_for_are_left_out(size: tuple[int, int], tmp_path: Path) -> None:
    for name, grey in (("a.png", 80), ("b.png", 90)):
        Image.new("RGB", size, (grey, grey, grey)).save(tmp_path / name)
    sides = [candidate_from_file(tmp_path / name) for name in ("a.png", "b.png")]
    write_report(sides[:1], sides[1], tmp_path / "r.html")
    metrics = json.loads(embedded((tmp_path / "r.html").read_text("utf-8"), "report"))["metrics"]
    assert [metric["name"] for metric in metrics] == [
        name for name in metrics_there() if name in ("psnr", "ssimulacra2")
    ]
    with pytest.raises(vs.Error, match="17x17 pixels or more"):
        write_report(sides[:1], sides[1], tmp_path / "s.html", Options(metrics=["ssim"]))


def test_names_are_short_and_differ() -> None:
    paths = [Path("a/x.mkv"), Path("b/y.mkv")]
    assert distinct_names(paths) == ["x", "y"]
    assert distinct_names([Path("a/x.mkv"), Path("a/x.mp4")]) == ["x.mkv", "x.mp4"]
    assert distinct_names([Path("a/x.mkv"), Path("b/x.mkv")]) == ["a/x.mkv", "b/x.mkv"]
    assert distinct_names([Path("a/x.mkv"), Path("a/x.mkv")]) == ["1 x.mkv", "2 x.mkv"]


def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path: Path, good: Path, bad: Path, original: Path) -> None:
    sides = [candidate_from_file(good), candidate_from_file(bad)]
    target = tmp_path / "report.html"
    with pytest.raises(vs.Error, match="nothing to compare with"):
        write_report(sides[:1], None, target)
    with pytest.raises(vs.Error, match="10 pictures of each frame are too many"):
        write_report(sides * 5, None, target)
    with pytest.raises(vs.Error, match=r"does not end in \.html"):
        write_report(sides, None, tmp_path / "report.mkv")
    assert not list(tmp_path.iterdir())
    target.write_text("mine")
    with pytest.raises(vs.Error, match="exists"):
        write_report(sides, None, target)
    assert target.read_text() == "mine"


def test_a_run_that_is_stopped_leaves_nothing(tmp_path: Path, good: Path, original: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "taking pictures":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report([candidate_from_file(good)], candidate_from_file(original), tmp_path / "r.html", progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_an_error_that_states_how_to_install_it(
    tmp_path: Path, good: Path, bad: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)  # as if it were not installed
    sides = [candidate_from_file(good), candidate_from_file(bad)]
    with pytest.raises(vs.Error, match=r"pip install 'vs-srcomp\[compare\]'"):
        write_report(sides, None, tmp_path / "r.html", Options())
    assert not list(tmp_path.iterdir())
