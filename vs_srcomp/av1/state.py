"""The eight reference slots: sections 7.20 and 7.21."""

from typing import Final, NamedTuple

from vs_srcomp.av1.records import CodedFrame
from vs_srcomp.av1.sequence import SequenceHeader

NUM_REF_FRAMES: Final = 8
ALL_FRAMES: Final = (1 << NUM_REF_FRAMES) - 1

GmParams = tuple[tuple[int, ...], ...]
"""gm_params of LAST_FRAME to ALTREF_FRAME, six numbers each."""


class FrameSize(NamedTuple):
    """What frame_size() and superres_params() say, in luma samples."""

    upscaled_width: int
    frame_width: int
    """The coded width, before superres."""
    frame_height: int
    superres_denom: int


class Segmentation(NamedTuple):
    """segmentation_params(), section 5.9.14, as far as quantizers depend on it."""

    enabled: int
    alt_q: tuple[int | None, ...]
    """FeatureData[i][SEG_LVL_ALT_Q] of the eight segments, None where the feature is off."""
    last_active_seg_id: int


class FrameHeader(NamedTuple):
    """uncompressed_header(), section 5.9.2: what later headers and the records need, under the specification's names.

    A frame shown by show_existing_frame has none of its own: it shows a slot.
    """

    frame_type: int
    show_frame: int
    showable_frame: int
    error_resilient_mode: int
    order_hint: int
    primary_ref_frame: int
    refresh_frame_flags: int
    ref_frame_idx: tuple[int, ...]
    size: FrameSize
    base_q_idx: int
    segmentation: Segmentation
    segment_q_idx: tuple[int, ...]
    """get_qindex(1, i) of each segment that blocks can have."""
    delta_q_present: int
    gm_params: GmParams
    apply_grain: int
    header_bits: int
    """Length of the header, without the OBU header, byte alignment and trailing bits."""


class Slot(NamedTuple):
    """What a reference slot holds."""

    header: FrameHeader
    frame: CodedFrame


Slots = list[Slot | None]
"""The eight reference slots; None is RefValid equal to 0."""


class State:
    """All that one temporal unit leaves behind for the next."""

    __slots__ = ("sequence", "sequence_payload", "slots")

    def __init__(self) -> None:
        """Know nothing: no sequence header, eight empty slots."""
        self.sequence: SequenceHeader | None = None
        self.sequence_payload = b""
        self.slots: Slots = [None] * NUM_REF_FRAMES

    def forget_frames(self) -> None:
        """Empty the slots: decoding starts again at the next key frame."""
        self.slots = [None] * NUM_REF_FRAMES

    def update(self, slot: Slot, refresh_frame_flags: int) -> None:
        """Reference frame update process, section 7.20.

        For a key frame shown by show_existing_frame, the loading process of section 7.21 comes before it; as a slot
        holds all that is loaded, ``slot`` then simply is the one shown.
        """
        if refresh_frame_flags == ALL_FRAMES:
            self.slots = [slot] * NUM_REF_FRAMES
        else:
            for i in range(NUM_REF_FRAMES):
                if refresh_frame_flags >> i & 1:
                    self.slots[i] = slot
