"""Timestamps for encoders and muxers."""

from collections.abc import Sequence
from fractions import Fraction


def clock_of(time_base: Fraction) -> Fraction:
    """The unit of timestamps, in seconds, for encoding a stream with this unit.

    It is the stream's own unit or an integer fraction of it, as in FFmpeg's MP4 muxer, so that frames with the same
    timestamp can be spread without delaying later ones.
    """
    while time_base > _COARSEST:
        time_base /= 2
    return time_base


_COARSEST = Fraction(1, 10_000)


def decoding_times(shown: Sequence[int]) -> list[int]:
    """Decoding timestamps for packets with the given presentation timestamps, in decoding order.

    They rise, as muxers require, and are never later than the presentation timestamps. Those of the encoder do not fit
    together at the boundary of two segments if the frame rate varies.
    """
    ordered = sorted(shown)
    rank = {time: number for number, time in enumerate(ordered)}
    delay = max(number - rank[time] for number, time in enumerate(shown))
    ahead = ordered[delay] - ordered[0]
    return [time - ahead for time in ordered[:delay]] + ordered[: len(ordered) - delay]
