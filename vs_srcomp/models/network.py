"""A network that follows the model contract."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Network:
    """An ONNX file with one input and one output, [N, 1, H, W] float32, and the facts that a backend needs.

    Two networks are equal if their files, ranges and names are: everything else follows from the bytes.

    Backends do not take networks with the level, [N] float32, as a second input: `vs_srcomp.models.network_at` fixes
    the level first.
    """

    onnx: bytes = field(repr=False, compare=False)
    """The file, with external tensors included."""
    sha256: str
    """SHA-256 of ``onnx``, in lower-case hexadecimal."""
    ranges: tuple[float, ...] | None = None
    """Largest magnitude of the input of each convolution but the first, in order, for 8-bit integers; 0 for a layer
    that would lose too much. None if the network has no 8-bit form."""
    stride: int = field(compare=False)
    """Input width and height must be multiples of it."""
    scale: int = field(default=1, compare=False)
    """Output size over input size: 1 to 4."""
    receptive_field: int | None = field(compare=False)
    """Side in input pixels of the square that an output pixel depends on, centred on it to half a pixel; None if the
    whole plane may count, as with global pooling."""
    takes_level: bool = field(default=False, compare=False)
    """Whether the level is its second input."""
    made_from: str | None = field(default=None, compare=False)
    """SHA-256 of the network that takes the level, if this is that network at one level."""
    name: str | None = None
    """Name in messages; None for a user's own file."""
