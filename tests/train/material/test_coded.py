"""Photographs and clips as a receiver gets them: which are coded, at which levels, and what becomes of them."""

import io
import tarfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.train.photographs import photograph
from train.coding import decode
from train.material.coded import (
    CLIP_BANDS,
    CLIP_FRAMES,
    CLIP_SIZE,
    ENCODERS,
    KEPT_FRAMES,
    LEVEL_BANDS,
    Coding,
    clip_frames,
    code,
    codings,
    framed,
    level_of,
    load_picture,
)
from train.material.drawn import SIZE, draw, write_drawn
from train.material.pictures import clip_planes, read_yuv420, rgb_to_yuv420, scaled_rgb
from train.pack import pack
from vs_srcomp.geometry import ratio_by_name
from vs_srcomp.resample import lanczos5
from vs_srcomp.source import source


def test_each_picture_is_coded_in_every_band_and_some_at_a_smaller_size_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [Path(f"{index}.png") for index in range(60)]
    Path("elsewhere").mkdir()
    for path in (*paths, *(Path("elsewhere") / path for path in paths)):
        path.write_bytes(path.stem.encode())
    jobs = list(codings(paths, "2:1"))
    elsewhere = codings([Path("elsewhere") / path for path in paths], "2:1")
    assert [job.name for job in elsewhere] == [job.name for job in jobs]
    for path in paths:
        stills = [job for job in jobs if job.picture == path and not job.is_clip and not job.is_framed]
        clips = [job for job in jobs if job.picture == path and job.is_clip]
        scales = sorted({job.scale for job in stills})
        assert scales in ([1.0], [0.6, 1.0])
        assert len(stills) == len(LEVEL_BANDS) * len(scales)
        for of_scale in ([job for job in stills if job.scale == scale] for scale in scales):
            assert all(low <= job.q <= high for job, (low, high) in zip(of_scale, LEVEL_BANDS, strict=True))
        clip_scales = sorted({job.scale for job in clips})
        assert clip_scales in ([1.0], [0.5, 1.0])
        for of_scale in ([job for job in clips if job.scale == scale] for scale in clip_scales):
            assert all(low <= job.q <= high for job, (low, high) in zip(of_scale, CLIP_BANDS, strict=True))
        in_frames = [job for job in jobs if job.picture == path and job.is_framed]
        assert len(in_frames) in (0, len(LEVEL_BANDS))
        assert all(low <= job.q <= high for job, (low, high) in zip(in_frames, LEVEL_BANDS, strict=False))
    by_kind = [{job.name for job in jobs if job.is_clip and job.scale == scale} for scale in (1.0, 0.5)]
    assert not by_kind[0] & by_kind[1]
    assert 20 < len({job.picture for job in jobs if job.is_clip and job.scale < 1}) < 40
    assert 20 < len({job.picture for job in jobs if job.is_framed}) < 40
    assert not {job.name for job in jobs if job.is_framed} & {job.name for job in jobs if not job.is_framed}
    smaller = {job.picture for job in jobs if job.scale == 0.6}
    assert 10 < len(smaller) < 30
    assert {job.encoder for job in jobs} == ENCODERS.keys()
    assert not any(job.is_clip for job in codings(paths, "2:1", clips=False))
    assert [job.q for job in codings(paths, "4:3")] != [job.q for job in jobs]


def test_frames_are_black_borders_of_a_window() -> None:
    rgb = np.random.default_rng(1).integers(1, 256, (300, 400, 3)).astype(np.uint8)
    widths = set()
    for number in range(40):
        made = framed(rgb, f"{number}")
        assert made.shape == (256, 256, 3)
        assert np.array_equal(made, framed(rgb, f"{number}"))
        black = (made == 0).all(2)
        borders = [int(np.rot90(black, side).all(1).argmin()) for side in range(4)]
        widths.update(borders)
        top, right, bottom, left = borders
        inside = made[top : 256 - bottom, left : 256 - right]
        assert (inside > 0).all()
        assert any(
            np.array_equal(inside, rgb[y : y + inside.shape[0], x : x + inside.shape[1]])
            for y in range(top, 45 + top)
            for x in range(left, 145 + left)
        )
    assert {0, 1, 2, 3, 4} <= widths
    assert 20 < max(widths) <= 40


@pytest.mark.parametrize(
    ("ratio", "encoder", "q"), [("2:1", "aomintra", 44), ("8:5", "aomintra", 30), ("4:3", "aom", 20)]
)
def test_an_example_is_what_playback_shows_and_has_the_level_that_it_finds(
    ratio: str, encoder: str, q: int, pictures: Path, tmp_path: Path
) -> None:
    job = Coding(pictures / "1.png", ratio, q, encoder)
    code([job], tmp_path / "coded", processes=1)
    stream = job.file(tmp_path / "coded")
    (example,) = load_picture([job], tmp_path / "coded")
    original = clip_planes(read_yuv420(job.picture))[0]
    assert np.array_equal(example.original, original)
    small = decode(stream.read_bytes())
    assert small.width == 96 / ratio_by_name(ratio).factor
    assert np.array_equal(example.degraded, clip_planes(lanczos5(small, 96, 64))[0])
    assert example.picture == "1"
    with source(stream).get_frame(0) as frame:
        assert example.q == pytest.approx(float(frame.props["SrcompQ"]))
    assert abs(example.q - q) < 8
    assert example.error == pytest.approx(np.mean((example.degraded.astype(float) - original) ** 2), rel=1e-5)


def test_what_is_coded_is_kept_and_not_coded_again(pictures: Path, tmp_path: Path) -> None:
    job = Coding(pictures / "1.png", "2:1", 40, "aomintra")
    kept = job.file(tmp_path)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    code([job], tmp_path, processes=1)
    assert kept.read_bytes() == b"kept"


def test_another_picture_of_the_same_name_is_coded_too(pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "1.png"
    other.parent.mkdir()
    Image.open(pictures / "1.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    first, second = (Coding(path, "2:1", 40, "aomintra") for path in (pictures / "1.png", other))
    code([first, second], tmp_path, processes=1)
    assert first.file(tmp_path).read_bytes() != second.file(tmp_path).read_bytes()
    first.picture.write_bytes(other.read_bytes())
    assert first.file(tmp_path) == second.file(tmp_path)


@pytest.mark.parametrize("kept", [0, 44, 100])
def test_a_damaged_stream_is_named(kept: int, pictures: Path, tmp_path: Path) -> None:
    job = Coding(pictures / "1.png", "2:1", 20, "aomintra")
    code([job], tmp_path, processes=1)
    stream = job.file(tmp_path)
    whole = stream.read_bytes()
    assert len(whole) > 100
    stream.write_bytes(whole[:kept])
    with pytest.raises(ValueError, match=rf"{stream.name} is damaged \(.*; remove it, and it is coded again"):
        load_picture([job], tmp_path)


def test_a_clip_with_a_lost_end_is_named(tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (400, 600, 3)).astype(np.uint8)).save(wide)
    job = Coding(wide, "2:1", 50, "svt", is_clip=True)
    code([job], tmp_path, processes=1)
    stream = job.file(tmp_path)
    whole = stream.read_bytes()
    stream.write_bytes(whole[: 32 + 12 + int.from_bytes(whole[32:36], "little")])
    with pytest.raises(ValueError, match=rf"{stream.name} is damaged \(it has . frames instead of 9"):
        load_picture([job], tmp_path)


def test_clips_move_over_the_picture_and_are_coded_with_inter_frames(tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    photograph(3, 700, 420).save(wide)
    frames = clip_frames(np.asarray(Image.open(wide)), "wide")
    assert frames is not None
    assert len(frames) == CLIP_FRAMES
    assert all(frame.shape == (CLIP_SIZE[1], CLIP_SIZE[0], 3) for frame in frames)
    again = clip_frames(np.asarray(Image.open(wide)), "wide")
    assert again is not None
    assert all(np.array_equal(*both) for both in zip(frames, again, strict=True))
    # One clip in five stands still.
    stands = [
        np.array_equal(made[0], made[-1])
        for name in "abcdefghijklmnopqrstuvwxyzABCD"
        if (made := clip_frames(np.asarray(Image.open(wide)), name)) is not None
    ]
    assert 0 < sum(stands) < 15
    assert clip_frames(np.asarray(photograph(3, 560, 420)), "small") is None

    job = Coding(wide, "2:1", 40, "svt", is_clip=True)
    code([job], tmp_path / "coded", processes=1)
    stream = job.file(tmp_path / "coded").read_bytes()
    with av.open(io.BytesIO(stream), "r", format="ivf") as container:
        assert sum(frame.key_frame for frame in container.decode(video=0)) == 1
    examples = load_picture([job], tmp_path / "coded")
    assert len(examples) == len(KEPT_FRAMES)
    assert {example.q for example in examples} == {level_of(stream)}
    for example in examples:
        assert example.original.shape == (CLIP_SIZE[1], CLIP_SIZE[0])
        assert 0 < example.error < 400  # the frame that it was made of, not another one


def test_a_clip_of_a_picture_made_smaller_is_smaller_itself(tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    photograph(3, 760, 500).save(wide)
    job = Coding(wide, "2:1", 40, "svt", 0.5, is_clip=True)
    code([job], tmp_path / "coded", processes=1)
    examples = load_picture([job], tmp_path / "coded")
    assert len(examples) == len(KEPT_FRAMES)
    small = clip_frames(scaled_rgb(np.asarray(Image.open(wide)), 0.5), "wide small", (320, 192))
    assert small is not None
    for example, number in zip(examples, KEPT_FRAMES, strict=True):
        assert np.array_equal(example.original, clip_planes(rgb_to_yuv420(small[number]))[0])


def test_pictures_too_small_for_a_clip_have_an_empty_file_and_no_example(pictures: Path, tmp_path: Path) -> None:
    job = Coding(pictures / "1.png", "2:1", 40, "svt", is_clip=True)
    code([job], tmp_path, processes=1)
    assert job.file(tmp_path).read_bytes() == b""
    assert load_picture([job], tmp_path) == []


def test_a_stream_without_headers_has_no_level() -> None:
    with pytest.raises((ValueError, av.error.FFmpegError)):
        level_of(b"DKIF")


def test_material_is_packed_whole_in_files_of_limited_size(pictures: Path, tmp_path: Path) -> None:
    size = 60_000
    parts = pack([pictures], ["2:1"], tmp_path / "work", tmp_path / "out", size)
    assert [path.name for path in parts] == [f"part{number}.tar" for number in range(1, len(parts) + 1)]
    assert len(parts) > 1
    assert all(path.stat().st_size <= size for path in parts)
    for path in parts:
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path / "there", filter="data")
    for path in pictures.iterdir():
        assert (tmp_path / "there" / "images" / path.name).read_bytes() == path.read_bytes()
    jobs = list(codings(sorted(pictures.iterdir()), "2:1"))
    for job in jobs:
        there, here = (job.file(tmp_path / folder / "coded") for folder in ("there", "work"))
        assert there.read_bytes() == here.read_bytes()


def test_drawn_pictures_are_the_same_every_time_and_all_different(tmp_path: Path) -> None:
    write_drawn(tmp_path / "drawn", 3)
    paths = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in paths] == ["drawn_000.png", "drawn_001.png", "drawn_002.png"]
    drawn = [np.asarray(Image.open(path)) for path in paths]
    assert all(picture.shape == (SIZE, SIZE, 3) for picture in drawn)
    assert np.array_equal(drawn[1], np.asarray(draw(1)))
    assert not np.array_equal(drawn[0], drawn[1])
    for picture in drawn:
        # Hard edges, which photographs lack.
        assert np.abs(np.diff(picture[..., 1].astype(int), axis=1)).max() > 60
