"""Film grain put back after super-resolution."""

import vapoursynth as vs

from vs_srcomp.clips import check_clip
from vs_srcomp.errors import error
from vs_srcomp.resample import lanczos5


def restore_grain(upscaled: vs.VideoNode, clean: vs.VideoNode, grainy: vs.VideoNode) -> vs.VideoNode:
    """Put a stream's own film grain on the upscaled picture.

    The grain is the difference between decoding with and without it. It is scaled by the same Lanczos (a = 5) as the
    picture and added to the restored one. The result is, to the rounding, the grain of a player that applies grain and
    then upscales: its strength and its size relative to the picture are those of the stream. The network does not see
    it.

    Other ways look worse. With ``upscale(source(path, film_grain=True))`` the network takes grain for compression
    noise, draws it into worms, and misses edges under it. Repeating its samples shows squares, and bilinear scaling
    takes a fifth to a third of its strength. Synthesis at the output size makes it finer than intended, because the
    specification's grain has a fixed size in samples.

    The file is decoded twice, which the network's time hides::

        clean, grainy = (vs_srcomp.source(path, film_grain=grain) for grain in (False, True))
        clip = vs_srcomp.restore_grain(vs_srcomp.upscale(clean), clean, grainy)

    Args:
        upscaled: What became of ``clean``: any size, the same format and length.
        clean: The clip without grain, 8 to 16 bit integer or 32-bit float.
        grainy: The same frames with grain.

    Returns:
        ``upscaled`` with grain in all planes, and with its own properties.

    Raises:
        vs.Error: The clips do not belong together.
    """
    for clip, name in ((upscaled, "upscaled"), (clean, "clean"), (grainy, "grainy")):
        check_clip(clip, f"the {name} clip")
    for clip, name in ((grainy, "grainy"), (upscaled, "upscaled")):
        if (clip.format.id, clip.num_frames) != (clean.format.id, clean.num_frames):
            raise error(
                f"the {name} clip ({clip.format.name}, {clip.num_frames} frames) and the clean one "
                f"({clean.format.name}, {clean.num_frames} frames) do not belong together",
                "give three clips that were made from one file, and convert formats only afterwards",
            )
    if (grainy.width, grainy.height) != (clean.width, clean.height):
        raise error(
            f"the grainy clip is {grainy.width}x{grainy.height}, the clean one {clean.width}x{clean.height}",
            "open the same file twice, with film_grain=True and without",
        )
    if clean.format.sample_type == vs.FLOAT and clean.format.bits_per_sample < 32:
        raise error(f"{clean.format.name} is too coarse for sums", "convert to 16 bit integers or 32-bit float first")
    grain = vs.core.std.MakeDiff(grainy, clean)
    return vs.core.std.MergeDiff(upscaled, lanczos5(grain, upscaled.width, upscaled.height))
