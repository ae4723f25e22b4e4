"""The processor: cores and instruction sets."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from math import ceil
from pathlib import Path

from vs_srcomp.control_groups import group_settings

IDLE_LOAD = 0.5
"""Above this load average, other programs are at work."""


def core_count() -> int:
    """Processor cores that this process may use: in a container, no more than it may keep busy."""
    quotas = group_settings("cpu", "cpu.max", "cpu.cfs_quota_us cpu.cfs_period_us")
    return min([_affine_cores(), *(cores for quota in quotas if (cores := cores_of(quota)))])


def cores_of(quota: str) -> int | None:
    """The cores that ``"QUOTA PERIOD"`` of a control group is enough for, in microseconds; None for no limit."""
    match quota.split():
        case time, period if time.isdecimal() and int(time) and int(period):
            return ceil(int(time) / int(period))
    return None


def _affine_cores() -> int:
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def ordinary_threads() -> Iterator[None]:
    """Undo the real-time priority that a library sets for this process's threads in the block.

    If it may (as root, so in most containers), SVT-AV1 sets it for its threads and the one that starts it. They would
    starve everything else on the computer, and child processes inherit it.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before = _realtime_threads()
    try:
        yield
    finally:
        for thread in _realtime_threads() - before:
            with suppress(OSError):  # It may have ended.
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _realtime_threads() -> set[int]:
    found = set()
    for thread in (int(path.name) for path in Path("/proc/self/task").iterdir()):
        with suppress(OSError):  # It may have ended.
            if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(thread)
    return found


def has_avx2() -> bool:
    """Whether 8-bit integers are multiplied 32 at a time, the least that is faster than float32."""
    return "avx2" in _usable_flags()


def has_vnni() -> bool:
    """Whether there are instructions for sums of 8-bit products; without them, pairs of products are added in 16 bits.

    OpenVINO does not report it: it lists INT8 for every processor. Processors with AMX have them, too.
    """
    return bool(_usable_flags() & {"avx512_vnni", "avx_vnni"})


def has_bf16() -> bool:
    """Whether there may be units for bfloat16: OpenVINO's own list does not regard ``ONEDNN_MAX_CPU_ISA``, with which
    it would emulate them, at a third of the speed of float32."""
    return not _flags() or bool(_usable_flags() & {"avx512_bf16", "amx_bf16"})


def has_amx() -> bool:
    """Whether there are matrix units, for which bfloat16 is much cheaper than float32."""
    return "amx_bf16" in _usable_flags()


def processor_class() -> str:
    """oneDNN's name of the instruction set that networks run with, such as ``"AVX512_CORE_VNNI"``."""
    usable = _usable_flags()
    return next((name for name, flags in reversed(_CLASSES.items()) if flags <= usable), "other")


def usable_classes() -> tuple[str, ...]:
    """`processor_class` and all below it: the useful values of ``ONEDNN_MAX_CPU_ISA`` here."""
    return tuple(name for name, flags in _CLASSES.items() if flags <= _usable_flags())


_AVX512 = frozenset({"avx2", "avx512f", "avx512bw", "avx512vl", "avx512dq"})

# oneDNN's names, and the flags in Linux that each adds.
_CLASSES = {
    "AVX2": frozenset({"avx2"}),
    "AVX2_VNNI": frozenset({"avx2", "avx_vnni"}),
    "AVX512_CORE": _AVX512,
    "AVX512_CORE_VNNI": _AVX512 | {"avx512_vnni"},
    "AVX512_CORE_BF16": _AVX512 | {"avx512_vnni", "avx512_bf16"},
    "AVX512_CORE_AMX": _AVX512 | {"avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"},
}
_LIMITED = frozenset().union(*_CLASSES.values())

# oneDNN's further limits, as those of the classes above that run the same code here; any other value is no limit.
_LIMITS = _CLASSES | {
    "SSE41": frozenset[str](),
    "AVX": frozenset[str](),
    "AVX2_VNNI_2": _CLASSES["AVX2_VNNI"],
    "AVX512_CORE_FP16": _CLASSES["AVX512_CORE_BF16"],
    "AVX10_1_512": _CLASSES["AVX512_CORE_BF16"],
}


def _usable_flags() -> frozenset[str]:
    """Flags of the processor that oneDNN, which computes for OpenVINO, may use."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return _flags() - _LIMITED | _flags() & _LIMITS[limit] if limit in _LIMITS else _flags()


@cache
def _flags() -> frozenset[str]:
    try:
        return frozenset(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return frozenset()
