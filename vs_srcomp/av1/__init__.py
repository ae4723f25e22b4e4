"""AV1 headers: the quantizer, size and film grain of every frame of a stream, without decoding it.

Structured after the AV1 Bitstream & Decoding Process Specification, version 1.0.0 with errata 1; functions name the
sections that they implement.
"""

from vs_srcomp.av1.errors import Av1Error
from vs_srcomp.av1.parser import Parser, Unit
from vs_srcomp.av1.records import CodedFrame, FrameType, ShownFrame

__all__ = [
    "Av1Error",
    "CodedFrame",
    "FrameType",
    "Parser",
    "ShownFrame",
    "Unit",
]
