"""What tests of the source filter share."""

from collections.abc import Iterator

import pytest
import vapoursynth as vs

from tests.av1.conftest import made  # noqa: F401  # a fixture


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """What is said to the user, as it comes."""
    told: list[str] = []
    handler = vs.core.add_log_handler(lambda _, message: told.append(message))
    yield told
    vs.core.remove_log_handler(handler)
