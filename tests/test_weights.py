"""What the repository ships: every bundled file is the manifest's, loads strictly, and all fit in 100 MB."""

from __future__ import annotations

import re

import pytest

from thgen.weights.hub import Hub, load_network, verify
from thgen.weights.manifest import BUNDLED, MANIFEST, read_manifest

pytestmark = pytest.mark.weights
ENTRIES = read_manifest(BUNDLED)
LIMIT = 100_000_000


def test_the_manifest_is_not_empty():
    assert ENTRIES


@pytest.mark.parametrize("name", ENTRIES)
def test_bundled_file_verifies_and_builds_its_network(name):
    path = verify(name)
    assert path.stat().st_size == ENTRIES[name].bytes
    network = load_network(name, hub=Hub(None))
    assert sum(p.numel() for p in network.parameters()) > 0


@pytest.mark.parametrize("name", ENTRIES)
def test_manifest_says_how_the_weights_came_to_be(name):
    entry = ENTRIES[name]
    assert entry.steps > 0 and entry.minutes > 0 and entry.data and entry.hardware and "MIT" in entry.licence


def test_heads_were_trained_on_the_bundled_face_encoder():
    """They fit no other one. Their entry names theirs (`encoder.frozen.trained_on`)."""
    encoder = ENTRIES["face_encoder"].sha256
    for name, entry in ENTRIES.items():
        for named in re.findall(r"features of the face encoder (\w+)", entry.data):
            assert encoder.startswith(named), f"{name} was trained on the face encoder {named}: train it again"


def test_all_that_is_bundled_stays_below_100_mb_and_is_listed():
    files = [p for p in BUNDLED.rglob("*") if p.is_file() and not p.name.startswith(".")]
    assert sum(p.stat().st_size for p in files) < LIMIT
    listed = {BUNDLED / e.file for e in ENTRIES.values()} | {BUNDLED / MANIFEST}
    assert set(files) == listed
