"""A network in 8-bit integers, for processors that multiply those faster than anything else.

Post-training quantisation (NNCF): the ranges of the activations are measured on pictures, weights get one scale per
channel. Only the residual path is quantised, after its first layer, which ``vs_srcomp.backends.openvino_first_layer``
makes of integers when the file is loaded; the skip path stays exact.
"""

import logging
import os

import onnx
import torch

from train.fit import middles
from train.material.crops import PlanePair

CROP = 384


def quantize(network: bytes, pictures: list[PlanePair], ranges: str = "whole") -> bytes:
    """The ONNX file ``network``, which ``export.to_onnx`` made, with quantised convolutions.

    Args:
        network: What to quantise.
        pictures: What it is made for, to measure ranges on; their middles are used. Not those of a test set.
        ranges: Of the activations, as a recipe's ``int8_range`` has it.
    """
    # Without it, the library reports its use over the network.
    os.environ.setdefault("NNCF_CI", "1")
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    nncf.set_log_level(logging.ERROR)
    model = onnx.load_from_string(network)
    for node in model.graph.node:
        node.name = node.output[0]
    (source,) = model.graph.input
    # Its input is the picture, where eight bits over the range of those pictures cost 0.08 dB; see RESULTS.md.
    head = next(node for node in model.graph.node if node.op_type == "Conv")
    quantized = nncf.quantize(
        model,
        nncf.Dataset(
            [degraded.numpy() for degraded, _ in middles(pictures, torch.device("cpu"), CROP)],
            lambda luma: {source.name: luma},
        ),
        # Symmetric weights and asymmetric activations: LeakyReLU leaves few values below zero.
        preset=nncf.QuantizationPreset.MIXED,
        fast_bias_correction=False,
        # Ranges that leave out the rare extremes gain 0.001 dB on photographs, but cut the correction of the hardest
        # edges, for the fast tier by up to 24 codes on Kodak instead of 8. The light tier, whose extremes are far from
        # the rest, would lose 0.08 dB on pictures that hardly need correction: see RESULTS.md.
        advanced_parameters=AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
            if ranges == "whole"
            else RangeEstimatorParametersSet.MEAN_MINMAX
        ),
        subset_size=len(pictures),
        ignored_scope=nncf.IgnoredScope(names=[head.name], types=["Add"]),
    )
    del quantized.metadata_props[:]
    onnx.checker.check_model(quantized, full_check=True)
    return bytes(quantized.SerializeToString())
