"""Coded frames made by hand, for estimators."""

from vs_srcomp.av1 import CodedFrame, FrameType


def coded(
    q: int,
    size: int,
    *,
    key: bool = False,
    references: tuple[int, ...] = (),
    refresh: int = 0,
    show: bool = True,
) -> CodedFrame:
    """A coded frame of 64x64; a key frame that is shown takes all slots."""
    return CodedFrame(
        frame_type=FrameType.KEY if key else FrameType.INTER,
        show_frame=show,
        base_q_idx=q,
        min_q_idx=q,
        max_q_idx=q,
        delta_q_present=False,
        superres_denom=8,
        width=64,
        height=64,
        apply_grain=False,
        references=references,
        refresh_frame_flags=255 if key and show else refresh,
        size=size,
    )
