"""The compression level of a frame, estimated from the headers of its scene.

This is the only estimate of the package: `vs_srcomp.source` and `vs_srcomp.probe` (and mpv's script through it) use it.

The base_q_idx of a single frame does not show how good its picture is. Encoders give key frames a fine quantizer and
the last frames of a pyramid a coarse one, and those copy most of their content from the finer ones: inside a scene the
quality is nearly constant while base_q_idx changes by 60 and more. docs/quantizer.md compares `effective_q_idx` with
other estimators, which are in ``train/estimators.py``.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from vs_srcomp.av1.records import CodedFrame, ShownFrame

LONGEST_STRETCH: Final = 256
"""Largest number of frames that share an estimate."""

_MARGIN: Final = 10.0


def effective_q_idx(coded: Sequence[CodedFrame]) -> float | None:
    """The mean base_q_idx of ``coded`` frames, weighted by their bytes; None if there are no frames.

    Most bytes go to the frames that the others copy from.

    Args:
        coded: All frames coded in one scene, hidden ones included.

    Returns:
        0 to 255: the quantizer index of an intra frame of the same quality.
    """
    if not coded:
        return None
    return sum(frame.base_q_idx * frame.size for frame in coded) / sum(frame.size for frame in coded)


class SceneEstimator:
    """`effective_q_idx` of streams of any length, a frame at a time.

    One estimate holds for a whole scene, because the quality inside it is nearly constant, and a network that changes
    without a cut would be visible. A scene of hours, as live streams have, is divided into stretches of
    `LONGEST_STRETCH` frames. A stretch keeps the estimate of the one before it unless its own differs by more than 10,
    a quarter of the distance between two levels: what can hardly be seen must not alternate.
    """

    def __init__(self) -> None:
        """Start before the first frame of a stream, or before any shown key frame."""
        self._length = 0
        self._coded: list[CodedFrame] = []
        self._shown: list[CodedFrame] = []
        self._kept: float | None = None

    def is_complete(self, following: ShownFrame | None) -> bool:
        """Whether the stretch ends before the frame ``following``, so that `finish` must be called."""
        return self._length == LONGEST_STRETCH or (following is not None and following.starts_scene)

    def add(self, shown: ShownFrame | None) -> None:
        """Add the next frame to the stretch; None for a missing one."""
        self._length += 1
        if shown is None or shown.frame is None:
            return
        if shown.starts_scene:
            self._kept = None
        self._coded += shown.coded
        self._shown.append(shown.frame)

    def finish(self) -> float | None:
        """End the stretch. Returns the estimate for all frames since the last call; None if none of them is known."""
        # A scene may show nothing but frames that were coded before it.
        estimate = effective_q_idx(self._coded or self._shown)
        if estimate is not None and (self._kept is None or abs(estimate - self._kept) > _MARGIN):
            self._kept = estimate
        self._length = 0
        self._coded.clear()
        self._shown.clear()
        return self._kept if estimate is not None else None


def estimates(frames: Iterable[ShownFrame | None]) -> list[float | None]:
    """The effective quantizer index of each of ``frames``, in display order; None where it is unknown."""
    estimator = SceneEstimator()
    found: list[float | None] = []
    length = 0
    for frame in frames:
        if estimator.is_complete(frame):
            found += [estimator.finish()] * length
            length = 0
        estimator.add(frame)
        length += 1
    return found + [estimator.finish()] * length
