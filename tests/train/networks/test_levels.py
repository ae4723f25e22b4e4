"""Networks that take the level of each picture."""

import pytest
import torch

from tests.tolerances import FLOAT32_CONSTANTS
from tests.train.networks.awake import awake_interpolated, awake_plain
from train.networks.network import Network


@pytest.mark.parametrize("network", [awake_plain(2, 8, 4), awake_interpolated(2, 8, 4)], ids=["plain", "interpolated"])
def test_each_picture_of_a_batch_has_its_own_level(network: Network) -> None:
    luma = torch.rand(3, 1, 24, 24)
    q = torch.tensor([12.0, 33.0, 55.0])
    together = network(luma, q)
    for index in range(3):
        alone = network(luma[index : index + 1], q[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, **FLOAT32_CONSTANTS)
    assert (network(luma, q.flip(0)) - together).abs()[[0, 2]].amax() > 1e-3
