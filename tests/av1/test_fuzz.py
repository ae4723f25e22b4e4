"""Damaged units are parsed or refused with an `Av1Error`, in bounded time."""

import random
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from vs_srcomp.av1 import Av1Error, Parser

from .snapshot import Snapshot, attempt, restore, snapshot

_MUTANTS = 20_000
_MADE = (
    "aom-crf",
    "aom-film-grain-444",
    "aom-aq-variance",
    "aom-tile-groups",
    "svt-s-frames",
    "svt-superres",
    "svt-resize",
)


def _mutate(rng: random.Random, unit: bytes, other: bytes) -> bytes:
    """Flip bits, mostly where the headers are; cut; or continue with another unit."""
    kind = rng.randrange(4)
    if kind == 0:
        return unit[: rng.randrange(min(len(unit), 64) + 1)]
    if kind == 1:
        return unit[: rng.randrange(min(len(unit), 64) + 1)] + other[rng.randrange(min(len(other), 64) + 1) :]
    data = bytearray(unit)
    reach = 8 * min(len(data), 40 if kind == 2 else len(data))
    for _ in range(rng.randrange(1, 9)):
        bit = rng.randrange(reach)
        data[bit >> 3] ^= 0x80 >> (bit & 7)
    return bytes(data)


def test_mutated_units_are_parsed_or_refused(made: Callable[[str], Path]) -> None:
    rng = random.Random(1)
    parser = Parser()
    cases: list[tuple[bytes, Snapshot]] = []
    for name in _MADE:
        with av.open(str(made(name))) as container:
            stream = container.streams.video[0]
            parser = Parser(stream.codec_context.extradata or b"")
            for packet in container.demux(stream):
                if packet.size:
                    cases.append((bytes(packet), snapshot(parser)))
                    parser.parse(bytes(packet))
    parsed = refused = 0
    for _ in range(_MUTANTS):
        unit, before = rng.choice(cases)
        restore(parser, before)
        mutant = _mutate(rng, unit, rng.choice(cases)[0])
        outcome = attempt(parser, mutant)
        if isinstance(outcome, Av1Error):
            refused += 1
            assert 0 <= outcome.bit <= 8 * len(mutant)
        else:
            parsed += 1
    assert parsed > _MUTANTS // 10
    assert refused > _MUTANTS // 10


def test_noise_is_refused_or_ignored() -> None:
    rng = random.Random(2)
    for _ in range(2000):
        data = rng.randbytes(rng.randrange(200))
        for parser in (Parser(), Parser(extradata=data)):
            outcome = attempt(parser, data)
            # Without a sequence header there are no frames.
            assert isinstance(outcome, Av1Error) or outcome.shown == ()


@pytest.mark.parametrize("size", [10, 1 << 16])
def test_hostile_lengths(size: int) -> None:
    """Thousands of empty OBUs, and a size that never ends."""
    assert Parser().parse(b"\x12\x00" * size).shown == ()
    with pytest.raises(Av1Error):
        Parser().parse(b"\x12" + b"\xff" * size)
