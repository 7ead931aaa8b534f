"""For the tests of the evaluation: the bundled Rig as a subject."""

from __future__ import annotations

import pytest
import torch

from thgen.evaluation.subject import Subject, load


@pytest.fixture(scope="session")
def rig() -> Subject:
    torch.set_num_threads(1)
    (subject,) = load(["rig"], "cpu")
    return subject
