"""Clips for the stages of FC-TFG."""

import pytest

from tests.rendered import render_speakers


@pytest.fixture(scope="session")
def talk(tmp_path_factory):
    """Two clips of the built-in head, speaking for 12 frames."""
    return render_speakers(tmp_path_factory.mktemp("fc_tfg_talk"), 12)
