"""The degradations that recipes can name, one a file: from a picture to the network's input."""

from train.degradations.degradation import Degradation
from train.registry import Registry

DEGRADATIONS: Registry[Degradation] = Registry(
    "degradation",
    {
        "av1": "train.degradations.av1:Av1",
        "bicubic": "train.degradations.bicubic:Bicubic",
        "blur-decimate": "train.degradations.blur_decimate:BlurDecimate",
        "unknown": "train.degradations.unknown:Unknown",
        "jpeg": "train.degradations.jpeg:Jpeg",
        "webp": "train.degradations.webp:Webp",
        "avif": "train.degradations.avif:Avif",
        "mixture": "train.degradations.mixture:Mixture",
    },
)
