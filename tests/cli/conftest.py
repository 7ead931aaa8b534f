"""The tiny stage of the tests of training, for those of the command."""

from tests.training.conftest import stage  # noqa: F401 - a fixture
