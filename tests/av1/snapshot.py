"""Parsing a unit on trial, and restoring the parser's state."""

from vs_srcomp.av1 import Av1Error, Parser, Unit
from vs_srcomp.av1.sequence import SequenceHeader
from vs_srcomp.av1.state import Slots

Snapshot = tuple[SequenceHeader | None, bytes, Slots]


def snapshot(parser: Parser) -> Snapshot:
    """The state of a parser."""
    state = parser._state
    return state.sequence, state.sequence_payload, list(state.slots)


def restore(parser: Parser, taken: Snapshot) -> None:
    """Undo what a parser did since; a snapshot can be used many times."""
    state = parser._state
    state.sequence, state.sequence_payload = taken[:2]
    state.slots = list(taken[2])


def attempt(parser: Parser, data: bytes) -> Unit | Av1Error:
    """Parse a unit, or return the error."""
    try:
        return parser.parse(data)
    except Av1Error as error:
        return error
