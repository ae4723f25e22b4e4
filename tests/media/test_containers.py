"""A container is one entry of the registry."""

from pathlib import Path

import pytest

from tests.helpers.films import Studio, Upscaled, times_of
from vs_srcomp.cli.batch import batch
from vs_srcomp.media import containers
from vs_srcomp.media.containers import CONTAINERS, ContainerKind
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.transcode import Job

M4V = ContainerKind(suffix=".m4v", muxer="mp4", always_default=True, chapter_ends=False, says_flip=True)


def test_a_new_entry_can_be_written_and_verified(
    studio: Studio, upscaled: Upscaled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "CONTAINERS", (*CONTAINERS, M4V))
    film = studio.picture("for-m4v.mkv")
    target = tmp_path / "out.m4v"
    assert times_of(upscaled(film, target).target) == times_of(film)
    assert [finding for finding in verify(Job(source=film, target=target)) if finding.fault] == []


def test_the_command_offers_every_container() -> None:
    option = next(option for option in batch.params if option.name == "container")
    containers = [kind.suffix.removeprefix(".") for kind in CONTAINERS]
    assert list(option.type.choices)[: len(containers)] == containers  # type: ignore[attr-defined]
