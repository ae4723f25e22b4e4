"""FFmpeg's own reading of AV1 headers, through its trace_headers bitstream filter, as this package's records."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import av
import av.logging
from av.bitstream import BitStreamFilterContext

from vs_srcomp.av1.obu import ObuType, low_overhead_obus
from vs_srcomp.av1.records import CodedFrame, FrameType
from vs_srcomp.av1.state import FrameHeader

_ELEMENT = re.compile(r"(\d+) +(\S+) +(?:([01]+) )?= (-?\d+)")
_NOT_HEADER = {"zero_bit", "trailing_one_bit", "trailing_zero_bit"}


@dataclass
class TracedObu:
    """One OBU as trace_headers prints it."""

    fields: dict[str, int] = field(default_factory=dict)
    """Every syntax element, from the OBU header on; those that are inferred are not printed."""
    header_bits: int = 0
    """Bits of the frame header, without alignment and trailing bits."""
    size: int = 0
    """Bytes, the OBU header included."""

    @property
    def type(self) -> int:
        return self.fields["obu_type"]


class Tracer:
    """A stream on its way through trace_headers."""

    def __init__(self) -> None:
        self._filter = BitStreamFilterContext("trace_headers", "av1")
        self.refusal = ""
        """Why FFmpeg refused the latest unit that it did."""

    def replay(self, unit: bytes) -> None:
        """Feed a unit that has been traced before."""
        self._filter.filter(av.Packet(_without_metadata(unit)))

    def feed(self, unit: bytes) -> list[TracedObu] | None:
        """The OBUs of a unit but for metadata, or None where FFmpeg refuses it."""
        level, skip_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.INFO)
        av.logging.set_skip_repeated(False)
        try:
            with av.logging.Capture() as logs:
                self.replay(unit)
        except av.FFmpegError:
            errors = [message.strip() for severity, _, message in logs if severity <= av.logging.ERROR]
            self.refusal = errors[0] if errors else ""
            return None
        finally:
            av.logging.set_level(level)
            av.logging.set_skip_repeated(skip_repeated)
        return _obus(message for _, name, message in logs if name == "trace_headers")


def _without_metadata(unit: bytes) -> bytes:
    """FFmpeg refuses a unit for the trailing bits of Dolby Vision metadata, which no frame depends on."""
    return b"".join(unit[obu.start : obu.end] for obu in low_overhead_obus(unit) if obu.type != ObuType.METADATA)


def _obus(messages: Iterable[str]) -> list[TracedObu]:
    obus: list[TracedObu] = []
    in_frame_header = False
    start = 0
    for message in messages:
        element = _ELEMENT.match(message)
        if element is None:
            title = message.strip()
            if title == "OBU header":
                obus.append(TracedObu())
            in_frame_header = title == "Frame Header"
            start = -1
            continue
        position, name, bits, value = element.groups()
        end = int(position) + len(bits or "")
        obu = obus[-1]
        obu.fields[name] = int(value)
        if name == "obu_size":
            obu.size = end // 8 + int(value)
        if in_frame_header and name not in _NOT_HEADER:
            if start < 0:
                start = int(position)
            # What is coded in parts is printed once more as a whole, without bits, at the position of its start.
            obu.header_bits = max(obu.header_bits, end - start)
    return obus


@dataclass
class _Slot:
    frame: CodedFrame
    alt_q: tuple[int | None, ...]
    last_active_seg_id: int
    grain: int


class Reference:
    """Follows a traced stream, slot by slot, as simply as can be."""

    def __init__(self) -> None:
        self.sequence: dict[str, int] = {}
        self.slots: dict[int, _Slot] = {}

    def unit(
        self, obus: list[TracedObu], headers: list[FrameHeader]
    ) -> tuple[list[CodedFrame], list[CodedFrame], list[int]]:
        """The coded frames, the shown frames and the header lengths of the coded ones.

        Args:
            obus: What was traced.
            headers: What is under test, for the one thing that a trace lacks: the references that set_frame_refs()
                derives.
        """
        coded: list[CodedFrame] = []
        shown: list[CodedFrame] = []
        bits: list[int] = []
        refs = iter(headers)
        for i, obu in enumerate(obus):
            if obu.type == ObuType.SEQUENCE_HEADER:
                self.sequence = obu.fields
            elif obu.type in (ObuType.FRAME, ObuType.FRAME_HEADER):
                if obu.fields.get("show_existing_frame"):
                    slot = self.slots[obu.fields["frame_to_show_map_idx"]]
                    shown.append(slot.frame)
                    if slot.frame.frame_type == FrameType.KEY:
                        self.slots = dict.fromkeys(range(8), slot)
                    continue
                size = obu.size
                for later in obus[i + 1 :]:
                    if later.type in (ObuType.TILE_GROUP, ObuType.REDUNDANT_FRAME_HEADER):
                        size += later.size
                    elif later.type in (ObuType.FRAME, ObuType.FRAME_HEADER):
                        break
                slot = self._slot(obu.fields, size, next(refs))
                coded.append(slot.frame)
                bits.append(obu.header_bits)
                if slot.frame.show_frame:
                    shown.append(slot.frame)
                for j in range(8):
                    if slot.frame.refresh_frame_flags >> j & 1:
                        self.slots[j] = slot
        return coded, shown, bits

    def _slot(self, f: dict[str, int], size: int, header: FrameHeader) -> _Slot:
        frame_type = FrameType(f.get("frame_type", 0))
        intra = frame_type in (FrameType.KEY, FrameType.INTRA_ONLY)
        if intra:
            refs: tuple[int, ...] = ()
        elif f.get("frame_refs_short_signaling"):
            refs = header.ref_frame_idx
            assert refs[0] == f["last_frame_idx"]
            assert refs[3] == f["golden_frame_idx"]
        else:
            refs = tuple(f[f"ref_frame_idx[{i}]"] for i in range(7))
        width, height = self._size(f, refs)
        alt_q, last = self._segmentation(f, refs)
        base = f["base_q_idx"]
        q = [base if data is None else max(0, min(255, base + data)) for data in alt_q[: last + 1]]
        grain = f.get("apply_grain", 0)
        if f.get("update_grain", 1) == 0:
            grain = self.slots[f["film_grain_params_ref_idx"]].grain
        frame = CodedFrame(
            frame_type=frame_type,
            show_frame=bool(f.get("show_frame", 1)),
            base_q_idx=base,
            min_q_idx=min(q),
            max_q_idx=max(q),
            delta_q_present=bool(f.get("delta_q_present", 0)),
            superres_denom=f["coded_denom"] + 9 if f.get("use_superres") else 8,
            width=width,
            height=height,
            apply_grain=bool(grain),
            references=refs,
            refresh_frame_flags=f.get("refresh_frame_flags", 255),
            size=size,
        )
        return _Slot(frame, alt_q, last, grain)

    def _size(self, f: dict[str, int], refs: tuple[int, ...]) -> tuple[int, int]:
        for i, ref in enumerate(refs):
            if f.get(f"found_ref[{i}]"):
                return self.slots[ref].frame.width, self.slots[ref].frame.height
        source = f if "frame_width_minus_1" in f else self.sequence
        prefix = "frame" if source is f else "max_frame"
        return source[f"{prefix}_width_minus_1"] + 1, source[f"{prefix}_height_minus_1"] + 1

    def _segmentation(self, f: dict[str, int], refs: tuple[int, ...]) -> tuple[tuple[int | None, ...], int]:
        if not f["segmentation_enabled"]:
            return (None,) * 8, 0
        if f.get("segmentation_update_data", 1):
            alt_q = tuple(
                max(-255, f[f"feature_value[{i}][0]"]) if f[f"feature_enabled[{i}][0]"] else None for i in range(8)
            )
            active = [i for i in range(8) if any(f[f"feature_enabled[{i}][{j}]"] for j in range(8))]
            return alt_q, max(active, default=0)
        previous = self.slots[refs[f["primary_ref_frame"]]]
        return previous.alt_q, previous.last_active_seg_id
