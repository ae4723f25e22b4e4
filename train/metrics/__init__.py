"""The metrics that tables and options can name, one family a file."""

from train.metrics.fidelity import psnr, ssim
from train.metrics.libvmaf import Vmaf, vmaf
from train.metrics.metric import Metric
from train.registry import Registry

METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "psnr": "train.metrics.metric:Psnr",
        "ssim": "train.metrics.metric:Ssim",
        "vmaf": "train.metrics.metric:VmafStill",
        "vmaf-neg": "train.metrics.metric:VmafNegStill",
        "ssimulacra2": "train.metrics.ssimulacra2:Ssimulacra2",
        "st-lpips": "train.metrics.stlpips:StLpips",
    },
)

__all__ = ["METRICS", "Metric", "Vmaf", "psnr", "ssim", "vmaf"]
