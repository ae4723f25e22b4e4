import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from vs_srcomp.files import atomic_path, temporary_folder, write_atomically


def test_the_target_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as temporary:  # noqa: PT012 - work, then an interrupt
        temporary.write_bytes(b"new")
        raise KeyboardInterrupt
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    plain, atomic = tmp_path / "plain", tmp_path / "atomic"
    plain.touch()
    write_atomically(atomic, b"")
    assert stat.S_IMODE(atomic.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_file_keeps_its_permissions_and_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    real, link = tmp_path / "kept" / "private.toml", tmp_path / "link.toml"
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "link.toml", "private.toml"]


def test_threads_that_write_at_once_leave_the_mask_of_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: write_atomically(tmp_path / f"{number}", b""), range(200)))
        assert os.umask(0o027) == 0o027
    finally:
        sys.setswitchinterval(interval)
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}


def test_what_came_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with pytest.raises(FileExistsError), atomic_path(target, overwrite=False) as temporary:  # noqa: PT012 - see above
        temporary.write_bytes(b"ours")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    with atomic_path(tmp_path / "other.bin", overwrite=False) as temporary:
        temporary.write_bytes(b"ours")
    assert {path.name for path in tmp_path.iterdir()} == {"out.bin", "other.bin"}


@contextmanager
def one_killed_and_one_running(code: str, target: Path) -> Iterator[None]:
    """Two processes that run ``code``, the first of which has been killed; both have ended after the block."""
    argv = [sys.executable, "-c", code, str(target)]
    runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for run in runs:
            assert run.stdout
            assert run.stdout.readline() == "ready\n"
        runs[0].kill()
        runs[0].wait()
        yield
    finally:
        for run in runs:
            run.kill()
            run.communicate()


WAITING = """
import sys, time
from pathlib import Path
from vs_srcomp.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_has_left_is_removed_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    keeps = {".out.original.mkv", ".out.srcomp-notes.mkv.txt", ".other.srcomp-abcdefgh.mkv", "out.srcomp-abcdefgh.mkv"}
    for name in keeps:
        (tmp_path / name).write_bytes(b"of the user")
    with one_killed_and_one_running(WAITING, target):
        assert len(list(tmp_path.iterdir())) == len(keeps) + 2
        write_atomically(target, b"whole")
        # The file of the running process stays.
        assert len(list(tmp_path.iterdir())) == len(keeps) + 2
        assert keeps < {path.name for path in tmp_path.iterdir()}
    write_atomically(target, b"again")
    assert {path.name for path in tmp_path.iterdir()} == {*keeps, "out.mkv"}


WAITING_IN_FOLDER = """
import sys, time
from pathlib import Path
from vs_srcomp.files import temporary_folder
with temporary_folder(Path(sys.argv[1]), ".piped") as folder:
    (folder / "video.ivf").write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_folders_of_killed_runs_are_removed_by_the_next_and_no_others(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    keeps = {".out.srcomp-notes.piped", ".other.srcomp-abcdefgh.piped", ".srcomp-abcdefgh.piped"}
    for name in keeps:
        (tmp_path / name).mkdir()
    with one_killed_and_one_running(WAITING_IN_FOLDER, target):
        assert len(list(tmp_path.iterdir())) == len(keeps) + 2
        with temporary_folder(target, ".piped") as folder:
            # The folder of the running process stays.
            assert len(list(tmp_path.iterdir())) == len(keeps) + 2
            (left,) = (path for path in tmp_path.iterdir() if path.name not in keeps and path != folder)
            assert (left / "video.ivf").exists()
    with temporary_folder(target, ".piped") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "log").touch()
    assert {path.name for path in tmp_path.iterdir()} == keeps


def test_a_folder_that_is_not_there_is_reported_by_the_targets_name(tmp_path: Path) -> None:
    target = tmp_path / "nothing" / "out.mkv"
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(target, b"")
    assert caught.value.filename == str(target)
