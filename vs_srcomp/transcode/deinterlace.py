"""Interlaced frames become progressive ones, each at its own time."""

import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.log import log_once

NAMESPACE = "bwdif"

# Bwdif's field: the frame rate stays, and each frame's _FieldBased takes precedence over the order given here.
_SAME_RATE = 1


def check_plugin() -> None:
    """Raise the error of a plugin that is not installed."""
    if not hasattr(vs.core, NAMESPACE):
        raise error(
            "deinterlacing needs the plugin bwdif, which is not installed",
            "pip install vapoursynth-bwdif, into the environment of vs-srcomp",
        )


def deinterlaced(clip: vs.VideoNode) -> vs.VideoNode:
    """``clip`` with those of its frames deinterlaced, by bwdif, that are interlaced; the others stay as they are.

    Length and times stay: of two fields the first one counts, and what the second one shows later is left out.

    Args:
        clip: The whole of a file, 8 to 16 bit integer or float: bwdif looks at the frames before and after.

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
