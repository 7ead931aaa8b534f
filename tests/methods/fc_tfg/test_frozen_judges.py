"""The frozen networks of picture losses: which are loaded, and what they are without their weights."""

import pytest
import torch

from thgen.methods.fc_tfg import equations as eq
from thgen.methods.fc_tfg import frozen_judges
from thgen.methods.fc_tfg.frozen_judges import MIDDLE, FrozenJudges
from thgen.methods.fc_tfg.stage_settings import PriorData
from thgen.methods.fc_tfg.sync import lip_windows
from thgen.nn.wav2lip import SyncExpert

ALL = ("perceptual", "identity", "sync", "image")


@pytest.fixture
def data():
    return PriorData(train="a", val="b", prior="analyser")


@pytest.fixture
def nothing(monkeypatch):
    """A machine without any of the networks."""
    for name in ("choose_prior", "choose_identity_prior", "choose_sync_expert"):
        monkeypatch.setattr(frozen_judges, name, lambda *_: None)


def test_losses_without_their_network_are_zero_and_told(data, nothing):
    judges = FrozenJudges(ALL, data, "")
    pictures = torch.rand(2, 3, 64, 64)
    assert judges.compared(pictures, -pictures) == {"perceptual": 0, "identity": 0}
    assert judges.sync(torch.rand(1, 5, 3, 64, 64), torch.rand(1, 5, 1, 80, 16)) == 0
    assert [sentence.split(" off")[0] for sentence in judges.summary] == [
        "perceptual loss",
        "identity loss",
        "sync loss",
    ]
    assert judges.networks() == {}


def test_what_no_loss_names_is_not_loaded(data, monkeypatch):
    for name in ("choose_prior", "choose_identity_prior", "choose_sync_expert"):
        monkeypatch.setattr(frozen_judges, name, lambda *_: pytest.fail("loaded"))
    judges = FrozenJudges(("image",), data, "")
    assert judges.compared(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)) == {} and judges.summary == []


def test_sync_hears_the_middle_of_the_window(data, nothing, monkeypatch):
    torch.manual_seed(0)
    expert = SyncExpert(4).eval()
    monkeypatch.setattr(frozen_judges, "choose_sync_expert", lambda *_: expert)
    judges = FrozenJudges(("sync",), data, "")
    made, mel = torch.rand(2, 5, 3, 96, 96), torch.randn(2, 5, 1, 80, 16)
    expected = eq.synchronisation(expert.video(lip_windows(made)), expert.audio(mel[:, MIDDLE]))
    torch.testing.assert_close(judges.sync(made, mel), expected)
    assert MIDDLE == 2 and list(judges.networks()) == ["expert"]
