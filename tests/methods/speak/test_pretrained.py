"""wav2vec 2.0 of its authors, from the stand-in of the Hub."""

import hashlib
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from tests.hub_stand_in import REPO, REVISION
from thgen.errors import WeightsError
from thgen.methods.speak.pretrained import WAV2VEC2, fill_pretrained
from thgen.nn.wav2vec import Wav2Vec2
from thgen.weights.hub import Hub

TINY = {"channels": (16,) * 7, "hidden": 16, "layers": 1, "heads": 2, "inner": 32, "positions": 8, "groups": 2}


def tiny(seed: int) -> Wav2Vec2:
    torch.manual_seed(seed)
    return Wav2Vec2(**TINY)


@pytest.fixture
def pin(stand_in):
    """A public checkpoint at a tiny size, with names as in 2020."""
    tensors = {
        "wav2vec2." + name.removeprefix("model.").replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"): value
        for name, value in tiny(1).state_dict().items()
    }  # fmt: skip
    content = save(tensors | {"lm_head.weight": torch.zeros(2, 16)})
    stand_in.files[REVISION, "model.safetensors"] = content
    sha = hashlib.sha256(content).hexdigest()
    return replace(
        WAV2VEC2, repo=REPO, entry=replace(WAV2VEC2.entry, sha256=sha, bytes=len(content), revision=REVISION)
    )


def test_the_pin_is_a_commit_a_hash_and_safetensors():
    entry = WAV2VEC2.entry
    assert len(entry.sha256) == 64 and len(entry.revision) == 40 and entry.file.endswith(".safetensors")
    assert entry.licence == "Apache-2.0" and WAV2VEC2.repo == "facebook/wav2vec2-base-960h"


def test_weights_come_from_the_hub(pin, online):
    net, wanted = tiny(2), tiny(1)
    assert not torch.equal(
        net.model.feature_projection.projection.weight, wanted.model.feature_projection.projection.weight
    )
    about = fill_pretrained(net, online, pin)
    assert all(torch.equal(value, wanted.state_dict()[name]) for name, value in net.state_dict().items())
    assert REPO in about and REVISION[:7] in about and "Apache" in about


def test_altered_weights_and_other_sizes_are_refused(pin, online):
    with pytest.raises(WeightsError, match="altered"):
        fill_pretrained(tiny(2), online, replace(pin, entry=replace(pin.entry, sha256="0" * 64)))
    with pytest.raises(WeightsError, match="does not fit"):
        fill_pretrained(Wav2Vec2(**TINY | {"layers": 2}), online, pin)


def test_without_a_connection_the_error_says_what_is_missing(tmp_path):
    offline = Hub(None, endpoint="http://127.0.0.1:9", cache_dir=tmp_path)
    with pytest.raises(WeightsError, match="'wav2vec2' are not on this machine"):
        fill_pretrained(tiny(2), offline)
