"""The study of the quantizer, where FFmpeg fails."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from train.errors import EncoderError
from train.quantizer_study import HEIGHT, VIDEOS, WIDTH, Encoder, encode, main


def test_an_original_that_is_missing_is_one_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--data", str(tmp_path), "--work", str(tmp_path), "--results", "none.csv"])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), done.exception
    file, _ = VIDEOS["cartoon"]
    assert f"Error: {tmp_path / 'video' / file}: not a readable video" in done.output
    assert "--data is the folder with video and test" in done.output


def test_an_encoder_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    luma, chroma = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8)
    with pytest.raises(EncoderError, match=r"a\.mkv: the encoder failed: .*nothing"):
        encode([[luma, chroma, chroma]], Encoder("nothing", "-c:v nothing", (1,)), 1, tmp_path / "a.mkv")
    assert not list(tmp_path.iterdir())
