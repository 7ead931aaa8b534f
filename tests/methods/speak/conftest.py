"""Clips for the stages of SPEAK."""

import pytest

from tests.rendered import render_speakers


@pytest.fixture(scope="session")
def talk(tmp_path_factory):
    """Two clips of the built-in head, speaking for 20 frames; the last seven have the emotion of the clip."""
    return render_speakers(tmp_path_factory.mktemp("speak_talk"), 20)
