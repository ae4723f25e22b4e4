"""What happens to a picture before the network gets it; one degradation a file."""

from typing import Any

from train.registry import Registry

DEGRADATIONS: Registry[Any] = Registry("degradation", {})
