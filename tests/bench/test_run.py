"""Which stages are measured, and on what."""

from pathlib import Path

from vs_srcomp.bench.run import Settings, stages_for

DEMO = Path(__file__).parents[2] / "examples" / "demo.mkv"


def test_with_reuse_and_without_the_same_frames_are_measured() -> None:
    with stages_for(Settings(clip=DEMO, only=("file", "no-reuse"))) as (facts, stages):
        assert [stage.kind for stage in stages] == ["file", "no-reuse"]
        assert stages[0].frames == stages[1].frames < facts["frames"]
