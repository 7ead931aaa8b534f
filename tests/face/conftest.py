from __future__ import annotations

import pytest
import torch

from tests.face.drawn import DotAnalyser


@pytest.fixture
def analyser() -> DotAnalyser:
    torch.set_num_threads(1)
    return DotAnalyser()
