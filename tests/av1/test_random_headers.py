"""Random headers, parsed here and by FFmpeg, for syntax that no available encoder writes.

A sequence header with random features (frame ids, decoder model, operating points, ...) is followed by frames whose
headers are random bits, which mean something in most places. Each is cut where this parser says that it ends, and gets
its trailing bits there: FFmpeg insists on finding them where it thinks that the header ends.
"""

import random
from collections import Counter

from vs_srcomp.av1 import Av1Error, Parser
from vs_srcomp.av1.obu import ObuType
from vs_srcomp.av1.state import FrameHeader

from .bitwriter import BitWriter, obu, sequence_header
from .oracle import Reference, Tracer
from .snapshot import attempt, restore, snapshot

_SEQUENCES = 60
_FRAMES = 30
_LONGEST_HEADER = 512
_GOOD_REASONS = ("reference slot", "film grain of an empty", "an intra-only frame", "more than 64")


def test_random_headers(headers: list[FrameHeader]) -> None:
    alike: Counter[str] = Counter()
    for seed in range(_SEQUENCES):
        _compare_sequence(random.Random(seed), headers, alike)
    # FFmpeg refuses some, and so does this parser with good reason; of each kind enough remain.
    assert alike["coded"] > 800
    assert alike["inter"] > 200
    assert alike["switch"] > 15
    assert alike["grain"] > 30
    assert alike["global motion"] > 150
    assert alike["skip mode"] > 8
    assert alike["short signaling"] > 8
    assert alike["size of a reference"] > 20
    assert alike["explicit tiles"] > 400
    assert alike["frame ids"] > 300
    assert alike["decoder model"] > 100
    assert alike["shown again"] > 80
    assert alike["key shown again"] > 40


def _compare_sequence(rng: random.Random, headers: list[FrameHeader], alike: "Counter[str]") -> None:
    features = BitWriter()
    written = sequence_header(features, rng)
    start = obu(ObuType.TEMPORAL_DELIMITER, b"") + obu(ObuType.SEQUENCE_HEADER, features.trailing())
    under_test, tracer, reference = Parser(), Tracer(), Reference()
    accepted: list[bytes] = []
    for _ in range(_FRAMES):
        before = snapshot(under_test)
        if not accepted:
            unit = _frame(rng, under_test, headers, written.shown_key_frame, start)
        elif rng.random() < 0.2:
            shown = BitWriter().f(1, 1).f(3, rng.randrange(8)).noise(rng, written.show_existing_bits)
            unit = obu(ObuType.FRAME_HEADER, shown.trailing())
        else:
            prefix = rng.choice(("0", "0", "001", written.hidden_key_frame))
            unit = _frame(rng, under_test, headers, prefix, b"")
        restore(under_test, before)
        if unit is None:
            continue
        headers.clear()
        got = attempt(under_test, unit)
        if isinstance(got, Av1Error):
            assert got.what.startswith("slot ")  # to be shown, holds nothing showable
            restore(under_test, before)
            continue
        obus = tracer.feed(unit)
        if obus is None:
            assert "trailing" not in tracer.refusal
            assert "zero_bit" not in tracer.refusal
            restore(under_test, before)
            tracer = Tracer()
            for old in accepted:
                tracer.replay(old)
            continue
        accepted.append(unit)
        coded, shown_frames, bits = reference.unit(obus, headers)
        assert [header.header_bits for header in headers] == bits
        assert [frame for record in got.shown for frame in record.coded] + list(got.hidden) == coded
        assert [record.frame for record in got.shown] == shown_frames
        for traced in obus:
            _count(traced.fields, alike)
        alike["key shown again"] += not coded and shown_frames[0].frame_type == 0


def _frame(
    rng: random.Random, under_test: Parser, headers: list[FrameHeader], prefix: str, before: bytes
) -> bytes | None:
    """A frame of random bits after ``prefix``, mostly 0 for every other one; None where it refers to nothing."""
    likely = rng.choice((0.5, 0.15))
    bits = "".join("1" if rng.random() < likely else "0" for _ in range(8 * _LONGEST_HEADER - len(prefix)))
    payload = prefix + bits
    headers.clear()
    outcome = attempt(under_test, before + obu(ObuType.FRAME_HEADER, int(payload, 2).to_bytes(_LONGEST_HEADER)))
    if isinstance(outcome, Av1Error):
        # FFmpeg does not look whether references are there, nor at the rules on intra-only frames and tiles.
        assert outcome.what.startswith(_GOOD_REASONS)
        return None
    header = BitWriter()
    header.bits = payload[: headers[0].header_bits]
    return before + obu(ObuType.FRAME_HEADER, header.trailing()) + obu(ObuType.TILE_GROUP, bytes(8))


def _count(fields: dict[str, int], alike: "Counter[str]") -> None:
    alike["coded"] += "base_q_idx" in fields
    alike["inter"] += fields.get("frame_type") == 1
    alike["switch"] += fields.get("frame_type") == 3
    alike["grain"] += fields.get("apply_grain", 0)
    alike["global motion"] += any(name.startswith("gm_params") for name in fields)
    alike["skip mode"] += "skip_mode_present" in fields
    alike["short signaling"] += fields.get("frame_refs_short_signaling", 0)
    alike["size of a reference"] += any(fields.get(f"found_ref[{i}]", 0) for i in range(7))
    alike["explicit tiles"] += fields.get("uniform_tile_spacing_flag") == 0
    alike["frame ids"] += "current_frame_id" in fields
    alike["decoder model"] += "buffer_removal_time_present_flag" in fields
    alike["shown again"] += fields.get("show_existing_frame", 0)
