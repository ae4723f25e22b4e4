"""Tasks on a Ray cluster have the same results as local ones, whatever happens to the nodes."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import vapoursynth as vs

import vs_srcomp
from tests.helpers.films import Studio, packets_of
from vs_srcomp.batch.cut import cut
from vs_srcomp.batch.dry_run import DryRun
from vs_srcomp.batch.job_report import JobReport
from vs_srcomp.batch.join import join
from vs_srcomp.batch.pool import Advanced, Cut, Encode, Event, Failed, Finished, Join, Logged
from vs_srcomp.batch.ray.pool import ClusterConfig, ClusterPool
from vs_srcomp.batch.ray.worker import facts, other_facts
from vs_srcomp.batch.records import SegmentRecord
from vs_srcomp.batch.run import run_batch
from vs_srcomp.batch.segments import encode_segment
from vs_srcomp.models import models
from vs_srcomp.transcode import Job

# Not imported yet: Ray reads its settings when it is, and this cluster has a token of its own.
if importlib.util.find_spec("ray") is None:
    pytest.skip("ray is not installed: pip install 'vs-srcomp[cluster]'", allow_module_level=True)

ENCODER = {"preset": 12, "crf": 50, "segment_seconds": 0.4}


class Nodes:
    """A cluster on this machine: each node is a tree of processes of its own, as on machines of their own."""

    def __init__(self) -> None:
        """Prepare a cluster without nodes."""
        self._mark = f"SRCOMP_TEST={uuid.uuid4().hex}"
        # Ray makes sockets below it, whose names must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="sr"))
        token = self._folder / "token"
        token.write_text(secrets.token_hex(32))
        environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        self._patch = pytest.MonkeyPatch()
        for name, value in environment.items():
            self._patch.setenv(name, value)
        self._starters: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def start_head(self) -> None:
        """Start the first node, which can run one task at a time."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.start("--head", f"--port={port}", f"--temp-dir={self._folder}", "--include-dashboard=false")
        self.wait_until(lambda: _reachable(port))

    def start(self, *where: str, folder: Path | None = None) -> int:
        """Start a node with one processor, whose Python looks into ``folder`` first; gives a number for it."""
        environment = {
            **os.environ,
            **dict([self._mark.split("=")]),
            "RAY_USAGE_STATS_ENABLED": "0",
            # By default workers give way to all that a machine does besides, which here is what waits for them.
            "RAY_worker_niceness": "0",
            # A node that is gone is taken for dead after some seconds instead of half a minute.
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "3",
            "RAY_health_check_initial_delay_ms": "500",
            "RAY_health_check_timeout_ms": "1000",
            **({"PYTHONPATH": str(folder)} if folder else {}),
        }
        program = Path(sys.executable).with_name("ray")
        command = [program, "start", *where, "--num-cpus=1", "--object-store-memory=104857600", "--block"]
        with (self._folder / "log").open("ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
            self._starters.append(subprocess.Popen(command, env=environment, **options))  # type: ignore[call-overload]
        return len(self._starters) - 1

    def add(self, *, folder: Path | None = None) -> int:
        """Start one more node; gives its number."""
        return self.start(f"--address={self.address}", folder=folder)

    def kill(self, number: int) -> None:
        """Kill all processes of a node at once, as if its machine lost power."""
        for process in self.processes(number):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._starters[number].wait()

    def processes(self, number: int) -> list[int]:
        """All processes of a node."""
        children: dict[int, list[int]] = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                children.setdefault(int(status.read_text().rpartition(")")[2].split()[1]), []).append(
                    int(status.parent.name)
                )
        found = [self._starters[number].pid]
        for process in found:
            found += children.get(process, [])
        return found

    def working(self, number: int) -> list[int]:
        """The processes of a node that carry out a task."""
        names = {process: _name_of(process) for process in self.processes(number)}
        return [process for process, name in names.items() if name.startswith("ray::run_task")]

    def close(self) -> None:
        """End all nodes, whatever state they are in."""
        for number in range(len(self._starters)):
            self.kill(number)
        self.wait_until(lambda: not self.left())
        self._patch.undo()
        shutil.rmtree(self._folder, ignore_errors=True)

    def left(self) -> list[int]:
        """All processes that come from here and still run; those that lost their parents are killed."""
        found = []
        for file in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError, ProcessLookupError):
                if self._mark.encode() in file.read_bytes().split(b"\0"):
                    found.append(int(file.parent.name))
                    os.kill(found[-1], signal.SIGKILL)
        return found

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Wait, with a time limit; the error has Ray's output."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError((self._folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)


def _reachable(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def _name_of(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


class Watcher:
    """Records the progress of a batch."""

    def __init__(self) -> None:
        self.outcomes: list[JobReport] = []
        self.advances: list[int] = []

    def waiting(self, job: Job) -> None:
        pass

    def began(self, job: Job) -> None:
        pass

    def advanced(self, job: Job, done: int, total: int) -> None:
        self.advances.append(done)

    def ended(self, outcome: JobReport) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    try:
        try:
            nodes.start_head()
        except TimeoutError as reason:
            pytest.skip(f"Ray does not start here: {reason}")
        yield nodes
    finally:
        nodes.close()
    assert nodes.left() == []


@pytest.fixture(scope="module")
def job(film: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    target = tmp_path_factory.mktemp("cluster") / "out.mkv"
    return Job(source=film, target=target, model=model, **ENCODER)  # type: ignore[arg-type]


def connected(nodes: Nodes, **options: object) -> ClusterPool:
    """A pool on the cluster, once it is ready."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return ClusterPool(ClusterConfig(address=nodes.address, **options))  # type: ignore[arg-type]
        except vs.Error as reason:
            if "cannot connect" not in str(reason) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def events_until(pool: ClusterPool, condition: Callable[[list[Event]], bool]) -> list[Event]:
    events: list[Event] = []
    deadline = time.monotonic() + 60
    while not condition(events):
        assert time.monotonic() < deadline, events
        events += pool.wait(0.2)
    return events


def ends(events: list[Event]) -> list[Finished | Failed]:
    return [event for event in events if isinstance(event, Finished | Failed)]


@pytest.mark.parametrize("storage", ["shared", "copied"])
def test_segments_are_those_that_are_made_at_home(nodes: Nodes, job: Job, tmp_path: Path, storage: str) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    job = replace(job, target=tmp_path / "out.mkv")
    segments = cut(job)
    records = [encode_segment(job, segment, home / segment.name) for segment in segments]
    # Shared storage with a cluster that is started for this alone, as for users who name none.
    pool = ClusterPool(ClusterConfig()) if storage == "shared" else connected(nodes, storage=storage)
    try:
        pool.submit(Cut(job))
        (cutting,) = ends(events_until(pool, lambda events: len(ends(events)) == 1))
        assert isinstance(cutting, Finished)
        assert cutting.value == segments
        pool.submit(DryRun(job))
        (estimating,) = ends(events_until(pool, lambda events: len(ends(events)) == 1))
        assert isinstance(estimating, Finished)
        assert estimating.value.segments == segments
        assert sum(estimating.value.models.values()) == 12
        tickets = {pool.submit(Encode(job, segment, away)): segment for segment in segments}
        events = events_until(pool, lambda events: len(ends(events)) == len(segments))
        found: dict[int, SegmentRecord] = {tickets[event.ticket].index: event.value for event in ends(events)}  # type: ignore[union-attr]
        for record in records:
            assert replace(found[record.index], seconds=0) == replace(record, seconds=0)
            assert (away / record.file).read_bytes() == (home / record.file).read_bytes()
        assert {file.name for file in away.iterdir()} == {record.file for record in records}
        pool.submit(Join(job, segments, records, away))
        (joining,) = ends(events_until(pool, lambda events: len(ends(events)) == 1))
        assert isinstance(joining, Finished)
        assert joining.value.frames == 40
    finally:
        pool.close()
    made_at_home = join(replace(job, target=tmp_path / "home.mkv"), segments, records, home).target
    for index in range(5):
        assert packets_of(job.target, index) == packets_of(made_at_home, index)
    copies = list(Path(tempfile.gettempdir()).glob("srcomp-????????????????"))
    assert copies == []


def test_cancel_stops_what_runs_and_what_waits_and_leaves_nothing_half_written(
    nodes: Nodes, studio: Studio, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # More frames than SVT-AV1 takes in before it gives packets out.
    film = studio.picture("cluster-long.mkv", size="160x96", seconds=48)
    job = Job(source=film, target=tmp_path / "out.mkv", model=model, preset=4, segment_seconds=24)
    segments = cut(job)
    parts = tmp_path / "parts"
    parts.mkdir()
    pool = connected(nodes)
    try:
        tickets = [pool.submit(Encode(job, segment, parts)) for segment in [*segments, *segments]]
        seen = events_until(pool, lambda events: any(isinstance(event, Advanced) for event in events))
        assert ends(seen) == []
        pool.cancel()
        last = ends(events_until(pool, lambda events: len(ends(events)) == len(tickets)))
        assert {event.ticket for event in last} == set(tickets)
        assert all(isinstance(event, Failed) and event.cancelled for event in last)
        assert list(parts.iterdir()) == []
    finally:
        pool.close()
    assert capfd.readouterr().out == ""


@pytest.fixture(scope="class")
def pool(nodes: Nodes) -> Iterator[ClusterPool]:
    pool = connected(nodes)
    yield pool
    pool.close()


class TestOneConnection:
    """Tests that share a pool: to connect takes longer than they do."""

    def test_messages_and_errors_come_back_with_the_name_of_the_node(
        self, nodes: Nodes, pool: ClusterPool, job: Job, tmp_path: Path
    ) -> None:
        film = tmp_path / "film.mkv"
        shutil.copy(job.source, film)
        job = replace(job, source=film, target=tmp_path / "out.mp4", drop_incompatible=True)
        pool.submit(Cut(job))
        events = events_until(pool, lambda events: len(ends(events)) == 1)
        assert any("cannot hold it" in event.message for event in events if isinstance(event, Logged))
        (cutting,) = ends(events)
        assert isinstance(cutting, Finished)
        with film.open("ab") as file:
            file.write(bytes(100))
        pool.submit(Encode(job, cutting.value[0], tmp_path))
        (failure,) = ends(events_until(pool, lambda events: len(ends(events)) == 1))
        assert isinstance(failure, Failed)
        assert f"on node {os.uname().nodename}: " in failure.message
        assert "has changed since the work on it began" in failure.message
        film.unlink()
        pool.submit(Encode(job, cutting.value[0], tmp_path))
        (failure,) = ends(events_until(pool, lambda events: len(ends(events)) == 1))
        assert isinstance(failure, Failed)
        assert "does not exist" in failure.message
        with pytest.raises(vs.Error, match="no node has 1 processor cores and 1 graphics cards"):
            ClusterPool(ClusterConfig(address=nodes.address, cpus_per_task=1, gpus_per_task=1))

    def test_a_node_that_is_killed_costs_no_segment_and_doubles_none(
        self, nodes: Nodes, pool: ClusterPool, studio: Studio, model: Path, tmp_path: Path
    ) -> None:
        film = studio.sound(studio.picture("cluster-killed.mkv", size="160x96", seconds=4), "cluster-sound.mkv", "flac")
        job = Job(source=film, target=tmp_path / "out.mkv", model=model, preset=4, segment_seconds=0.4)
        other = nodes.add()
        killed = threading.Event()
        nodes.wait_until(lambda: len([node for node in pool._ray.nodes() if node["Alive"]]) == 2)

        def kill_while_it_works() -> None:
            nodes.wait_until(lambda: nodes.working(other))
            nodes.kill(other)
            killed.set()

        killer = threading.Thread(target=kill_while_it_works)
        killer.start()
        watcher = Watcher()
        counts = run_batch([job], pool, watcher)
        killer.join()
        assert killed.is_set()
        assert counts == {"done": 1}
        (outcome,) = watcher.outcomes
        assert (outcome.status, outcome.segments, outcome.reused) == ("done", 10, 0)
        home = tmp_path / "home"
        home.mkdir()
        job = replace(job, target=tmp_path / "home.mkv")
        segments = cut(job)
        records = [encode_segment(job, segment, home / segment.name) for segment in segments]
        made_at_home = join(job, segments, records, home).target
        for index in range(2):
            assert packets_of(tmp_path / "out.mkv", index) == packets_of(made_at_home, index)
        assert len(packets_of(tmp_path / "out.mkv", 0)) == 100

    def test_a_node_with_another_version_is_refused_by_name(
        self, nodes: Nodes, pool: ClusterPool, tmp_path: Path
    ) -> None:
        package = Path(vs_srcomp.__file__).parent
        shutil.copytree(package, tmp_path / "vs_srcomp")
        with (tmp_path / "vs_srcomp" / "log.py").open("a") as file:
            file.write("# changed\n")
        # Ray puts this program's own path before that of the node; what is imported already is not looked for.
        (tmp_path / "sitecustomize.py").write_text("import vs_srcomp\n")
        other = nodes.add(folder=tmp_path)
        nodes.wait_until(lambda: len([node for node in pool._ray.nodes() if node["Alive"]]) == 2)
        with pytest.raises(vs.Error) as refusal:
            ClusterPool(ClusterConfig(address=nodes.address))
        nodes.kill(other)
        first, last = str(refusal.value).splitlines()
        assert os.uname().nodename in first
        assert "is not like this machine: it has source code of vs_srcomp " in first
        assert last == "install the same versions on all nodes, or take it out of the cluster"


def test_addresses_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(vs.Error, match="Ray Client"):
        ClusterPool(ClusterConfig(address="ray://127.0.0.1:10001"))


def test_differences_are_named() -> None:
    ours = facts()
    assert other_facts(ours, dict(ours)) == []
    model = f"model {models()[0].name}"
    theirs = {**ours, "av": "1.0", model: "f" * 64}
    assert other_facts(ours, theirs) == [
        f"av 1.0 instead of {ours['av']}",
        f"{model} ffffffffffff... instead of {ours[model][:12]}...",
    ]
    assert "SvtAv1Enc" in ours["svt-av1"]
