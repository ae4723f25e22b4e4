"""An encoder is one entry of the registry."""

from pathlib import Path

import av
import pytest

from tests.helpers.films import Studio, Upscaled
from vs_srcomp.cli.upscale import upscale
from vs_srcomp.encoders import settings
from vs_srcomp.encoders.settings import ENCODERS, CrfRange, EncoderKind

VP9 = EncoderKind(
    name="vp9",
    title="libvpx-vp9",
    library="libvpx-vp9",
    codec="vp9",
    codec_id="V_VP9",
    depths=(8,),
    subsamplings=((1, 1),),
    bits_per_pixel=0.1,
    crf=CrfRange(0, 63, 31, halving=9),
    fixed_options=(("b", "0"), ("deadline", "realtime"), ("cpu-used", "8")),
)


def test_a_new_entry_encodes(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "ENCODERS", (*ENCODERS, VP9))
    target = tmp_path / "out.webm"
    assert upscaled(studio.picture("for-vp9.mkv"), target, encoder="vp9", preset=None).frames == 10
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.name in ("vp9", "libvpx-vp9")


def test_the_command_offers_every_encoder_with_its_defaults() -> None:
    options = {option.name: option for option in upscale.params}
    assert list(options["encoder"].type.choices) == [kind.name for kind in ENCODERS]  # type: ignore[attr-defined]
    help_ = getattr(options["crf"], "help", "")
    assert all(f"{kind.crf.default:g} for {kind.name}" in help_ for kind in ENCODERS if kind.crf)
    help_ = getattr(options["preset"], "help", "")
    assert all(f"{kind.name} {kind.presets[0]} to {kind.presets[-1]}" in help_ for kind in ENCODERS if kind.presets)
