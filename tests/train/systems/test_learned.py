"""Enlarging with a network: sizes, passes, the mean of eight views."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.tolerances import ONE_CODE
from train.degradations.resample import lanczos5
from train.networks import NETWORKS
from train.networks.network import Network
from train.systems.learned import enlarger, mean_of_views

PLANE = np.random.default_rng(1).integers(16, 236, (24, 30), dtype=np.uint8)


def test_an_untrained_network_enlarges_about_linearly() -> None:
    enlarged = enlarger(NETWORKS.make("espcn", scale=2))(PLANE, 2)
    assert enlarged.shape == (48, 60)
    assert enlarged.dtype == np.uint8
    linear = np.asarray(Image.fromarray(PLANE).resize((60, 48), Image.Resampling.BILINEAR))
    # Beyond the border there is black.
    assert np.abs(enlarged.astype(int) - linear)[8:-8, 8:-8].mean() < 2


def test_a_network_on_the_enlarged_picture_gets_lanczos_5() -> None:
    np.testing.assert_array_equal(enlarger(NETWORKS.make("srcnn"))(PLANE, 3), lanczos5(PLANE, 72, 90))


def test_two_passes_enlarge_by_the_square() -> None:
    network = NETWORKS.make("espcn", scale=2)
    once = enlarger(network)
    np.testing.assert_array_equal(enlarger(network, passes=2)(PLANE, 4), once(once(PLANE, 2), 2))


def test_a_scale_that_the_network_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="a network of scale 2 cannot enlarge by 3"):
        enlarger(NETWORKS.make("espcn", scale=2))(PLANE, 3)


def test_the_mean_of_views_turns_each_view_back() -> None:
    np.testing.assert_array_equal(mean_of_views(lambda view: view.astype(np.float32), PLANE), PLANE)
    # Something that depends on the view: its first row. Of the eight views, each side is first in two.
    marked = mean_of_views(lambda view: np.eye(1, view.shape[0]).T.repeat(view.shape[1], 1).astype(np.float32), PLANE)
    expected = np.zeros(PLANE.shape)
    expected[0] += 0.25
    expected[-1] += 0.25
    expected[:, 0] += 0.25
    expected[:, -1] += 0.25
    np.testing.assert_array_equal(marked, expected)


def test_an_ensemble_has_no_preferred_direction() -> None:
    class Lopsided(Network):
        def __init__(self) -> None:
            super().__init__(scale=1, channels=1)
            self.blur = nn.Conv2d(1, 1, 3, padding=1, bias=False)
            self.blur.weight.data.copy_(torch.tensor([[0.0, 0, 0], [0, 0.5, 0.5], [0, 0, 0]]))

        def forward(self, picture: Tensor) -> Tensor:
            blurred: Tensor = self.blur(picture)
            return blurred

    network = Lopsided()
    square = PLANE[:24, :24]
    plain, ensemble = (enlarger(network, ensemble=ensemble)(square, 1) for ensemble in (False, True))
    assert np.abs(enlarger(network)(square.T, 1).T.astype(int) - plain).max() > 10
    # The eight views are added up in another order: what lies in the middle of two codes may be rounded either way.
    turned = enlarger(network, ensemble=True)(square.T, 1).T
    assert np.abs(turned.astype(int) - ensemble).max() <= ONE_CODE


def test_another_output_can_be_taken() -> None:
    network = NETWORKS.make("cisr-psi", blocks=1, width=8, rounds=2)
    clean = enlarger(network, output=-1)
    assert clean(PLANE, 2).shape == PLANE.shape
