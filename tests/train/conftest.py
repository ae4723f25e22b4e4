"""Tests of training compute on one thread: on small tensors more threads only wait for each other."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'vs-srcomp[train]'")
    torch.set_num_threads(1)
