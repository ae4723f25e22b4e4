"""The networks there are, and the choice of one by ratio, compression level and tier."""

from vs_srcomp.models.catalogue import TIERS, Model, find_model, load_network, models
from vs_srcomp.models.level import network_at
from vs_srcomp.models.network import Network

__all__ = ["TIERS", "Model", "Network", "find_model", "load_network", "models", "network_at"]
