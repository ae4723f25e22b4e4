"""VMAF and VMAF-NEG of 8-bit planes, by the libvmaf inside FFmpeg."""

from collections.abc import Sequence
from dataclasses import dataclass

from train.metrics.fidelity import Plane


@dataclass(frozen=True)
class Vmaf:
    """Both scores of a frame, 0 to 100."""

    vmaf: float
    """Model vmaf_v0.6.1."""
    neg: float
    """Model vmaf_v0.6.1neg, which does not reward sharpening ("no enhancement gain")."""


def vmaf(frames: Sequence[Plane], originals: Sequence[Plane], *, stills: bool) -> list[Vmaf]:
    """VMAF and VMAF-NEG of each frame.

    Args:
        frames: 8-bit luma planes of the same size.
        originals: As many planes of that size.
        stills: Whether frames are not consecutive: the motion feature is then 0, as for the first frame of a clip.

    Raises:
        vs.Error: libvmaf failed; the message is its own.
    """
    from vs_srcomp.quality.libvmaf import Libvmaf  # Other metrics work without VapourSynth.

    still = r"\:motion.motion_force_zero=true" if stills else ""
    models = rf"version=vmaf_v0.6.1\:name=vmaf{still}|version=vmaf_v0.6.1neg\:name=neg{still}"
    height, width = originals[0].shape
    with Libvmaf((width, height), 8, f"model='{models}'") as driver:
        for frame, original in zip(frames, originals, strict=True):
            driver.add(frame, original)
        log = driver.log()
    return [Vmaf(frame["metrics"]["vmaf"], frame["metrics"]["neg"]) for frame in log["frames"]]
