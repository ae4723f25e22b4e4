"""Records of each coded and each shown frame: small and immutable, as a film has some 200,000 of them."""

from enum import IntEnum
from typing import NamedTuple


class FrameType(IntEnum):
    """frame_type, section 6.8.2."""

    KEY = 0
    INTER = 1
    INTRA_ONLY = 2
    SWITCH = 3


class CodedFrame(NamedTuple):
    """A frame as the encoder coded it, shown or hidden."""

    frame_type: FrameType
    show_frame: bool
    """Shown by its own header; a hidden frame may be shown later, by show_existing_frame."""
    base_q_idx: int
    """0..255; 0 can mean lossless. libaom's quantizer times 4."""
    min_q_idx: int
    """Lowest quantizer index of a segment, before the deltas of superblocks."""
    max_q_idx: int
    """Highest quantizer index of a segment; equal to ``base_q_idx``, as the lowest, without segmentation by q."""
    delta_q_present: bool
    """Superblocks change the quantizer; by how much is coded inside the tiles, not in headers."""
    superres_denom: int
    """9..16 where the frame is coded at 8 / denom of its width, 8 where at its full width."""
    width: int
    """UpscaledWidth: what a decoder puts out, after superres, in luma samples."""
    height: int
    apply_grain: bool
    """A decoder is to add film grain."""
    references: tuple[int, ...]
    """The slots, 0..7, that inter prediction may use, LAST to ALTREF; empty for intra frames."""
    refresh_frame_flags: int
    """Bit i: slot i holds this frame afterwards."""
    size: int
    """Bytes of its OBUs, headers included."""


class ShownFrame(NamedTuple):
    """A frame that a decoder puts out."""

    pts: int | None
    """Presentation time of its packet in units of the stream's time base."""
    frame: CodedFrame | None
    """What is shown; None where the headers could not be parsed, as before the first key frame."""
    existing_slot: int | None
    """The slot that show_existing_frame shows, or None where the frame itself has show_frame."""
    coded: tuple[CodedFrame, ...]
    """Every frame coded since the one shown before, hidden ones included, in order of decoding."""

    @property
    def starts_scene(self) -> bool:
        """A key frame is shown, so that nothing after it refers to anything before it."""
        return self.frame is not None and self.frame.frame_type == FrameType.KEY
