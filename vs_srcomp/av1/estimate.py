"""How strongly a frame was compressed: from the headers of a clip to one effective base_q_idx a shown frame.

What a header says is not what a picture looks like. Encoders give key frames a fine quantizer and the last frames of a
pyramid a coarse one, and those copy most of what they show from the finer ones: inside a scene the quality is nearly
flat while base_q_idx jumps by 60 and more. The estimators here differ in how they make up for that. All of them are
on the scale of base_q_idx, 0 to 255, as the quantizer of an intra frame of the same quality.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp2, sqrt
from statistics import fmean, median
from typing import Final

from vs_srcomp.av1.records import CodedFrame, FrameType, ShownFrame
from vs_srcomp.av1.state import NUM_REF_FRAMES
from vs_srcomp.geometry import nearest_quantizer

Estimator = Callable[[Sequence[ShownFrame]], list[float]]
"""From the records of a clip to one effective base_q_idx for each.

A frame that could not be parsed has the estimate of the one before it, or at the start of the first that could.
Raises ValueError where none could.
"""

_Q_IDX_PER_QUANTIZER: Final = 4

# Fitted to encodes by libaom and SVT-AV1, so that all-intra encodes at the estimate have the same PSNR.
_Q_IDX_PER_HALVING: Final = 45.0
"""How much base_q_idx rises while the size of an intra frame halves."""
_WEIGHT_OF_NEW: Final = 1.5

_WINDOW_RADIUS: Final = 8

_STRETCH: Final = 256
_MARGIN: Final = 10.0


def scenes(frames: Sequence[ShownFrame]) -> list[range]:
    """Cut a clip at its key frames: the indices of each scene, in order; the first may lack its key frame."""
    starts = [i for i, frame in enumerate(frames) if i == 0 or frame.starts_scene]
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(frames)], strict=True)]


def own_q(frames: Sequence[ShownFrame]) -> list[float]:
    """What each frame's own header says. Right where all frames are coded alike: fixed quantizer, low delay."""
    return _filled(None if shown.frame is None else shown.frame.base_q_idx for shown in frames)


def clip_median(frames: Sequence[ShownFrame]) -> list[float]:
    """The median of all shown frames, for each: an encoder's crf or cq-level times 4, within a step or two."""
    known = [shown.frame.base_q_idx for shown in frames if shown.frame is not None]
    return _filled([median(known) if known else None] * len(frames))


def byte_weighted(frames: Sequence[ShownFrame]) -> list[float]:
    """The mean over a scene's coded frames, hidden ones included, weighted by their bytes.

    Most bytes go to the frames that the others copy from.
    """
    return _by_scene(frames, lambda scene: _weighted_mean(_coded_in(scene)))


def propagated(frames: Sequence[ShownFrame]) -> list[float]:
    """The quantizer that reaches each frame through its references.

    A key frame, and any frame without references, has its own q. Another one mixes its own with the mean of its
    distinct references, by how much of it is new: w = min(1, 1.5 sqrt(x)), where x is its size over that of the
    latest key frame, had that been coded at the same quantizer.
    """
    return _filled(_propagated(frames))


def propagated_window(frames: Sequence[ShownFrame]) -> list[float]:
    """:func:`propagated`, averaged over the eight frames to either side in the same scene."""
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
"""Every estimator by its name."""


def choose_quantizers(frames: Sequence[ShownFrame], estimates: Sequence[float], *, margin: float = 5.0) -> list[int]:
    """Choose for each frame the compression level, of those with models, that fits its estimate.

    A scene starts with the level nearest to its first estimate: a cut hides any change, and what a scene looks like
    does not depend on what came before. Inside it the level changes once at most, where an estimate lies ``margin``
    beyond the threshold to another level.

    Args:
        frames: The records of a clip.
        estimates: The effective base_q_idx of each.
        margin: Hysteresis on the scale of base_q_idx.

    Returns:
        A member of ``geometry.QUANTIZERS`` for each frame.
    """
    levels: list[int] = []
    for scene in scenes(frames):
        first = level = _nearest(estimates[scene.start])
        for i in scene:
            if level == first and not _nearest(estimates[i] - margin) <= level <= _nearest(estimates[i] + margin):
                level = _nearest(estimates[i])
            levels.append(level)
    return levels


class SceneJudge:
    """:func:`byte_weighted` for streams of any length, a frame at a time.

    One estimate holds for a whole scene, because inside it the quality is nearly flat, and a network that changes
    without a cut would be seen. A scene of hours, as live streams have, is judged in stretches of 256 frames. Each
    keeps the estimate of the one before it unless its own lies more than 10 away, a quarter of the way from one
    network's level to the next: a value beside the threshold between two must not sway about it.
    """

    def __init__(self) -> None:
        """Start before the first frame, or at any key frame that is shown."""
        self._length = 0
        self._coded: list[CodedFrame] = []
        self._shown: list[CodedFrame] = []
        self._held: float | None = None

    def begins_stretch(self, shown: ShownFrame | None) -> bool:
        """Whether the next frame belongs to another stretch than the frames before it: it is time to settle those."""
        return self._length == _STRETCH or (shown is not None and shown.starts_scene)

    def follow(self, shown: ShownFrame | None) -> None:
        """Take the next frame, None for one that is missing."""
        self._length += 1
        if shown is None or shown.frame is None:
            return
        if shown.starts_scene:
            self._held = None
        self._coded += shown.coded
        self._shown.append(shown.frame)

    def settle(self) -> float | None:
        """The effective base_q_idx of the frames since the last call, None where none of them is known."""
        # A scene may show nothing but frames that were coded before it.
        estimate = _weighted_mean(self._coded or self._shown)
        if estimate is not None and (self._held is None or abs(estimate - self._held) > _MARGIN):
            self._held = estimate
        self._length = 0
        self._coded.clear()
        self._shown.clear()
        return self._held if estimate is not None else None


def _nearest(q_idx: float) -> int:
    return nearest_quantizer(q_idx / _Q_IDX_PER_QUANTIZER)


def _filled(values: Iterable[float | None]) -> list[float]:
    """Give unknown frames the value before them, or at the start the first there is."""
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


def _by_scene(frames: Sequence[ShownFrame], estimate: Callable[[Sequence[ShownFrame]], float | None]) -> list[float]:
    """One estimate for each scene, given to all of its frames."""
    return _filled(
        value for scene in scenes(frames) for value in [estimate(frames[scene.start : scene.stop])] * len(scene)
    )


def _coded_in(scene: Sequence[ShownFrame]) -> list[CodedFrame]:
    """The frames coded in a scene; where all it shows was coded before it, as a key frame can be, those shown."""
    coded = [frame for shown in scene for frame in shown.coded]
    return coded or [shown.frame for shown in scene if shown.frame is not None]


def _weighted_mean(coded: Sequence[CodedFrame]) -> float | None:
    if not coded:
        return None
    return sum(frame.base_q_idx * frame.size for frame in coded) / sum(frame.size for frame in coded)


class _Held:
    """A frame in a reference slot, told apart from equal ones by its identity."""

    __slots__ = ("q",)

    def __init__(self, q: float) -> None:
        self.q = q


def _propagated(frames: Sequence[ShownFrame]) -> list[float | None]:
    """:func:`propagated`, None for unknown frames, which also empty the reference slots as the parser does."""
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
