"""The error of the parser: the bytes are not a valid AV1 stream."""


class Av1Error(ValueError):
    """The bytes break the AV1 syntax, or need frames that were never seen.

    Attributes:
        what: What is wrong, in lower case.
        section: Section of the AV1 specification that was being parsed, such as "5.9.15 tile_info".
        bit: Where, as a bit offset into the bytes that were handed in.
    """

    def __init__(self, what: str, section: str, bit: int) -> None:
        super().__init__(what, section, bit)
        self.what = what
        self.section = section
        self.bit = bit

    def __str__(self) -> str:
        return f"{self.what} at byte {self.bit >> 3}, bit {self.bit & 7} ({self.section})"
