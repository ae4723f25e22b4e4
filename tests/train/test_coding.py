"""Coding and decoding of single pictures."""

import numpy as np
import pytest
import vapoursynth as vs

from tests.train.photographs import photograph
from train.coding import decode, encode
from train.errors import EncoderError
from train.material.pictures import clip_planes, rgb_to_yuv420
from train.pairs import PAIRS, Pair


@pytest.fixture
def clip() -> vs.VideoNode:
    return rgb_to_yuv420(np.asarray(photograph(1, 112, 96)))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.slug)
def test_the_stream_is_smaller_by_the_ratio_and_close_to_the_picture(clip: vs.VideoNode, pair: Pair) -> None:
    decoded = decode(encode(clip, pair, cpu_used=8))
    assert (decoded.width, decoded.height) == (112 / pair.ratio.factor, 96 / pair.ratio.factor)
    assert abs(clip_planes(decoded)[0].mean() - clip_planes(clip)[0].mean()) < 1.5


def test_stronger_compression_takes_fewer_bytes(clip: vs.VideoNode) -> None:
    sizes = [len(encode(clip, pair, cpu_used=8)) for pair in PAIRS if pair.ratio.name == "2:1"]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_an_encoder_that_fails_is_an_error_with_its_own_message(clip: vs.VideoNode) -> None:
    with pytest.raises(EncoderError, match=r"a picture of 56x48 at Q64: the encoder failed: .*crf"):
        encode(clip, Pair(PAIRS[0].ratio, 64), cpu_used=8)
