"""Metadata of a source that no output here can keep, reported by name."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.video.stream import VideoStream

from vs_srcomp.av1 import Av1Error
from vs_srcomp.av1.obu import ObuType, low_overhead_obus
from vs_srcomp.log import log_info
from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.media.copies import file_tags
from vs_srcomp.media.display import keeps_stereo_mode
from vs_srcomp.media.matroska_extras import matroska_extras
from vs_srcomp.media.tags import lost_tags
from vs_srcomp.source.index import readable
from vs_srcomp.source.media import codec_of, decoder_for, open_container, video_stream

# Number of frames to inspect, and of packets to read for them at most: metadata comes with the first frames.
_FRAMES, _PACKETS = 8, 200

_EACH_SCENE = "it describes each scene, and encoders take what holds for all"
_DOLBY_VISION = f"the Dolby Vision metadata is left out: {_EACH_SCENE}"
_STEREO = "how the picture holds two views (stereo 3D) is left out: the output cannot record it"
ALPHA = "the alpha channel is left out: networks and encoders take opaque pictures"

_MESSAGES = {
    Type.A53_CC: "the captions inside the pictures (CEA-608 or CEA-708) are left out: extract them as subtitles first",
    Type.AFD: "the active format description is left out: encoders here do not write it",
    Type.AMBIENT_VIEWING_ENVIRONMENT: "the ambient viewing environment is left out: encoders here do not write it",
    Type.DOVI_METADATA: _DOLBY_VISION,
    Type.DOVI_RPU_BUFFER: _DOLBY_VISION,
    Type.DYNAMIC_HDR_PLUS: f"the HDR10+ metadata is left out: {_EACH_SCENE}",
    Type.DYNAMIC_HDR_VIVID: f"the HDR Vivid metadata is left out: {_EACH_SCENE}",
    Type.EXIF: "the Exif data is left out: it describes the source",
    Type.ICC_PROFILE: "the ICC profile is left out: encoders here do not write it",
    Type.LCEVC: "the LCEVC enhancement is left out: it belongs to the pictures before they were upscaled",
    Type.S12M_TIMECODE: "the timecode of each frame (SMPTE ST 12-1) is left out: encoders here do not write it",
    Type.SPHERICAL: "the spherical description (360° video) is left out: tag the output again",
    Type.STEREO3D: _STEREO,
    Type.THREE_D_REFERENCE_DISPLAYS: "the 3D reference displays are left out: encoders here do not write them",
}

# Kept in other ways, about the old encoding only, or without meaning for players.
_NO_LOSS = {
    *(Type.DISPLAYMATRIX, Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL, Type.FILM_GRAIN_PARAMS),
    *(Type.GOP_TIMECODE, Type.PANSCAN, Type.SEI_UNREGISTERED, Type.MOTION_VECTORS, Type.VIDEO_ENC_PARAMS),
    *(Type.REGIONS_OF_INTEREST, Type.DETECTION_BBOXES, Type.VIDEO_HINT, Type.VIEW_ID),
}

# Rec. ITU-T T.35: codes of the United States, of Dolby, and of Dolby's metadata in AV1.
_DOLBY_T35 = bytes.fromhex("b5003b00000800")
_METADATA_TYPE_T35 = 4


def announce_losses(file: str, kind: ContainerKind) -> None:
    """Log what of ``file`` a container of ``kind`` cannot keep."""
    for message in losses(file, kind):
        log_info(message)


def losses(file: str, kind: ContainerKind) -> list[str]:
    """What of ``file`` is lost, by its header and first frames; one line each."""
    with open_container(file) as container:
        of_video, of_tags = _of_video(container, kind), _of_tags(container, kind)
    return [*of_video, *sorted(matroska_extras(Path(file))), *of_tags]


def losses_of_video(file: str, kind: ContainerKind) -> list[str]:
    """Losses of the video, one line each."""
    with open_container(file) as container:
        return _of_video(container, kind)


def side_data_losses(kinds: Iterable[Type], *, stereo_mode_is_kept: bool) -> Iterator[str]:
    """Losses of frame side data.

    Args:
        kinds: All types of side data in the frames.
        stereo_mode_is_kept: Whether the output signals the stereo 3D layout.
    """
    for kind in sorted(set(kinds) - _NO_LOSS, key=lambda kind: kind.name):
        if kind != Type.STEREO3D or not stereo_mode_is_kept:
            name = kind.name.lower().replace("_", " ")
            yield _MESSAGES.get(kind, f"what frames bring as {name} is left out: nothing here writes it")


def _of_tags(container: InputContainer, kind: ContainerKind) -> list[str]:
    names = lost_tags(file_tags(container), kind)
    return [f"tags are left out, because {kind.suffix} files cannot hold them: {', '.join(names)}"] if names else []


def _of_video(container: InputContainer, kind: ContainerKind) -> list[str]:
    return list(dict.fromkeys(_of_stream(container, video_stream(container, 0), kind)))


def _of_stream(container: InputContainer, stream: VideoStream, kind: ContainerKind) -> Iterator[str]:
    if stream.metadata.get("alpha_mode") == "1":
        yield ALPHA
    kinds: set[Type] = set()
    frames = 0
    context = decoder_for(stream, film_grain=False, threads=0)
    for packet in islice(readable(container.demux(stream)), _PACKETS):
        if packet.has_sidedata("matroska_block_additional") and stream.metadata.get("alpha_mode") != "1":
            yield "what Matroska adds to the blocks of the video (BlockAdditions) is left out"
        if codec_of(stream) == "av1" and _has_dolby_vision(packet):
            yield _DOLBY_VISION
        with suppress(av.FFmpegError):  # damage is reported elsewhere
            for frame in context.decode(packet if packet.size else None):
                frames += 1
                kinds.update(frame.side_data)
        if frames >= _FRAMES:
            break
    yield from side_data_losses(kinds, stereo_mode_is_kept=keeps_stereo_mode(stream, kind))


def _has_dolby_vision(packet: "Packet[VideoStream]") -> bool:
    """Whether an AV1 packet has Dolby Vision metadata, which FFmpeg does not read without a decoder for the tag."""
    data = bytes(packet)
    try:
        return any(
            obu.type == ObuType.METADATA
            and data[obu.payload : obu.end].startswith(bytes([_METADATA_TYPE_T35]) + _DOLBY_T35)
            for obu in low_overhead_obus(data)
        )
    except Av1Error:
        return False
