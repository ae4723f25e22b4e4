"""What becomes of chroma on its way to an encoder."""

from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image

import vs_srcomp
from tests.helpers.films import Studio, Upscaled
from tests.helpers.pictures import WAVE, place_of_waves, red_and_blue
from vs_srcomp.encoders.library import encodable
from vs_srcomp.encoders.settings import PIPE, SVT_AV1, EncoderKind, encoder_by_name

LEFT, CENTER, TOP_LEFT = (int(each) for each in (vs.CHROMA_LEFT, vs.CHROMA_CENTER, vs.CHROMA_TOP_LEFT))
X264, X265, FFV1 = (encoder_by_name(name) for name in ("x264", "x265", "ffv1"))


@pytest.mark.parametrize(
    ("kind", "format_", "stated", "made"),
    [
        (SVT_AV1, vs.YUV420P8, None, None),
        (SVT_AV1, vs.YUV420P8, LEFT, LEFT),
        (SVT_AV1, vs.YUV420P8, CENTER, LEFT),
        (SVT_AV1, vs.YUV420P10, TOP_LEFT, TOP_LEFT),
        (SVT_AV1, vs.YUV422P8, CENTER, LEFT),
        (SVT_AV1, vs.YUV422P8, TOP_LEFT, TOP_LEFT),
        # Whatever the source states of chroma that is as large as luma.
        (SVT_AV1, vs.YUV444P8, None, LEFT),
        (SVT_AV1, vs.YUV444P8, CENTER, LEFT),
        (SVT_AV1, vs.GRAY8, None, None),
        (X264, vs.YUV420P8, CENTER, CENTER),
        (X264, vs.YUV422P8, CENTER, LEFT),
        (X264, vs.YUV422P8, TOP_LEFT, TOP_LEFT),
        (X265, vs.YUV422P12, CENTER, LEFT),
        (FFV1, vs.YUV420P8, CENTER, CENTER),
        (PIPE, vs.YUV420P8, CENTER, CENTER),
    ],
)
def test_the_location_of_chroma_is_what_was_made(
    kind: EncoderKind, format_: int, stated: int | None, made: int | None
) -> None:
    clip = vs.core.std.BlankClip(width=16, height=16, format=format_, length=1)
    clip = clip.std.RemoveFrameProps() if stated is None else clip.std.SetFrameProps(_ChromaLocation=stated)
    assert encodable(clip, kind).get_frame(0).props.get("_ChromaLocation") == made


@pytest.mark.parametrize("kind", [SVT_AV1, FFV1, PIPE], ids=str)
@pytest.mark.parametrize("format_", [vs.GRAY8, vs.GRAY10, vs.GRAY16])
@pytest.mark.parametrize("stated", [vs.RANGE_FULL, vs.RANGE_LIMITED])
def test_grey_keeps_its_range(kind: EncoderKind, format_: vs.PresetVideoFormat, stated: vs.ColorRange) -> None:
    bits = vs.core.get_video_format(format_).bits_per_sample
    clip = vs.core.std.BlankClip(width=16, height=16, format=format_, length=1, color=200 << bits - 8)
    with encodable(clip.std.SetFrameProps(_Range=int(stated)), kind).get_frame(0) as frame:
        assert frame.props["_Range"] == stated
        made = frame.format.bits_per_sample
        assert frame.format.color_family == vs.YUV
        for plane, value in enumerate((200, 128, 128)):
            # Full range is scaled by its largest code, which is 255 of 256 here.
            assert np.asarray(frame[plane]).mean() / (1 << made - 8) == pytest.approx(value, abs=1)


@pytest.mark.parametrize(
    ("encoder", "target", "subsampling"),
    [
        ("svt-av1", "out.mp4", "4:2:0"),
        ("svt-av1", "out.mkv", "4:2:0"),
        ("svt-av1", "out.mp4", "4:2:2"),
        ("svt-av1", "out.mp4", "4:4:4"),
        ("x264", "out.mp4", "4:2:0"),
        ("x264", "out.mp4", "4:2:2"),
        ("ffv1", "out.mkv", "4:2:0"),
    ],
)
def test_players_have_colours_where_they_were(
    encoder: str, target: str, subsampling: str, tmp_path: Path, upscaled: Upscaled
) -> None:
    """The chroma of Motion JPEG is centred."""
    Image.fromarray(red_and_blue()).save(tmp_path / "in.jpg", quality=98, subsampling=subsampling)
    film = Studio(tmp_path).make("-i", "in.jpg", "-c", "copy", "in.mkv")
    options = {"preset": None, "crf": None} if encoder == "ffv1" else {"preset": None, "crf": 10}
    upscaled(film, tmp_path / target, encoder=encoder, **options)
    # By what the file states, and to the left where it states nothing, as players do it.
    with vs_srcomp.source(tmp_path / target).resize.Bicubic(format=vs.YUV444P8).get_frame(0) as frame:
        place = place_of_waves(np.asarray(frame[2]), 2 * WAVE)
    # The middle of the first pixel, which is the border of the first two now; otherwise it is a pixel off.
    assert place == pytest.approx(0.5, abs=0.2)
