"""From a file to a picture: Pillow reads its kind and metadata, FFmpeg decodes what is YUV or has more than 8 bits."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import vapoursynth as vs

from vs_srcomp.errors import error, first_line
from vs_srcomp.named_files import address_in
from vs_srcomp.source.clip import open_clip
from vs_srcomp.stills.colour import clip_of, rgb_to_yuv, to_bits
from vs_srcomp.stills.decoding import alpha_item, channels_of_frame, decoded_frame, decoded_packet, planes_of_frame
from vs_srcomp.stills.level import level_of
from vs_srcomp.stills.metadata import container_colours, has_gain_map, metadata_of
from vs_srcomp.stills.picture import UNSPECIFIED, Metadata, Picture, Plane, Tags
from vs_srcomp.stills.tiff import checked_bits, has_premultiplied_alpha

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL import Image

_MATRIX_BT601 = 5
_UNSPECIFIED = 2
_GAMMA22 = 4

# Of the exponent in a PNG file: 1 / 2.2 is written with two to five digits.
_SAME_GAMMA = 0.005

# How files of the kind are shown by default: JFIF, the WebP container, MIAF (ISO/IEC 23000-22, 7.3.6.4).
_RANGE = {"JPEG": vs.RANGE_FULL, "WEBP": vs.RANGE_LIMITED, "AVIF": vs.RANGE_FULL}

_LIGHT = "ContentLightLevelMax"

_JXL_HEADS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")


def read_picture(file: Path) -> Picture:
    """Read the picture in ``file``.

    Raises:
        vs.Error: It cannot be read, is none, has several pictures, or colours that nothing describes.
    """
    with opened(file) as image:
        _refuse_several(image, file)
        with _decoding_errors(file):
            return _read(image, file)


@contextmanager
def opened(file: Path) -> "Iterator[Image.Image]":
    """``file`` as Pillow sees it; nothing is decoded yet."""
    from PIL import AvifImagePlugin, Image, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

    if address := address_in(str(file)):
        raise error(f"{address!r} is an address, not a file", "download it first: only local files are read")
    if not file.exists():
        raise error(f"{str(file)!r} does not exist", "check the path")
    if not file.is_file():
        raise error(
            f"{str(file)!r} is not a file", "give the path of a picture, or for numbered ones such as in/%05d.png"
        )
    formats = ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "GIF", "BMP"]
    with file.open("rb") as start:
        head = start.read(16)
    if head.startswith(_JXL_HEADS):
        formats = [_jpeg_xl(file)]
    try:
        Image.preinit()  # or else to ask for some formats loads all that there are
        with _of_any_size():
            image = Image.open(file, formats=formats)
    except (OSError, SyntaxError, ValueError) as cause:
        raise error(
            f"{str(file)!r} is not a picture that can be read",
            "give an AVIF, JPEG, PNG, WebP, TIFF, JPEG XL, GIF or BMP file that is whole; "
            "a video becomes numbered pictures, such as out/%05d.png",
        ) from cause
    with image:
        yield image


# It is one for all threads.
_limit_lifted = threading.Lock()


@contextmanager
def _of_any_size() -> Iterator[None]:
    """Sizes are checked by what the whole work needs; Pillow's own limit is for servers that take uploads."""
    from PIL import Image

    with _limit_lifted:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _jpeg_xl(file: Path) -> str:
    try:
        import pillow_jxl  # noqa: F401  # registers the format
    except ImportError:
        raise error(
            f"{str(file)!r} is JPEG XL, for which no decoder is installed",
            "install one with: pip install pillow-jxl-plugin; or convert the file to PNG",
        ) from None
    return "JXL"


def is_single(image: "Image.Image") -> bool:
    """Whether it is taken for one picture: no animation and no pages. Of MPO, the first one is taken."""
    return getattr(image, "n_frames", 1) == 1 or image.format == "MPO"


def _refuse_several(image: "Image.Image", file: Path) -> None:
    if is_single(image):
        return
    count = getattr(image, "n_frames", 1)
    if image.format == "TIFF":
        raise error(
            f"{str(file)!r} holds {count} pictures, and one goes into a file",
            "write numbered pictures, such as out/%03d.png",
        )
    # GIF and PNG are RGB, which videos are not upscaled from.
    video = "" if image.format in ("GIF", "PNG") else "a video, such as out.mkv, or "
    raise error(
        f"{str(file)!r} is an animation of {count} pictures, and one goes into a file",
        f"write {video}numbered pictures, such as out/%05d.png",
    )


@contextmanager
def _decoding_errors(file: Path) -> Iterator[None]:
    """Turn what Pillow's and FFmpeg's decoders meet in a damaged file into the package's error."""
    try:
        yield
    except (vs.Error, MemoryError):
        raise
    except Exception as cause:  # anything, from struct.error to SyntaxError
        reason = getattr(cause, "strerror", None) or first_line(cause)  # those of the system and of FFmpeg have it
        raise error(
            f"{str(file)!r} cannot be decoded ({reason.lower()})",
            "check that the file is whole, or convert it with another program first",
        ) from cause


def _read(image: "Image.Image", file: Path) -> Picture:
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    if image.mode == "CMYK":
        return _with_extras(_from_cmyk(image, file), image, file)
    picture = None
    if kind == "JPEG":
        image.load()  # FFmpeg fills in what is missing from a damaged file without a word.
    if kind in _RANGE:
        picture = _from_video(image, file, kind)
    elif kind == "PNG":
        picture = _from_packed(decoded_packet(file, "png"), has_colours=True)
    elif kind == "TIFF" and (bits := checked_bits(image, file)) > 8:
        picture = _from_packed(
            decoded_packet(file, "tiff"), has_colours=False, is_premultiplied=has_premultiplied_alpha(image)
        )
        if picture is None:
            raise error(
                f"{str(file)!r} has {bits} bits a sample, of a kind that is not read",
                "convert it to PNG with another program first",
            )
    return _with_extras(picture or from_pillow(image), image, file)


def _from_video(image: "Image.Image", file: Path, kind: str) -> Picture | None:
    """The picture as `vs_srcomp.source` has it, or None where it is RGB of 8 bits, or nothing that FFmpeg decodes."""
    if kind == "WEBP" and level_of(image, file) is None:  # without loss: RGB
        return None
    try:
        clip = open_clip(file, report_left_out=False)
    except vs.Error:
        if kind == "AVIF":
            raise
        return None  # such as arithmetic coding, which libjpeg decodes
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
    light = (props["ContentLightLevelMax"], props["ContentLightLevelAverage"]) if _LIGHT in props else None
    metadata = Metadata(tags=tags, light=light)
    q = props.get("SrcompQ")
    return Picture(
        clip=clip,
        bits=bits,
        is_rgb=is_rgb,
        subsampling=subsampling,
        alpha=alpha,
        q=q,
        metadata=metadata,
        notes=notes,
    )


def _colours(props: Any, container: tuple[int, int, int, int] | None, kind: str) -> dict[str, int]:
    """All tags of how samples become colours, so that no later step has to guess."""
    primaries, transfer, matrix, full = container or (2, 2, 2, None)
    found = {
        "_Primaries": primaries if primaries != _UNSPECIFIED else props.get("_Primaries", 1),
        "_Transfer": transfer if transfer != _UNSPECIFIED else props.get("_Transfer", 13),
        "_Matrix": matrix if matrix not in (0, _UNSPECIFIED) else props.get("_Matrix", _MATRIX_BT601),
        "_Range": int(props.get("_Range", _RANGE[kind])) if full is None else full,
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


def _from_packed(frame: "VideoFrame", *, has_colours: bool, is_premultiplied: bool = False) -> Picture | None:
    """A picture of 8 or 16 bits as FFmpeg has decoded it; None for palettes and single bits, which Pillow decodes.

    Args:
        frame: The picture.
        has_colours: Whether the file has a place for them. TIFF has none: FFmpeg gives gamma 2.2 of all that is grey.
        is_premultiplied: Whether colours are multiplied by alpha.
    """
    channels = channels_of_frame(frame)
    if channels is None:
        return None
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


def _gamma_without_number(image: "Image.Image", metadata: Metadata) -> float | None:
    """The exponent of a PNG file whose colours it alone describes, and for which there is no number."""
    gamma = image.info.get("gamma") if image.format == "PNG" else None
    described = metadata.icc or "srgb" in image.info or metadata.tags.transfer != _UNSPECIFIED
    return gamma if gamma and not described and abs(gamma - 1 / 2.2) > _SAME_GAMMA else None


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
    """A picture as Pillow decodes it, of any mode but CMYK."""
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


def _from_cmyk(image: "Image.Image", file: Path) -> Picture:
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


def _with_extras(picture: Picture, image: "Image.Image", file: Path) -> Picture:
    """``picture`` with what Pillow finds beside the samples."""
    metadata, orientation, lost = metadata_of(image, picture.metadata.tags, picture.metadata.light)
    notes = [*picture.notes, *lost]
    if gamma := _gamma_without_number(image, metadata):
        notes.append(f"its gamma of {1 / gamma:.3g} has no number (CICP), and is not kept")
    if has_gain_map(image):
        notes.append("its gain map is dropped: the output is the picture for ordinary displays")
    elif image.format == "MPO":
        notes.append(f"of its {getattr(image, 'n_frames', 1)} pictures, the first is taken")
    q = picture.q if picture.q is not None else level_of(image, file)
    return replace(picture, orientation=orientation, metadata=metadata, q=q, notes=tuple(notes))


def frames_of(file: Path) -> "Iterator[Picture]":
    """The pictures of an animation or of a file with pages, whole as they are shown.

    Raises:
        vs.Error: As of `read_picture`, for files that Pillow reads; `vs_srcomp.source` is for all others.
    """
    with opened(file) as image, _decoding_errors(file):
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield _with_extras(_page(image, file), image, file)


def _page(image: "Image.Image", file: Path) -> Picture:
    """A page or a picture of an animation, as Pillow decodes it: of colours, 8 bits."""
    if image.mode == "CMYK":
        return _from_cmyk(image, file)
    if image.format == "TIFF" and checked_bits(image, file) > 8 and not image.mode.startswith("I"):
        raise error(
            f"{str(file)!r} has pages of 16 bits in colour, which are not read", "write each page to a file of its own"
        )
    picture = from_pillow(image)
    if image.format == "PNG" and _png_bits(file) > 8:
        return replace(picture, notes=(*picture.notes, "of the 16 bits of an animation, 8 are read"))
    return picture


def _png_bits(file: Path) -> int:
    """Bits of a sample of a PNG file: the ninth byte of its first chunk, which comes after 16 bytes."""
    with file.open("rb") as opened_file:
        return opened_file.read(25)[24]
