"""The nodes of a Ray cluster: connection, and comparison of nodes."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vs_srcomp import __version__
from vs_srcomp.batch.ray.worker import Facts, other_facts
from vs_srcomp.errors import PREFIX, error, first_line, last_line

if TYPE_CHECKING:
    from types import ModuleType

# Seconds for a node to start a process and report its versions.
_PATIENCE = 120.0

# Cores of a task without a graphics card. More cores make one task faster, but lower the throughput.
_MOST_CPUS = 4.0

# Size of the object store of a cluster that is started here; the rest goes to disk.
_OBJECT_BYTES = 256 << 20


def import_ray() -> "ModuleType":
    """The package ray.

    Raises:
        vs.Error: It is not installed.
    """
    try:
        import ray
    except ImportError as reason:
        raise error("a cluster needs the package ray", "install it with: pip install 'vs-srcomp[cluster]'") from reason
    module: ModuleType = ray
    return module


def connect(ray: "ModuleType", address: str) -> None:
    """Connect this process to a cluster.

    Args:
        ray: The package.
        address: See ``ClusterConfig``.

    Raises:
        vs.Error: There is no such cluster, or it has another version of Ray or Python.
    """

    if "://" in address:
        raise error(
            f"{address!r} is the address of a Ray Client, which has no node of its own",
            "run this on a node of the cluster, with the address host:port or auto",
        )
    # Standard output is for video only: what workers print stays in Ray's log files.
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": _OBJECT_BYTES}
    with _signals_kept(), _no_usage_report():
        try:
            ray.init(address=address, **options)
        except Exception as reason:  # of many kinds
            raise error(
                f"cannot connect to the Ray cluster {address!r}: {first_line(reason)}",
                "check the address, that this machine is a node of it (ray start), and the versions of Ray and Python",
            ) from reason


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore the program's signal handlers, which Ray replaces."""
    kept = {}
    if threading.current_thread() is threading.main_thread():
        kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def _no_usage_report() -> Iterator[None]:
    """In this block, clusters are started without Ray's usage reports."""
    name = "RAY_USAGE_STATS_ENABLED"
    before = os.environ.get(name)
    os.environ[name] = before or "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def compare_nodes(ray: "ModuleType", nodes: list[dict[str, Any]], find: Callable[..., Facts], *arguments: Any) -> None:
    """Refuse a cluster if the result of a job on one of its nodes would differ from that on this machine.

    Args:
        ray: The package, connected.
        nodes: The nodes to compare.
        find: Returns the facts to compare; runs here and on each node.
        arguments: Arguments of ``find``.

    Raises:
        vs.Error: A node has other facts, or does not answer.
    """
    ours = find(*arguments)
    function = ray.remote(num_cpus=0, max_retries=1)(find)
    asked = [
        (_name(node), function.options(scheduling_strategy=on_node(node["NodeID"])).remote(*arguments))
        for node in nodes
    ]
    deadline = time.monotonic() + _PATIENCE
    for name, reference in asked:
        try:
            theirs = ray.get(reference, timeout=max(1.0, deadline - time.monotonic()))
        except ray.exceptions.GetTimeoutError:
            raise error(f"node {name} does not answer", "look at its logs, or take it out of the cluster") from None
        except ray.exceptions.RayError as reason:
            cause = getattr(reason, "cause", None) or reason
            # Other errors come with a traceback first.
            raise error(
                f"node {name} cannot do this work: {first_line(cause) if PREFIX in str(reason) else last_line(cause)}",
                f"install vs-srcomp {__version__} there, with all that it needs",
            ) from reason
        if differences := other_facts(ours, theirs):
            raise error(
                f"node {name} is not like this machine: it has {'; '.join(differences)}",
                "make all nodes alike, or take it out of the cluster; a precision that is given is the same everywhere"
                if "units" in ours
                else "install the same versions on all nodes, or take it out of the cluster",
            )


def living_nodes(ray: "ModuleType") -> list[dict[str, Any]]:
    """The current nodes, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def places(node: dict[str, Any], cpus: float, gpus: float) -> int:
    """Number of tasks that a node can run at the same time."""
    there = node["Resources"]
    return int(min(there.get(kind, 0) / needed for kind, needed in (("CPU", cpus), ("GPU", gpus)) if needed))


def cpus_for(nodes: list[dict[str, Any]], gpus: float) -> float:
    """Default processor cores of a task with ``gpus`` graphics cards."""
    resources = [node["Resources"] for node in nodes if node["Resources"].get("CPU")]
    if gpus:
        shares = [node["CPU"] * gpus / node["GPU"] for node in resources if node.get("GPU")]
        return max(1.0, float(int(min(shares, default=1.0))))
    return max(1.0, min([_MOST_CPUS, *(float(node["CPU"]) for node in resources)]))


def on_node(node: str) -> Any:
    """The scheduling strategy that pins a task to a node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=node, soft=False)
