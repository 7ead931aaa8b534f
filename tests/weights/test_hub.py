"""The Hub client and a fake Hub with its HTTP protocol: redirects to a CDN, LFS uploads, error codes."""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from tests.hub_stand_in import REPO, REVISION
from thgen.cli import weights as weights_cli
from thgen.errors import WeightsError
from thgen.weights import hub
from thgen.weights.hub import METADATA_KEY, Hub, describe, load_network, resolve
from thgen.weights.manifest import Entry, read_manifest, write_manifest

FILE = "small/model.safetensors"


class Small(nn.Module):
    """A network to load: a weight, a float buffer, an integer buffer."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        if width < 1:
            raise ValueError("width must be positive")
        self.linear = nn.Linear(2, width)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


NETWORKS = {"small": f"{__name__}:Small"}


def _content(changes: dict[str, torch.Tensor | None] | None = None, network: str = "small", **config) -> bytes:
    torch.manual_seed(0)
    state = {k: v.half() if v.is_floating_point() else v for k, v in Small(3).state_dict().items()}
    state |= {"count": torch.tensor(7)}
    state = {k: v for k, v in (state | (changes or {})).items() if v is not None}
    return save(state, {METADATA_KEY: json.dumps({"network": network, "config": config or {"width": 3}})})


def _entry(content: bytes, **changes) -> Entry:
    digest = hashlib.sha256(content).hexdigest()
    about = {"data": "noise", "steps": 5, "minutes": 1.5, "hardware": "a desk", "scores": {"error": 0.5}}
    return replace(Entry(FILE, digest, len(content), "small", {"width": 3}, revision=REVISION, **about), **changes)


@pytest.fixture
def bundle(tmp_path):
    """(content, written to disk?, changes of the manifest entry) -> weights folder."""

    def build(content: bytes, bundled: bool = True, expected: bytes | None = None, **changes) -> Path:
        folder = tmp_path / "weights"
        (folder / "small").mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        if bundled:
            (folder / FILE).write_bytes(content)
        write_manifest(folder, {"small": _entry(expected or content, **changes)})
        return folder

    return build


# --- bundled files --------------------------------------------------------------------------------------------


def test_bundled_file_loads_in_float32_and_eval(bundle):
    content = _content()
    network = load_network("small", weights_dir=bundle(content), hub=Hub(None), networks=NETWORKS)
    stored = load(content)
    assert torch.equal(network.linear.weight, stored["linear.weight"].float()) and network.count == 7
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    assert {t.dtype for t in network.state_dict().values()} == {torch.float32, torch.int64}


def test_altered_file_is_refused_at_every_load(bundle):
    content = _content()
    folder = bundle(content)
    resolve("small", folder, Hub(None))
    altered = bytearray(content)
    altered[-1] ^= 1
    (folder / FILE).write_bytes(bytes(altered))
    for use in (resolve, load_network, hub.verify):
        with pytest.raises(WeightsError, match="altered"):
            use("small", weights_dir=folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"linear.bias": None}, r"linear\.bias is missing"),
        ({"extra": torch.zeros(2)}, "extra is unexpected"),
        ({"linear.weight": torch.zeros(4, 2)}, r"\[4, 2\] instead of \[3, 2\]"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(bundle, changes, message):
    with pytest.raises(WeightsError, match=message):
        load_network("small", weights_dir=bundle(_content(changes)), networks=NETWORKS)


def test_a_pickle_is_never_read_even_with_the_right_hash(bundle):
    class Boom:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_network("small", weights_dir=bundle(pickle.dumps(Boom())), networks=NETWORKS)


def test_wrong_class_keys_and_configs_are_refused(bundle):
    with pytest.raises(WeightsError, match="manifest says"):
        load_network("small", weights_dir=bundle(_content(network="other")), networks=NETWORKS)
    with pytest.raises(WeightsError, match="does not know"):
        load_network("small", weights_dir=bundle(_content()), networks={})
    for config in ({"width": 0}, {"depth": 3}):
        with pytest.raises(WeightsError, match="does not fit Small"):
            load_network("small", weights_dir=bundle(_content(**config)), networks=NETWORKS)


def test_names_of_the_manifest_only(bundle, tmp_path):
    with pytest.raises(WeightsError, match="lists: small"):
        resolve("absent", bundle(_content()))
    with pytest.raises(WeightsError, match="no weights manifest"):
        resolve("small", tmp_path / "nowhere")


# --- files of the Hub -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("redirect", [True, False])
def test_hub_file_is_fetched_once_then_comes_from_the_cache(bundle, stand_in, online, redirect):
    content = _content()
    stand_in.files[REVISION, FILE] = content
    stand_in.redirect = redirect
    folder = bundle(content, bundled=False)
    network = load_network("small", weights_dir=folder, hub=online, networks=NETWORKS)
    assert network.count == 7 and describe("small", folder, online)["source"] == "hub"
    before = stand_in.requests.copy()
    assert before["GET"] >= 1
    dead = replace(online, endpoint="http://127.0.0.1:9")
    assert resolve("small", folder, dead).read_bytes() == content
    assert stand_in.requests == before


def test_altered_hub_file_is_refused(bundle, stand_in, online):
    content = _content()
    altered = _content({"mean": torch.ones(3).half()})
    assert len(altered) == len(content)
    stand_in.files[REVISION, FILE] = altered
    with pytest.raises(WeightsError, match="altered"):
        resolve("small", bundle(b"", bundled=False, expected=content), online)


def test_hub_file_of_another_size_is_not_even_downloaded(bundle, stand_in, online):
    content = _content()
    stand_in.files[REVISION, FILE] = content
    stand_in.reported_size = 10**12
    with pytest.raises(WeightsError, match="1000000000000 bytes"):
        resolve("small", bundle(content, bundled=False), online)
    assert stand_in.requests["GET"] == 0


def test_hub_can_be_preferred_to_the_bundled_file(bundle, stand_in, online, monkeypatch, tmp_path):
    content = _content()
    stand_in.files[REVISION, FILE] = content
    folder = bundle(content)
    assert resolve("small", folder, online) == folder / FILE and not stand_in.requests
    monkeypatch.setenv("THGEN_HUB_REPO", REPO)
    monkeypatch.setenv("THGEN_PREFER_HUB", "1")
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    preferred = replace(Hub.from_environment(), cache_dir=tmp_path / "cache")
    assert resolve("small", folder, preferred).is_relative_to(tmp_path / "cache")


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"repo": "someone/else"}, "could not be fetched"), ({"repo": "no//name"}, "not a repository name")],
)
def test_absent_repositories_end_in_one_sentence(bundle, online, changes, message):
    with pytest.raises(WeightsError, match=message):
        resolve("small", bundle(_content(), bundled=False), replace(online, **changes))


def test_absent_file_repo_or_revision_says_what_to_do(bundle, online):
    folder = bundle(_content(), bundled=False)
    with pytest.raises(WeightsError, match="could not be fetched"):
        resolve("small", folder, online)
    with pytest.raises(WeightsError, match="THGEN_HUB_REPO"):
        resolve("small", folder, Hub(None))
    with pytest.raises(WeightsError, match="no Hub revision"):
        resolve("small", bundle(_content(), bundled=False, revision=None), online)


@pytest.mark.parametrize("dead", ["refused", "silent", "unknown name"])
def test_without_a_network_the_answer_comes_at_once(bundle, online, dead):
    folder = bundle(_content(), bundled=False)
    listener = socket.socket()  # listens, but its queue is full: connections hang like in a dead network
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    waiting = []
    if dead == "silent":
        listener.listen(0)
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(("127.0.0.1", port))
    host = "hub.invalid" if dead == "unknown name" else "127.0.0.1"
    import huggingface_hub  # noqa: F401  (its import is not what is measured)

    started = time.monotonic()
    with pytest.raises(WeightsError, match="connect to the network"):
        resolve("small", folder, replace(online, endpoint=f"http://{host}:{port}"))
    assert time.monotonic() - started < 3  # 0.7 s by design; test machines are slow
    for s in (*waiting, listener):
        s.close()


# --- messages for visitors, and the command line ------------------------------------------------------------------


def test_describe_says_which_weights_run(bundle):
    content = _content()
    about = describe("small", bundle(content), Hub(None))
    assert about["sha256"] == hashlib.sha256(content).hexdigest()[:12] and about["source"] == "bundled"
    for word in ("small", "bundled", about["sha256"], "5 steps", "1.5 min", "a desk", "noise"):
        assert word in about["text"]
    json.dumps(about)


def _weights(folder: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    weights_cli.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["weights", *words, "--weights", str(folder)])
    return args.run(args)


def test_command_line_lists_and_verifies(bundle, capsys):
    folder = bundle(_content())
    assert _weights(folder, "list") == 0 and "0.5" in capsys.readouterr().out
    assert _weights(folder, "verify") == 0 and "what the manifest says" in capsys.readouterr().out
    (folder / FILE).write_bytes(b"altered")
    with pytest.raises(WeightsError, match="altered"):
        _weights(folder, "verify")
    with pytest.raises(WeightsError, match="lists: small"):
        _weights(folder, "list", "absent")


def test_push_pins_the_commit_and_fetch_gets_the_same_file(bundle, stand_in, monkeypatch, tmp_path, capsys):
    content = _content()
    folder = bundle(content, revision=None)
    monkeypatch.setenv("THGEN_HUB_REPO", REPO)
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # the stand-in speaks LFS
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert _weights(folder, "push") == 0
    assert REVISION in capsys.readouterr().out and read_manifest(folder)["small"].revision == REVISION
    assert stand_in.files[REVISION, FILE] == content
    (folder / FILE).unlink()
    assert _weights(folder, "fetch", "small") == 0
    assert Path(capsys.readouterr().out.split(": ")[1].strip()).read_bytes() == content


def test_failed_push_leaves_the_manifest_alone(bundle, stand_in, monkeypatch):
    folder = bundle(_content(), revision=None)
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    monkeypatch.delenv("THGEN_HUB_REPO", raising=False)
    with pytest.raises(WeightsError, match="THGEN_HUB_REPO"):
        _weights(folder, "push")
    monkeypatch.setenv("THGEN_HUB_REPO", "someone/else")
    with pytest.raises(WeightsError, match="upload to someone/else"):
        _weights(folder, "push")
    assert read_manifest(folder)["small"].revision is None


@pytest.mark.weights
def test_networks_of_one_device_are_loaded_once_and_shared():
    from thgen.pipeline import Session
    from thgen.weights.hub import Networks

    shared = Networks("cpu")
    rig, pd_fgc = (Session.load(name, networks=shared) for name in ("rig", "pd_fgc"))
    generators = [session.method.generator for session in (rig, pd_fgc)]  # type: ignore[attr-defined]
    assert generators[0].analyser is generators[1].analyser is shared.get("analyser")
    assert generators[0].flow is generators[1].flow is shared.get("rig")


def test_a_device_that_is_not_here_is_told_when_it_is_needed():
    from thgen.errors import ControlError
    from thgen.weights.hub import Networks

    networks = Networks("abacus")
    with pytest.raises(ControlError, match="no device 'abacus'"):
        networks.get("analyser")
