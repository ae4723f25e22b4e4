"""Estimators of the compression level that `quantizer_study` compares with the one in `vs_srcomp.av1.estimate`.

All estimate the base_q_idx, 0 to 255, of an intra frame of the same quality.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp2, sqrt
from statistics import fmean, median
from typing import Final

from vs_srcomp.av1.estimate import estimates
from vs_srcomp.av1.records import CodedFrame, FrameType, ShownFrame
from vs_srcomp.av1.state import NUM_REF_FRAMES

Estimator = Callable[[Sequence[ShownFrame]], list[float]]
"""Maps the frame records of a clip to one effective base_q_idx each.

A frame that could not be parsed gets the estimate of the frame before it, or at the start that of the first parsed
one. Raises ValueError if no frame could be parsed.
"""

# Fitted to encodes by libaom and SVT-AV1, so that all-intra encodes at the estimate have the same PSNR.
_Q_IDX_PER_HALVING: Final = 45.0
"""Increase of base_q_idx that halves the size of an intra frame."""
_WEIGHT_OF_NEW: Final = 1.5

_WINDOW_RADIUS: Final = 8


def scenes(frames: Sequence[ShownFrame]) -> list[range]:
    """Cut a clip at its key frames. Returns the indices of each scene; the first may lack its key frame."""
    starts = [i for i, frame in enumerate(frames) if i == 0 or frame.starts_scene]
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(frames)], strict=True)]


def own_q(frames: Sequence[ShownFrame]) -> list[float]:
    """The level in each frame's own header. Correct if all frames are coded alike: fixed quantizer, low delay."""
    return _filled(None if shown.frame is None else shown.frame.base_q_idx for shown in frames)


def clip_median(frames: Sequence[ShownFrame]) -> list[float]:
    """The median of all shown frames: an encoder's crf or cq-level times 4, within a step or two."""
    known = [shown.frame.base_q_idx for shown in frames if shown.frame is not None]
    return _filled([median(known) if known else None] * len(frames))


def byte_weighted(frames: Sequence[ShownFrame]) -> list[float]:
    """The package's estimator: the mean over a scene's coded frames, weighted by their bytes."""
    return _filled(estimates(frames))


def propagated(frames: Sequence[ShownFrame]) -> list[float]:
    """The quantizer that reaches each frame through its references.

    A key frame, or any frame without references, has its own q. Others mix their own with the mean of their distinct
    references, with the weight w = min(1, 1.5 sqrt(x)) for their own, where x is their size over that of the latest
    key frame at the same quantizer.
    """
    return _filled(_propagated(frames))


def propagated_window(frames: Sequence[ShownFrame]) -> list[float]:
    """:func:`propagated`, averaged over eight frames on either side in the same scene."""
    values = propagated(frames)
    return [
        fmean(values[max(i - _WINDOW_RADIUS, scene.start) : min(i + _WINDOW_RADIUS + 1, scene.stop)])
        for scene in scenes(frames)
        for i in scene
    ]


def propagated_scene(frames: Sequence[ShownFrame]) -> list[float]:
    """:func:`propagated`, averaged over each scene."""
    values = propagated(frames)
    return [mean for scene in scenes(frames) for mean in [fmean(values[scene.start : scene.stop])] * len(scene)]


ESTIMATORS: Final[Mapping[str, Estimator]] = {
    estimator.__name__: estimator
    for estimator in (own_q, clip_median, byte_weighted, propagated, propagated_window, propagated_scene)
}
"""All estimators by name."""


def _filled(values: Iterable[float | None]) -> list[float]:
    """Fill unknown frames with the value before them, or at the start with the first known one."""
    values = list(values)
    latest = next((value for value in values if value is not None), None)
    if latest is None:
        raise ValueError("no frame has a header that could be parsed")
    filled = []
    for value in values:
        if value is not None:
            latest = value
        filled.append(latest)
    return filled


class _Held:
    """A frame in a reference slot, compared by identity."""

    __slots__ = ("q",)

    def __init__(self, q: float) -> None:
        self.q = q


def _propagated(frames: Sequence[ShownFrame]) -> list[float | None]:
    """:func:`propagated`, None for unknown frames, which also clear the reference slots, as in the parser."""
    slots: list[_Held | None] = [None] * NUM_REF_FRAMES
    key: CodedFrame | None = None
    values: list[float | None] = []
    for shown in frames:
        if shown.frame is None:
            slots = [None] * NUM_REF_FRAMES
            values.append(None)
            continue
        latest = _Held(shown.frame.base_q_idx)
        for frame in shown.coded:
            if frame.frame_type == FrameType.KEY:
                key = frame
            latest = _Held(_mixed(frame, {held for i in frame.references if (held := slots[i]) is not None}, key))
            slots = [latest if frame.refresh_frame_flags >> i & 1 else held for i, held in enumerate(slots)]
        if shown.existing_slot is not None:
            latest = slots[shown.existing_slot] or _Held(shown.frame.base_q_idx)
            if shown.starts_scene:
                slots = [latest] * NUM_REF_FRAMES
        values.append(latest.q)
    return values


def _mixed(frame: CodedFrame, references: set[_Held], key: CodedFrame | None) -> float:
    """The effective quantizer of a coded frame."""
    q = frame.base_q_idx
    if not references or key is None:
        return q
    key_size_at_q = key.size * exp2((key.base_q_idx - q) / _Q_IDX_PER_HALVING)
    weight = min(1.0, _WEIGHT_OF_NEW * sqrt(frame.size / key_size_at_q))
    return weight * q + (1 - weight) * fmean(held.q for held in references)
