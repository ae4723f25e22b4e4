"""The process that measures one stage: a line of JSON comes in, and one goes out.

Each stage has a process of its own, so that processor time and memory are the stage's own, and so that two programs'
copies of one library do not meet. Only one of them works at a time.
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
    # What libraries print must not be taken for an answer.
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
    """The most memory that this process has had in use."""
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
