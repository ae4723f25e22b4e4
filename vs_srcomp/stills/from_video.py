"""Pictures that are coded as a frame of video: JPEG, WebP and AVIF, which FFmpeg decodes."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.source.clip import open_clip
from vs_srcomp.stills.colour import clip_of, rgb_to_yuv, to_bits
from vs_srcomp.stills.decoding import alpha_item, decoded_frame, planes_of_frame
from vs_srcomp.stills.from_channels import from_pillow
from vs_srcomp.stills.level import level_of
from vs_srcomp.stills.metadata import container_colours
from vs_srcomp.stills.picture import UNSPECIFIED, Metadata, Picture, Plane, Tags

if TYPE_CHECKING:
    from PIL import Image

_MATRIX_BT601 = 5
_UNSPECIFIED = 2

RANGE = {"JPEG": vs.RANGE_FULL, "WEBP": vs.RANGE_LIMITED, "AVIF": vs.RANGE_FULL}
"""How files of each kind are shown by default: JFIF, the WebP container, MIAF (ISO/IEC 23000-22, 7.3.6.4)."""


def from_video(image: "Image.Image", file: Path, kind: str) -> Picture | None:
    """The picture as `vs_srcomp.source` has it, or None where it is RGB of 8 bits, or nothing that FFmpeg decodes.

    Args:
        image: The picture as Pillow sees it.
        file: Its file.
        kind: A key of `RANGE`.

    Raises:
        vs.Error: It is AVIF that cannot be decoded, or its alpha has another size than its colours.
    """
    if kind == "WEBP" and level_of(image, file) is None:  # without loss: RGB
        return None
    try:
        clip = open_clip(file, report_left_out=False)
    except vs.Error:
        if kind == "AVIF" and min(image.size) > 1:
            raise
        # One pixel wide or high is less than a sample of chroma; and libjpeg decodes more, such as arithmetic coding.
        return _thin(image, file) if kind == "AVIF" else None
    props = clip.get_frame(0).props
    bits = clip.format.bits_per_sample
    colours = _colours(props, container_colours(file) if kind == "AVIF" else None, kind)
    subsampling = clip.format.subsampling_w, clip.format.subsampling_h
    colours |= assumed_location(clip.format, props)
    is_rgb = clip.format.color_family == vs.RGB
    clip = rgb_to_yuv(clip) if is_rgb else _whole(file, clip.std.SetFrameProps(**colours), image.size)
    alpha, notes = _alpha(image, file, bits)
    if alpha is not None and alpha.shape != (clip.height, clip.width):
        raise error(
            f"the alpha of {str(file)!r} has another size than its colours",
            "convert it to PNG with another program first",
        )
    tags = Tags(colours["_Primaries"], colours["_Transfer"]) if kind == "AVIF" else UNSPECIFIED
    light = None
    if "ContentLightLevelMax" in props:
        light = props["ContentLightLevelMax"], props["ContentLightLevelAverage"]
    return Picture(
        clip=clip,
        bits=bits,
        is_rgb=is_rgb,
        subsampling=subsampling,
        alpha=alpha,
        q=props.get("SrcompQ"),
        metadata=Metadata(tags=tags, light=light),
        notes=notes,
    )


def _thin(image: "Image.Image", file: Path) -> Picture:
    """AVIF with subsampled chroma, one pixel wide or high, which no clip can be: RGB by Pillow."""
    picture = from_pillow(image)
    primaries, transfer, *_ = container_colours(file) or (_UNSPECIFIED, _UNSPECIFIED)
    note = "as it is one pixel wide or high, it is read as RGB of 8 bits"
    return replace(picture, metadata=Metadata(tags=Tags(primaries, transfer)), notes=(*picture.notes, note))


def _colours(props: Any, container: tuple[int, int, int, int] | None, kind: str) -> dict[str, int]:
    """All tags of how samples become colours, so that no later step has to guess."""
    primaries, transfer, matrix, full = container or (2, 2, 2, None)
    found = {
        "_Primaries": primaries if primaries != _UNSPECIFIED else props.get("_Primaries", 1),
        "_Transfer": transfer if transfer != _UNSPECIFIED else props.get("_Transfer", 13),
        "_Matrix": matrix if matrix not in (0, _UNSPECIFIED) else props.get("_Matrix", _MATRIX_BT601),
        "_Range": int(props.get("_Range", RANGE[kind])) if full is None else full,
    }
    if found["_Matrix"] == _UNSPECIFIED:
        found["_Matrix"] = _MATRIX_BT601
    return found


def assumed_location(format_: vs.VideoFormat, props: Any) -> dict[str, int]:
    """The centre for chroma of a picture whose ``props`` state no location; nothing where they do, or without need.

    JFIF, libwebp and libavif show such files so. zimg would take it for left, as in video.
    """
    is_subsampled = format_.subsampling_w or format_.subsampling_h
    return {"_ChromaLocation": int(vs.CHROMA_CENTER)} if is_subsampled and "_ChromaLocation" not in props else {}


def _whole(file: Path, clip: vs.VideoNode, size: tuple[int, int]) -> vs.VideoNode:
    """``clip`` with the last column and row of the picture, of odd ``size``, which its subsampled chroma cannot hold.

    Chroma is brought to the size of luma, whose samples stay.
    """
    w, h = clip.format.subsampling_w, clip.format.subsampling_h
    if (clip.width, clip.height) == size or (clip.width, clip.height) != (size[0] >> w << w, size[1] >> h << h):
        return clip  # as it is, or cropped by the container
    frame = decoded_frame(file)
    if (frame.width, frame.height) != size:
        return clip  # tiles
    props = clip.get_frame(0).props
    kept = ("_ChromaLocation", "_Range", "_Matrix", "_Primaries", "_Transfer", "SrcompQ")
    places = {name: props[name] for name in kept if name in props}
    planes = planes_of_frame(frame)
    wide, high = -(-size[0] >> w) << w, -(-size[1] >> h) << h
    luma = np.pad(planes[0], ((0, high - size[1]), (0, wide - size[0])), "edge")
    padded = clip_of([luma, *planes[1:3]], clip.format.id, places)
    full = vs.core.query_video_format(vs.YUV, vs.INTEGER, clip.format.bits_per_sample)
    return padded.resize.Bicubic(format=full.id).std.CropAbs(*size)


def _alpha(image: "Image.Image", file: Path, bits: int) -> tuple[Plane | None, tuple[str, ...]]:
    """The alpha plane of a picture whose colours FFmpeg has decoded."""
    if "A" not in image.getbands():
        return None, ()
    if bits > 8:
        found = alpha_item(file, image.size)
        if found is not None:
            return found, ()
    plane: Plane = np.array(image.getchannel("A"))
    if bits == 8:
        return plane, ()
    return to_bits(plane, 16), ("of its alpha, 8 bits can be read",)
