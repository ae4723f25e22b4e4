"""A network that follows the model contract, wherever it comes from."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Network:
    """An ONNX file with one input and one output, [N, 1, H, W] float32, and what a backend needs of it.

    Two networks are equal if their files are: everything else follows from the bytes.

    One that takes the level, [N] float32, as its second input is not for backends: `vs_srcomp.models.network_at` gives
    what it is at one level.
    """

    onnx: bytes = field(repr=False, compare=False)
    """The file; one that referred to tensors in other files has them in itself."""
    sha256: str
    """Of ``onnx``, in lower-case hexadecimal."""
    ranges: tuple[float, ...] | None = field(default=None, compare=False)
    """The largest magnitude of what each convolution but the first sees, in their order, for 8-bit integers; 0 for one
    that loses too much in them. None if the network has no form in integers."""
    stride: int = field(compare=False)
    """Width and height that the network is given must be multiples of this."""
    scale: int = field(default=1, compare=False)
    """Width and height of the output over those of the input: 1 to 4."""
    receptive_field: int | None = field(compare=False)
    """Side in input pixels of the square around a pixel on which its output depends, its middle within half a pixel
    of the pixel's; None where the whole plane may count, as with global pooling."""
    takes_level: bool = field(default=False, compare=False)
    """Whether it has the second input."""
    made_from: str | None = field(default=None, compare=False)
    """SHA-256 of the network that takes the level, of which this is what it is at one level."""
    name: str | None = field(default=None, compare=False)
    """For people; None for a user's own file."""

    @property
    def enlarges(self) -> bool:
        """Whether it takes the small plane instead of the upscaled one."""
        return self.scale > 1
