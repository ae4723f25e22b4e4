"""One HTML file to compare results by eye, with scores if there is a reference."""

from vs_srcomp.compare.inputs import Side, candidate_from_file, made_candidates
from vs_srcomp.compare.report import LARGEST_FILE, Options, missing_packages, write_report
from vs_srcomp.compare.scores import METRICS, metrics_there

__all__ = [
    "LARGEST_FILE",
    "METRICS",
    "Options",
    "Side",
    "candidate_from_file",
    "made_candidates",
    "metrics_there",
    "missing_packages",
    "write_report",
]
