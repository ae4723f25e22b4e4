"""Errors that users of train can do something about; those of wrong values are ValueErrors."""


class EncoderError(RuntimeError):
    """FFmpeg failed to encode. The text says what, and what FFmpeg said."""

    @classmethod
    def of(cls, what: str, said: bytes) -> "EncoderError":
        """The error for ``what``, which was to be encoded; FFmpeg wrote ``said`` to standard error."""
        return cls(f"{what}: the encoder failed: {said.decode(errors='replace').strip()}")


class DivergedError(RuntimeError):
    """The loss of a run became infinite or not a number."""
