"""The processor: cores and instruction sets."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path


def core_count() -> int:
    """Processor cores that this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def ordinary_threads() -> Iterator[None]:
    """Take back the real-time priority that a library gives this process's threads within the block.

    SVT-AV1 gives it to its threads and to the one that starts it, where it may: as root, so in most containers. They
    then starve everything else on the computer, and child processes inherit it.
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
    """Whether integers of 8 bits are multiplied 32 at a time, which is the least that pays against float32."""
    return "avx2" in _usable_flags()


def has_vnni() -> bool:
    """Whether there are instructions for sums of 8-bit products, without which pairs of them are added in 16 bits.

    OpenVINO does not report it: it names INT8 on every processor. Those with AMX have them too.
    """
    return bool(_usable_flags() & {"avx512_vnni", "avx_vnni"})


def has_amx() -> bool:
    """Whether there are matrix units, where bfloat16 costs a small part of float32."""
    return "amx_bf16" in _usable_flags()


def processor_class() -> str:
    """The kind of instructions that networks run with, as oneDNN names it, such as ``"AVX512_CORE_VNNI"``."""
    usable = _usable_flags()
    return next((name for name, flags in reversed(_CLASSES.items()) if flags <= usable), "other")


def usable_classes() -> tuple[str, ...]:
    """`processor_class` and all below it: values of ``ONEDNN_MAX_CPU_ISA`` that mean something here."""
    return tuple(name for name, flags in _CLASSES.items() if flags <= _usable_flags())


_AVX512 = frozenset({"avx2", "avx512f", "avx512bw", "avx512vl", "avx512dq"})

# Names of oneDNN, and what each adds, as Linux names it.
_CLASSES = {
    "AVX2": frozenset({"avx2"}),
    "AVX2_VNNI": frozenset({"avx2", "avx_vnni"}),
    "AVX512_CORE": _AVX512,
    "AVX512_CORE_VNNI": _AVX512 | {"avx512_vnni"},
    "AVX512_CORE_BF16": _AVX512 | {"avx512_vnni", "avx512_bf16"},
    "AVX512_CORE_AMX": _AVX512 | {"avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"},
}
_LIMITED = frozenset().union(*_CLASSES.values())


def _usable_flags() -> frozenset[str]:
    """What the processor has, as far as oneDNN, which computes for OpenVINO, is allowed to use it."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return _flags() - _LIMITED | _flags() & _CLASSES[limit] if limit in _CLASSES else _flags()


@cache
def _flags() -> frozenset[str]:
    try:
        return frozenset(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return frozenset()
