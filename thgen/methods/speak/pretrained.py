"""wav2vec 2.0 base as its authors trained it: from the Hub, pinned to a commit and a SHA-256, never bundled.

It is the checkpoint of FaceFormer, on which the paper builds its audio encoder (section 3.2.1).
"""

from __future__ import annotations

from dataclasses import replace

from thgen.nn.wav2vec import Wav2Vec2, own_names
from thgen.training.priors import Pin
from thgen.weights import hub
from thgen.weights.manifest import Entry

NAME = "wav2vec2"
WAV2VEC2 = Pin(
    "facebook/wav2vec2-base-960h",
    Entry(
        "model.safetensors",
        "8aa76ab2243c81747a1f832954586bc566090c83a0ac167df6f31f0fa917d74a",
        377_607_901,
        NAME,
        data="LibriSpeech, 960 h of English",
        licence="Apache-2.0",
        revision="22aad52d435eb6dbaf354bdad9b0da84ce7d6156",
    ),
    Wav2Vec2,
)


def fill_pretrained(network: Wav2Vec2, source: hub.Hub | None = None, pin: Pin = WAV2VEC2) -> str:
    """Fill a network in place. Returns words for the manifest. source: address and cache of the Hub.

    Raises WeightsError if the weights are not available, do not have their hash or do not fit.
    """
    path = hub.fetch(NAME, pin.entry, replace(source or hub.Hub.from_environment(), repo=pin.repo))
    hub.fill(path, network, own_names(hub.foreign_tensors(NAME, path, pin.entry)))
    return f"{pin.repo}@{(pin.entry.revision or '')[:7]} ({pin.entry.licence})"
