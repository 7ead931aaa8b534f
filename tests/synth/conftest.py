"""Heads to render: the built-in one, and FaceKit if its file is there."""

import pytest
import torch

from thgen.errors import AssetError
from thgen.synth.clip import head_mesh


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=["ellipsoid", pytest.param("facekit", marks=pytest.mark.facekit)])
def mesh(request):
    try:
        return head_mesh(request.param)
    except AssetError as error:
        pytest.skip(str(error))
