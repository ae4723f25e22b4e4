"""The time that a dry run predicts."""

import pytest
import vapoursynth as vs

from vs_srcomp.batch.dry_run import seconds_a_frame


def _numbered(frames: int) -> vs.VideoNode:
    blank = vs.core.std.BlankClip(width=16, height=16, format=vs.GRAY8, length=frames, keep=True)
    return blank.std.FrameEval(lambda n: blank.std.SetFrameProps(Number=n))


def test_the_start_of_an_encoder_is_no_part_of_the_time_of_a_frame() -> None:
    """Three frames in a minute, most of which is the start, do not make a film of days."""
    seen: list[int] = []

    def seconds_for(clip: vs.VideoNode) -> float:
        seen.extend(frame.props["Number"] for frame in clip.frames(close=True))
        return 60 + 0.25 * float(clip.num_frames)

    assert seconds_a_frame(_numbered(1000), seconds_for) == pytest.approx(0.25)
    assert len(seen) == len(set(seen)), "what was restored before is taken from memory"
    assert min(seen) == 0
    assert max(seen) == 999


@pytest.mark.parametrize("frames", [1, 3, 27])
def test_a_short_clip_is_encoded_whole(frames: int) -> None:
    """Its start counts: it is most of the work."""
    encoded: list[int] = []

    def seconds_for(clip: vs.VideoNode) -> float:
        encoded.append(clip.num_frames)
        return 2 + 0.25 * float(clip.num_frames)

    assert seconds_a_frame(_numbered(frames), seconds_for) * frames == pytest.approx(2 + 0.25 * frames)
    assert encoded == [frames]


def test_a_first_pass_that_takes_longer_is_not_counted() -> None:
    times = iter((9.0, 6.0))
    encoded: list[int] = []

    def seconds_for(clip: vs.VideoNode) -> float:
        encoded.append(clip.num_frames)
        return next(times)

    assert seconds_a_frame(_numbered(100), seconds_for) == 6.0 / encoded[1]
