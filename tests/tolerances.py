"""Tolerances of comparisons, with their reasons. Without one of these, results must be equal."""

from typing import TypedDict


class Closeness(TypedDict):
    """Arguments of numpy's and PyTorch's comparisons."""

    rtol: float
    atol: float


# Codes of integer planes

ONE_CODE = 1
"""Float32 sums in another order: a value near a half may be rounded to the other neighbour."""

HALF_CODE = 0.5
"""An integer against the exact value before rounding."""

TWO_CODES = 2
"""Two rounded results of sums in another order; or half precision in 8 bits."""

# Samples between 0 and 1

FLOAT32_SUMS: Closeness = {"rtol": 1e-4, "atol": 2e-5}
"""A whole network in float32 by two libraries: thousands of products per sample, added in another order."""

FLOAT32_TRAINED: Closeness = {"rtol": 1e-3, "atol": 1e-4}
"""The same for networks with residual blocks or many layers, whose features are larger than the picture."""

FLOAT32_FOLDED: Closeness = {"rtol": 0, "atol": 2e-6}
"""Scales that were folded into the weights of a small network: one rounding per weight, far below a code of 16 bits."""

FLOAT32_CONSTANTS: Closeness = {"rtol": 1e-5, "atol": 1e-5}
"""Constants of a graph that were folded in float32."""

HALF_PRECISION: Closeness = {"rtol": 0, "atol": 4e-3}
"""Sixteen-bit numbers have 11 significant bits, or 8 in bfloat16: a code of 8 bits is 3.9e-3."""

# Scores

PSNR_DB = 0.01
"""Other processors add in another order, which rounds some pixels to the neighbouring code."""

PSNR_INT8_DB = 0.06
"""8-bit weights are coarser on processors without VNNI, whose sums of two products must fit 16 bits. One of the
pictures that are measured again differs by 0.044."""

SSIM = 5e-4
"""As `PSNR_DB`."""

BITS_PER_PIXEL = 1e-4
"""The tables show three digits."""

MEAN_DRIFT_CODES = 0.05
"""The mean residual of a network on new pictures, after export has removed it for the validation pictures."""

PRINTED_DB = 0.05
"""Papers print two digits, and leave the resize and the border to the reader."""

SCORE_DIGITS = 1e-4
"""Exact scores against values printed with four digits."""

# Times and properties

MATROSKA_SECONDS = 0.001
"""Matroska's clock has milliseconds, to which times are rounded."""

PRINTED_Q = 1e-3
"""Q as probe prints it, with three digits."""
