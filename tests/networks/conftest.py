import numpy as np
import pytest
import torch

from thgen.networks.flow import GuidedFlow
from thgen.synth.ellipsoid import ellipsoid_head
from thgen.synth.head import neck_weight
from thgen.synth.keypoints import build_layout
from thgen.training.generator_stage import fill_rig


@pytest.fixture(scope="session")
def layout():
    return build_layout(ellipsoid_head(), neck_weight)


@pytest.fixture(scope="session")
def generator(layout):
    """An untrained generator around the built-in head's layout."""
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
    points = layout.canonical * np.array([1, -1, -1]) / 18
    return torch.from_numpy(points - points[:68].mean(0) * np.array([0, 0, 1])).float()[None]
