"""What tests of the source filter share."""

from tests.av1.conftest import made  # noqa: F401  # a fixture
