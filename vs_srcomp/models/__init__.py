"""Models: descriptors, and the choice of one by ratio, compression level, tier and look, or by name."""

from vs_srcomp.models.catalogue import LOOKS, TIERS, Model, find_model, load_network, models
from vs_srcomp.models.choice import ModelName, depends_on_level, find, is_file, network_for, scale_of
from vs_srcomp.models.level import network_at
from vs_srcomp.models.network import Network

__all__ = [
    "LOOKS",
    "TIERS",
    "Model",
    "ModelName",
    "Network",
    "depends_on_level",
    "find",
    "find_model",
    "is_file",
    "load_network",
    "models",
    "network_at",
    "network_for",
    "scale_of",
]
