"""Benchmark of each stage of the pipeline on this machine."""

from vs_srcomp.bench.report import Report, StageReport
from vs_srcomp.bench.run import Settings, bench

__all__ = ["Report", "Settings", "StageReport", "bench"]
