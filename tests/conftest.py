"""For every test: one thread of torch, also in the processes that tests start; small networks and clips for many.

Two workers with two threads each on two cores wait for each other far longer than they work.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import pytest

from tests.hidden import pytest_addoption, pytest_configure  # noqa: F401 - hooks: the option --without
from tests.hub_stand_in import REPO, serve
from thgen.weights.hub import Hub


@pytest.fixture
def stand_in():
    with serve() as state:
        yield state


@pytest.fixture
def online(stand_in, tmp_path) -> Hub:
    return Hub(REPO, endpoint=stand_in.url, cache_dir=tmp_path / "cache")


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """A folder of clips of the built-in head, small but real."""
    from tests.rendered import render_clips

    out = tmp_path_factory.mktemp("shards")
    return render_clips(out, "--clips-per-identity", "2", "--frames", "5", "--motion", "random")


@pytest.fixture(scope="session")
def layout():
    """The built-in head's layout of keypoints."""
    from thgen.synth.head.ellipsoid import ellipsoid_head
    from thgen.synth.head.keypoints import build_layout
    from thgen.synth.head.performer import neck_weight

    return build_layout(ellipsoid_head(), neck_weight)


@pytest.fixture(scope="session")
def generator(layout):
    """An untrained generator around the built-in head's layout."""
    import torch

    from thgen.compact.flow.network import GuidedFlow
    from thgen.compact.generator_stage import fill_rig
    from thgen.synth.head.ellipsoid import ellipsoid_head

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = GuidedFlow(len(layout.index), len(layout.loops[2]), channels=(16, 24, 32, 40), fine=8, code=16)
    net.eval().requires_grad_(False)
    fill_rig(net.rig, layout, ellipsoid_head().eye_centre)
    with torch.no_grad():
        net.coarse.log_width.copy_(torch.from_numpy(layout.width).log())
    return net


@pytest.fixture(scope="session")
def keypoints(layout):
    """The canonical head, framed like a photo: [1 K 3] in crop coordinates."""
    import numpy as np
    import torch

    points = layout.canonical * np.array([1, -1, -1]) / 18
    return torch.from_numpy(points - points[:68].mean(0) * np.array([0, 0, 1])).float()[None]
