"""The networks there are, and the choice of one by ratio, compression level and tier."""

from vs_srcomp.models.catalogue import Model, find_model, load_onnx, models

__all__ = ["Model", "find_model", "load_onnx", "models"]
