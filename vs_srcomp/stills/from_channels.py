"""Pictures whose samples are grey or RGB, with alpha or without: what FFmpeg decodes of PNG and TIFF, and Pillow."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.stills.colour import clip_of, rgb_to_yuv
from vs_srcomp.stills.decoding import channels_of_frame
from vs_srcomp.stills.picture import UNSPECIFIED, Metadata, Picture, Plane, Tags

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL import Image

_UNSPECIFIED = 2
_GAMMA22 = 4


def from_packed(
    frame: "VideoFrame", *, has_colours: bool, has_alpha: bool = True, is_premultiplied: bool = False
) -> Picture | None:
    """A picture of 8 or 16 bits as FFmpeg has decoded it; None for palettes and single bits, which Pillow decodes.

    Args:
        frame: The picture.
        has_colours: Whether the file has a place for them. TIFF has none: FFmpeg gives gamma 2.2 of all that is grey.
        has_alpha: Whether the last of two or four channels is alpha; it is left out if not.
        is_premultiplied: Whether colours are multiplied by alpha.
    """
    channels = channels_of_frame(frame)
    if channels is None:
        return None
    if not has_alpha and len(channels) in (2, 4):
        channels.pop()
    if is_premultiplied and len(channels) in (2, 4):
        channels = [*(_divided(channel, channels[-1]) for channel in channels[:-1]), channels[-1]]
    tags = _tags_of_packed(frame) if has_colours else UNSPECIFIED
    return _from_channels(channels, 8 * channels[0].itemsize, tags)


def _tags_of_packed(frame: "VideoFrame") -> Tags:
    """What the numbers (cICP) or the gamma (gAMA, cHRM) of a PNG file mean, of which FFmpeg makes numbers."""
    tags = Tags(frame.color_primaries or _UNSPECIFIED, frame.color_trc or _UNSPECIFIED)
    if tags.transfer == _GAMMA22 and tags.primaries in (1, _UNSPECIFIED):
        return UNSPECIFIED  # what most programs write for sRGB
    # A gamma alone does not say which primaries: as without both.
    return tags if tags.transfer == _UNSPECIFIED or tags.primaries != _UNSPECIFIED else Tags(1, tags.transfer)


def _divided(colour: Plane, alpha: Plane) -> Plane:
    """A channel that is not multiplied by ``alpha`` any more; 0 where nothing is to be seen."""
    peak = np.iinfo(alpha.dtype).max
    parts = alpha.astype(np.uint64)
    whole = (colour.astype(np.uint64) * peak + parts // 2) // np.maximum(parts, 1)
    divided = np.where(parts > 0, np.minimum(whole, peak), 0)
    return divided.astype(np.uint8) if alpha.dtype == np.uint8 else divided.astype(np.uint16)


def _from_channels(channels: list[Plane], bits: int, tags: Tags = UNSPECIFIED) -> Picture:
    """A picture of grey or RGB, with alpha or without, of 8 or 16 bits."""
    alpha = channels.pop() if len(channels) in (2, 4) else None
    metadata = Metadata(tags=tags)
    props = {
        "_Range": int(vs.RANGE_FULL),
        "_Primaries": 1 if tags.primaries == _UNSPECIFIED else tags.primaries,
        "_Transfer": 13 if tags.transfer == _UNSPECIFIED else tags.transfer,
    }
    if len(channels) == 1:
        clip = clip_of(channels, vs.GRAY8 if bits == 8 else vs.GRAY16, props)
        return Picture(clip=clip, bits=bits, alpha=alpha, metadata=metadata)
    clip = rgb_to_yuv(clip_of(channels, vs.RGB24 if bits == 8 else vs.RGB48, props | {"_Matrix": 0}))
    return Picture(clip=clip, bits=bits, is_rgb=True, alpha=alpha, metadata=metadata)


def from_pillow(image: "Image.Image") -> Picture:
    """A picture as Pillow decodes it, of any mode but CMYK.

    Raises:
        vs.Error: Its samples have no specified range or meaning.
    """
    if image.mode in ("F", "LAB", "HSV"):
        raise error(
            f"a picture of the kind {image.mode} has samples of unspecified range or meaning",
            "convert it to RGB of 8 or 16 bits first",
        )
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        return _from_channels([np.clip(values, 0, 65535).astype(np.uint16)], 16)
    has_alpha = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
    is_gray = image.mode in ("1", "L", "LA", "La")
    wanted = ("LA" if has_alpha else "L") if is_gray else ("RGBA" if has_alpha else "RGB")
    array = np.asarray(image if image.mode == wanted else image.convert(wanted))
    channels = array if array.ndim == 3 else array[:, :, None]
    return _from_channels([channels[:, :, number] for number in range(channels.shape[2])], 8)


def from_cmyk(image: "Image.Image", file: Path) -> Picture:
    """A picture for print, made sRGB by the profile that it holds.

    Raises:
        vs.Error: It has no profile, or one that cannot be used.
    """
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile:
        raise error(
            f"{str(file)!r} is CMYK without a profile: its colours are unspecified",
            "convert it to RGB in a program where you can choose the profile",
        )
    try:
        rgb = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError) as cause:
        raise error(
            f"the CMYK profile of {str(file)!r} cannot be used ({cause})", "convert the picture to RGB first"
        ) from cause
    assert rgb is not None  # only with inPlace
    del image.info["icc_profile"]
    return replace(from_pillow(rgb), notes=("CMYK becomes sRGB by its profile",))
