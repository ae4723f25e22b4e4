"""What the processor has."""

import os
import sys
from functools import cache
from pathlib import Path


def core_count() -> int:
    """Processor cores that this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_vnni() -> bool:
    """Whether there are instructions for sums of 8-bit products, without which these may overflow.

    OpenVINO itself does not tell: it names INT8 on every processor. Those with AMX have them too.
    """
    return bool(_flags() & {"avx512_vnni", "avx_vnni"})


def has_amx() -> bool:
    """Whether there are matrix units, where bfloat16 costs a small part of float32."""
    return "amx_bf16" in _flags()


@cache
def _flags() -> frozenset[str]:
    try:
        return frozenset(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return frozenset()
