"""The process that measures one stage: it reads a line of JSON and answers with one.

Each stage has its own process, so that processor time and memory are those of the stage, and copies of the same library
do not conflict. Only one process works at a time.
"""

import json
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any


def main() -> None:
    """Get a stage ready, then measure it as often as asked, until standard input ends."""
    # Libraries must not print to the pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests = (json.loads(line) for line in sys.stdin)

    def answer(**facts: Any) -> None:
        answers.write(json.dumps(facts) + "\n")
        answers.flush()

    import vapoursynth as vs

    from vs_srcomp.bench.runners import runner_for
    from vs_srcomp.bench.stage import WARM_UP, Stage
    from vs_srcomp.errors import what_and_remedy
    from vs_srcomp.reuse import counts

    try:
        run = runner_for(Stage(**next(requests)))
        run(WARM_UP)
        answer()
        for seconds in requests:
            before, seen = time.process_time(), replace(counts)
            frames, took = run(seconds)
            pixels = counts.pixels - seen.pixels
            answer(
                frames=frames,
                seconds=took,
                cpu=time.process_time() - before,
                peak_mb=_peak_mb(),
                reused=(counts.reused - seen.reused) / pixels if pixels else None,
            )
    except vs.Error as failure:
        answer(error=what_and_remedy(failure))


def _peak_mb() -> float:
    """Peak memory of this process."""
    status = Path("/proc/self/status")
    if status.is_file():
        # The other counter begins with the memory of the process that started this one.
        for line in status.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
