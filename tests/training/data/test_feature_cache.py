"""Cached features: computed once, in memory, and on disk for runs with the same networks."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from thgen.training.data.feature_cache import FeatureCache
from thgen.training.data.samples import Clip


class Counting:
    """An encoder whose feature is the mean colour of a view. It counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, views: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return views.mean((2, 3))


@pytest.fixture
def store(tmp_path):
    clip = SimpleNamespace(shard=tmp_path / "shard-00000.tar", key="000001_0")
    return SimpleNamespace(folder=tmp_path, clips=[clip, SimpleNamespace(shard=clip.shard, key="000001_1")])


def views(value: float) -> torch.Tensor:
    return torch.full((300, 3, 4, 4), value)


def test_features_are_computed_once(store):
    encode = Counting()
    cache = FeatureCache(encode, None)
    first = cache.rows("motion", Clip(store, 0), 1, lambda: views(0.25))
    assert encode.calls == 3 and first.shape == (300, 3) and (first == 0.25).all()
    assert torch.equal(first, cache.rows("motion", Clip(store, 0), 1, lambda: pytest.fail("computed again")))
    for name, number, version in (("eyes", 0, 1), ("motion", 1, 1), ("motion", 0, 2)):
        found = cache.rows(name, Clip(store, number), version, lambda: views(0.5))
        assert (found == 0.5).all(), "features of their own"


def test_a_folder_outlasts_the_process_for_the_same_networks(store, tmp_path):
    torch.manual_seed(0)
    network, folder, clip = nn.Linear(3, 3), tmp_path / "features", Clip(store, 0)
    FeatureCache(Counting(), None, str(folder), (network,)).rows("motion", clip, 0, lambda: views(0.25))
    again = FeatureCache(Counting(), None, str(folder), (network,))
    assert (again.rows("motion", clip, 0, lambda: pytest.fail("computed again")) == 0.25).all()
    other = FeatureCache(Counting(), None, str(folder), (nn.Linear(3, 3),))
    assert (other.rows("motion", clip, 0, lambda: views(0.75)) == 0.75).all(), "other weights have other features"
    assert len(list(folder.iterdir())) == 2 and not list(Path(folder).rglob("*.part.npy"))
