"""For every test: one thread of torch, also in the processes that tests start.

Two workers with two threads each on two cores wait for each other far longer than they work.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import pytest
from hidden import pytest_addoption, pytest_configure  # noqa: F401 - hooks: the option --without
from hub_stand_in import REPO, serve

from thgen.hub import Hub


@pytest.fixture
def stand_in():
    with serve() as state:
        yield state


@pytest.fixture
def online(stand_in, tmp_path) -> Hub:
    return Hub(REPO, endpoint=stand_in.url, cache_dir=tmp_path / "cache")
