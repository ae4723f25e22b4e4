"""A network that follows the model contract, wherever it comes from."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Network:
    """An ONNX file with one input and one output, [N, 1, H, W] float32, and what a backend must know of it.

    Two networks are equal if their files are: everything else follows from the bytes.
    """

    onnx: bytes = field(repr=False, compare=False)
    """The file."""
    sha256: str
    """Of the file, in lower-case hexadecimal."""
    stride: int = field(compare=False)
    """Width and height that the network is given must be multiples of this."""
    scale: int = field(default=1, compare=False)
    """Width and height of the output over those of the input: 1, or 2 for a doubler."""
    receptive_field: int = field(compare=False)
    """Side in input pixels of the square that one output pixel depends on."""

    @property
    def is_doubler(self) -> bool:
        """Whether it takes the small plane instead of the upscaled one."""
        return self.scale == 2
