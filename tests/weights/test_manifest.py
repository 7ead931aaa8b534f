"""The manifest rejects entries that do not lead to one verified safetensors file."""

from __future__ import annotations

import json

import pytest

from thgen.errors import WeightsError
from thgen.weights.manifest import MANIFEST, Entry, read_manifest, update_manifest, write_manifest

GOOD = {"file": "a/model.safetensors", "sha256": "0" * 64, "bytes": 3, "network": "net"}


def test_entries_come_back_as_they_went_in(tmp_path):
    entry = Entry(**GOOD, scores={"error": 0.1}, revision="a" * 40)
    write_manifest(tmp_path, {"a": entry})
    update_manifest(tmp_path, {"b": entry})
    assert read_manifest(tmp_path) == {"a": entry, "b": entry}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "../elsewhere.safetensors"}, "inside the weights folder"),
        ({"file": "/etc/x.safetensors"}, "inside the weights folder"),
        ({"file": "a/model.ckpt"}, r"\.safetensors"),
        ({"sha256": "abc"}, "64 hex digits"),
        ({"revision": "main"}, "40 hex digits"),
        ({"code": "os.system"}, "does not know: code"),
        ({"network": None}, "lacks: network"),
    ],
)
def test_dangerous_or_incomplete_entries_are_refused(tmp_path, change, message):
    raw = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    (tmp_path / MANIFEST).write_text(json.dumps({"weights": {"a": raw}}))
    with pytest.raises(WeightsError, match=message):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"weights": []}', '{"weights": {"a": 3}}'])
def test_malformed_manifests_are_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(WeightsError):
        read_manifest(tmp_path)
