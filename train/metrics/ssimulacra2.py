"""SSIMULACRA 2."""

from typing import ClassVar

import numpy as np

from train.metrics.metric import Metric, Picture


class Ssimulacra2(Metric):
    """SSIMULACRA 2 by the plugin vszip; luma as a grey picture."""

    paper: ClassVar[str] = "Sneyers 2022, https://github.com/cloudinary/ssimulacra2"

    def __init__(self, *, border: int = 0) -> None:
        """As for :class:`Metric`.

        Raises:
            ValueError: The plugin is not installed.
        """
        super().__init__(border=border)
        import vapoursynth as vs

        if not hasattr(vs.core, "vszip"):
            raise ValueError("SSIMULACRA 2 needs the plugin vszip: pip install vapoursynth-vszip")

    def score(self, restored: Picture, original: Picture) -> float:
        """100 if the pictures are equal; 90 is hardly visible, 50 is visible; there is no lower bound."""
        import vapoursynth as vs

        from train.material.pictures import planes_to_clip

        clips = []
        for picture in (original, restored):
            channels = [picture] * 3 if picture.ndim == 2 else [picture[..., channel] for channel in range(3)]
            clip = planes_to_clip([np.ascontiguousarray(channel) for channel in channels], vs.RGB24)
            clips.append(clip.std.SetFrameProps(_Transfer=13, _Primaries=1))
        with clips[0].vszip.SSIMULACRA2(clips[1]).get_frame(0) as frame:
            return float(frame.props["SSIMULACRA2"])
