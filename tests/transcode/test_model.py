"""The networks that the package carries."""

from pathlib import Path

from tests.helpers.films import Upscaled


def test_the_default_tier(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    result = upscaled(film, tmp_path / "out.mkv", model="fast", q=20)
    assert result.models == {"srcomp-fast-2by1": 40}


def test_a_look_and_another_systems_model(film: Path, upscaled: Upscaled, tmp_path: Path, carried: Path) -> None:
    for name, arguments in (
        ("srcomp-fast-2by1-crisp", {"model": "fast", "look": "crisp"}),
        ("espcn-2x", {"model": "espcn-2x", "passes": 2}),
        ("esrgan-4x", {"model": "esrgan-4x", "ensemble": 2}),
    ):
        result = upscaled(film, tmp_path / f"{name}.mkv", **arguments)
        width, height = result.source_size
        factor = 2 if "look" in arguments else 4
        assert (result.models, result.target_size) == ({name: 40}, (factor * width, factor * height))
