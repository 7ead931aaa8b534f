"""Features that are seen once: in memory, and on disk for whoever has the same networks."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from thgen.training.data.feature_cache import FeatureCache


class Counting:
    """Sees the mean colour of views, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, views: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        return views.mean((2, 3))


@pytest.fixture
def store(tmp_path):
    clip = SimpleNamespace(shard=tmp_path / "shard-00000.tar", key="000001_0")
    return SimpleNamespace(folder=tmp_path, clips=[clip, SimpleNamespace(shard=clip.shard, key="000001_1")])


def views(value: float) -> torch.Tensor:
    return torch.full((300, 3, 4, 4), value)


def test_what_was_seen_is_not_looked_at_again(store):
    see = Counting()
    kept = FeatureCache(see, None)
    first = kept.rows("motion", store, 0, 1, lambda: views(0.25))
    assert see.asked == 3 and first.shape == (300, 3) and (first == 0.25).all()
    assert torch.equal(first, kept.rows("motion", store, 0, 1, lambda: pytest.fail("looked again")))
    for name, number, version in (("eyes", 0, 1), ("motion", 1, 1), ("motion", 0, 2)):
        assert (kept.rows(name, store, number, version, lambda: views(0.5)) == 0.5).all(), "a view of its own"


def test_a_folder_outlasts_the_process_for_the_same_networks(store, tmp_path):
    torch.manual_seed(0)
    network, folder = nn.Linear(3, 3), tmp_path / "kept"
    FeatureCache(Counting(), None, str(folder), (network,)).rows("motion", store, 0, 0, lambda: views(0.25))
    again = FeatureCache(Counting(), None, str(folder), (network,))
    assert (again.rows("motion", store, 0, 0, lambda: pytest.fail("looked again")) == 0.25).all()
    other = FeatureCache(Counting(), None, str(folder), (nn.Linear(3, 3),))
    assert (other.rows("motion", store, 0, 0, lambda: views(0.75)) == 0.75).all(), "other weights see something else"
    assert len(list(folder.iterdir())) == 2 and not list(Path(folder).rglob("*.part.npy"))
