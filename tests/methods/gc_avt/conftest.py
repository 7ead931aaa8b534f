"""Clips for the stages of GC-AVT."""

import pytest

from tests.rendered import render_speakers


@pytest.fixture(scope="session")
def talk(tmp_path_factory):
    """Two clips of the built-in head, speaking for 16 frames."""
    return render_speakers(tmp_path_factory.mktemp("gc_avt_talk"), 16)
