"""How fast each stage of the pipeline is on this machine, measured side by side."""

from vs_srcomp.bench.report import Report, StageReport
from vs_srcomp.bench.run import Settings, bench

__all__ = ["Report", "Settings", "StageReport", "bench"]
