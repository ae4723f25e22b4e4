"""The output is complete or does not exist, however a job ends."""

import os
import resource
import threading
from pathlib import Path

import pytest
import vapoursynth as vs

from tests.helpers.films import Studio, Upscaled, times_of
from vs_srcomp.progress import CancelledError
from vs_srcomp.transcode import Job, transcode


def test_an_existing_file_is_replaced_only_on_demand(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    target.write_text("precious")
    with pytest.raises(vs.Error, match=r"exists\n.*--overwrite"):
        upscaled(film, target)
    assert target.read_text() == "precious"
    upscaled(film, target, overwrite=True)
    assert times_of(target) == times_of(film)
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_appears_meanwhile_is_not_replaced_and_the_work_is_kept(
    film: Path, model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    job = Job(source=film, target=target, model=model, preset=12)

    def intrude(number: int, _: int) -> None:
        if number == 20:
            target.write_text("precious")
            (tmp_path / "out (2).mkv").write_text("precious, too")

    with pytest.raises(vs.Error, match=r"came into being meanwhile, and was not replaced: the output is .*out \(3\)"):
        transcode(job, progress=intrude)
    assert target.read_text() == "precious"
    assert (tmp_path / "out (2).mkv").read_text() == "precious, too"
    assert times_of(tmp_path / "out (3).mkv") == times_of(film)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_source_that_disappears_meanwhile_is_named(film: Path, model: Path, tmp_path: Path) -> None:
    source = tmp_path / "film.mkv"
    source.write_bytes(film.read_bytes())

    def remove(number: int, _: int) -> None:
        if number == 20:
            source.unlink()

    with pytest.raises(vs.Error, match=r"film\.mkv' cannot be read: no such file or directory\ncheck the path"):
        transcode(Job(source=source, target=tmp_path / "out.mkv", model=model, preset=12), progress=remove)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("link", ["same", "symbolic", "hard"])
def test_the_input_is_never_the_output(studio: Studio, upscaled: Upscaled, tmp_path: Path, link: str) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(studio.picture("self.mkv").read_bytes())
    before = film.read_bytes()
    target = film if link == "same" else tmp_path / "link.mkv"
    if link == "symbolic":
        target.symlink_to(film)
    elif link == "hard":
        target.hardlink_to(film)
    with pytest.raises(vs.Error, match="the output is the input"):
        upscaled(film, target, overwrite=True)
    assert film.read_bytes() == before


def test_cancelling_leaves_nothing(film: Path, model: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    done: list[int] = []

    def stop_at_ten(number: int, _: int) -> None:
        done.append(number)
        if number == 10:
            cancel.set()

    with pytest.raises(CancelledError):
        transcode(Job(source=film, target=tmp_path / "out.mkv", model=model), progress=stop_at_ten, cancel=cancel)
    assert done == list(range(1, 11))
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_caller_leaves_nothing(film: Path, model: Path, tmp_path: Path) -> None:
    def fail(number: int, _: int) -> None:
        raise KeyError(number)

    with pytest.raises(KeyError):
        transcode(Job(source=film, target=tmp_path / "out.mkv", model=model), progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_error(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    # A limit on the size of files fails in the same call as a full disk.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(vs.Error, match=r"cannot write .*: file too large\n.*free space"):
            upscaled(film, tmp_path / "out.mkv", crf=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written_to(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    with pytest.raises(vs.Error, match=r"the folder .* does not exist"):
        upscaled(film, tmp_path / "missing" / "out.mkv")
    with pytest.raises(vs.Error, match=r"cannot write '/proc/out\.mkv'"):
        upscaled(film, Path("/proc/out.mkv"))
    if os.geteuid() == 0:
        pytest.skip("the superuser may write to every folder")
    tmp_path.chmod(0o500)
    with pytest.raises(vs.Error, match="permission denied"):
        upscaled(film, tmp_path / "out.mkv")


@pytest.mark.parametrize("name", ["out.avi", "out", "out.mkv.tmp"])
def test_other_containers_are_refused(film: Path, upscaled: Upscaled, tmp_path: Path, name: str) -> None:
    with pytest.raises(vs.Error, match=r"names no container that can be written\n.*\.mkv, \.mp4 or \.webm"):
        upscaled(film, tmp_path / name)


def test_what_is_no_video_is_refused(upscaled: Upscaled, tmp_path: Path) -> None:
    text = tmp_path / "text.mkv"
    text.write_text("no video at all" * 100)
    with pytest.raises(vs.Error, match="cannot be opened"):
        upscaled(text, tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == [text]


def test_sound_alone_is_refused(studio: Studio, upscaled: Upscaled, tmp_path: Path) -> None:
    sound = studio.make("-f", "lavfi", "-i", "sine=duration=0.2", "sound.mka")
    with pytest.raises(vs.Error, match="no video track"):
        upscaled(sound, tmp_path / "out.mkv")


def test_settings_that_the_encoder_does_not_know_are_errors(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(vs.Error, match="SVT-AV1: error parsing option nonsense: 3"):
            upscaled(film, tmp_path / "out.mkv", svt_params="tune=0:nonsense=3")
    assert list(tmp_path.iterdir()) == []
    assert upscaled(film, tmp_path / "out.mkv", svt_params="tune=0").frames == 40


def test_damage_in_the_input_is_an_error_with_its_frame(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, shared_data: Path
) -> None:
    data = bytearray((shared_data / "av1" / "beach.webm").read_bytes())
    data[200_000:260_000] = bytes(60_000)
    damaged = tmp_path / "damaged.webm"
    damaged.write_bytes(data)
    with pytest.raises(vs.Error, match="cannot be decoded, because its data is damaged"):
        upscaled(damaged, tmp_path / "out.mkv", width=854)
    assert list(tmp_path.iterdir()) == [damaged]


def test_a_file_that_grows_meanwhile_is_refused(studio: Studio, model: Path, tmp_path: Path) -> None:
    """As while it is still being recorded: its sound would go on after its pictures."""
    film = tmp_path / "film.ts"
    recorded = studio.sound(studio.picture("grows-picture.mkv", seconds=1), "grows.ts", "mp2").read_bytes()
    film.write_bytes(recorded[: len(recorded) // 376 * 188])

    def record(number: int, _: int) -> None:
        if number == 5:
            with film.open("ab") as file:
                file.write(recorded[len(recorded) // 376 * 188 :])

    with pytest.raises(vs.Error, match=r"has changed since the work on it began\nstart the job again, a batch with"):
        transcode(Job(source=film, target=tmp_path / "out.mkv", model=model, preset=12), progress=record)
    assert list(tmp_path.iterdir()) == [film]
