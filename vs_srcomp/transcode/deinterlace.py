"""Deinterlacing with the plugin bwdif."""

import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.log import log_once

NAMESPACE = "bwdif"

# For Bwdif's argument field: keep the frame rate. Each frame's _FieldBased overrides the field order given here.
_SAME_RATE = 1


def check_plugin() -> None:
    """Raise an error if the plugin is not installed."""
    if not hasattr(vs.core, NAMESPACE):
        raise error(
            "deinterlacing needs the plugin bwdif, which is not installed",
            "pip install vapoursynth-bwdif, into the environment of vs-srcomp",
        )


def plugin_version() -> str:
    """The version of the plugin, which must be installed: ``5.1``."""
    version = getattr(vs.core, NAMESPACE).version
    return f"{version.major}.{version.minor}"


def deinterlaced(clip: vs.VideoNode) -> vs.VideoNode:
    """``clip`` with its interlaced frames deinterlaced by bwdif; progressive frames stay as they are.

    Number and times of the frames stay: each interlaced frame becomes one frame, at the time of its first field.

    Args:
        clip: A whole file, 8 to 16 bit integer or float: bwdif needs the frames before and after.

    Raises:
        vs.Error: The plugin is not installed.
    """
    check_plugin()
    done = clip.bwdif.Bwdif(field=_SAME_RATE).std.SetFrameProps(_FieldBased=vs.FIELD_PROGRESSIVE)

    def choose(n: int, f: vs.VideoFrame) -> vs.VideoNode:
        if not f.props.get("_FieldBased", vs.FIELD_PROGRESSIVE):
            return clip
        log_once("interlaced frames are deinterlaced, one frame of each")
        return done

    return clip.std.FrameEval(choose, prop_src=clip, clip_src=[clip, done])
