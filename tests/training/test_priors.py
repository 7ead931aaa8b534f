"""Priors: from the stand-in of the Hub when they can be had and are what they should be; else the loss is off."""

import hashlib
import logging
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from tests.hub_stand_in import REPO, REVISION
from thgen.analyser.network import Analyser
from thgen.errors import TrainingError, WeightsError
from thgen.losses.reconstruction import feature_l1
from thgen.nn.ir_se import ArcFace
from thgen.nn.vgg import VGG19
from thgen.training.config import load_stage
from thgen.training.export import History, export_weights, folder_of
from thgen.training.priors import (
    PINS,
    IdentityPrior,
    Pin,
    choose_face_prior,
    choose_identity_prior,
    choose_prior,
    load_prior,
)
from thgen.training.task import build_task
from thgen.weights.hub import Hub
from thgen.weights.manifest import BUNDLED, Entry, read_manifest

NARROW = ((4, 2), (6, 2), (8, 4), (8, 4), (8, 1))


def narrow() -> VGG19:
    return VGG19(NARROW)


@pytest.fixture
def content() -> bytes:
    torch.manual_seed(0)
    classifier = {"head.fc.weight": torch.zeros(2, 2), "features.30.weight": torch.zeros(8, 8, 3, 3)}
    return save(narrow().state_dict() | classifier)


@pytest.fixture
def pins(stand_in, content) -> dict[str, Pin]:
    stand_in.files[REVISION, "model.safetensors"] = content
    entry = replace(PINS["vgg19"].entry, sha256=hashlib.sha256(content).hexdigest(), revision=REVISION)
    return {"vgg19": replace(PINS["vgg19"], repo=REPO, entry=entry, build=narrow)}


def test_a_prior_of_others_is_pinned_to_a_commit_and_a_hash():
    for pin in PINS.values():
        assert isinstance(pin.entry, Entry) and len(pin.entry.sha256) == 64 and len(pin.entry.revision or "") == 40
        assert pin.entry.file.endswith(".safetensors") and pin.entry.licence


def test_weights_come_from_the_hub_and_the_classifier_is_left_behind(pins, online, content):
    prior = load_prior("vgg19", source=online, pins=pins)
    torch.manual_seed(0)
    assert torch.equal(prior.network.features[0].weight, narrow().features[0].weight)
    assert not any(p.requires_grad for p in prior.parameters())
    assert REPO in prior.about and REVISION[:7] in prior.about and "BSD" in prior.about


def test_auto_prefers_vgg_and_falls_back_to_the_analyser(pins, online, caplog):
    assert choose_prior("auto", source=online, pins=pins).name == "vgg19"
    with caplog.at_level(logging.WARNING):
        offline = Hub(None, endpoint="http://127.0.0.1:9", cache_dir=online.cache_dir.with_name("empty"))
        assert choose_prior("auto", source=offline, pins=pins).name == "analyser"
    assert "'vgg19' is not available" in caplog.text


def test_a_loss_without_its_prior_is_off_and_says_so(pins, online, caplog):
    offline = Hub(None, endpoint="http://127.0.0.1:9", cache_dir=online.cache_dir.with_name("empty"))
    with caplog.at_level(logging.WARNING):
        assert choose_prior("vgg19", source=offline, pins=pins) is None
    assert "no loss uses it" in caplog.text


def test_altered_or_foreign_files_are_refused(pins, online, stand_in, content):
    pin = pins["vgg19"]
    altered = {"vgg19": replace(pin, entry=replace(pin.entry, sha256="0" * 64))}
    with pytest.raises(WeightsError, match="altered"):
        load_prior("vgg19", source=online, pins=altered)
    other = save({"features.0.weight": torch.zeros(4, 3, 3, 3), "surprise": torch.zeros(1)})
    stand_in.files["f" * 40, "model.safetensors"] = other
    entry = replace(pin.entry, sha256=hashlib.sha256(other).hexdigest(), revision="f" * 40)
    with pytest.raises(WeightsError, match=r"unexpected|missing"):
        load_prior("vgg19", source=online, pins={"vgg19": replace(pin, entry=entry)})


def test_unknown_names_are_told():
    with pytest.raises(TrainingError, match="auto, analyser, vgg19"):
        choose_prior("vgg11")


@pytest.mark.parametrize("name", ["vgg19", "analyser"])
def test_the_loss_is_zero_at_equality_and_pulls_towards_the_truth(name, pins, online):
    prior = load_prior(name, source=online, pins=pins)
    torch.manual_seed(1)
    truth = torch.rand(1, 3, 64, 64) * 2 - 1
    picture = (0.5 * truth).requires_grad_()
    assert feature_l1(prior(truth), prior(truth)) == 0
    loss = feature_l1(prior(picture), [m.detach() for m in prior(truth)])
    loss.backward()
    with torch.no_grad():
        nearer = picture - 0.01 * picture.grad / picture.grad.abs().max()
        assert feature_l1(prior(nearer), prior(truth)) < loss


def test_losses_look_through_the_analyser_that_the_run_exported(tmp_path):
    """A later stage of a run finds what an earlier one exported, and the manifest says so."""
    small = Analyser(20, [[0, 1], [2, 3]], [4, 5], channels=(8, 8, 8, 8, 8), hidden=16, segments=8)
    history = History("rig/analyser", "noise", 1, 1.0, "a desk", {})
    assert folder_of("analyser", tmp_path) == folder_of("analyser", "") == BUNDLED
    export_weights({"analyser": (small.state_dict(), small.config)}, (), history, tmp_path)
    assert folder_of("analyser", tmp_path) == tmp_path and folder_of("audio", tmp_path) == BUNDLED
    sha = read_manifest(tmp_path)["analyser"].sha256[:12]
    prior = load_prior("analyser", folder_of("analyser", tmp_path))
    assert prior.about == f"of this run, {sha}" and prior.network.config["hidden"] == 16
    bundled = load_prior("analyser", folder_of("analyser", ""))
    assert bundled.about == f"bundled, {read_manifest(BUNDLED)['analyser'].sha256[:12]}"


@pytest.mark.parametrize(("method", "stage"), [("rig", "polish"), ("pd_fgc.compact", "1"), ("pd_fgc.compact", "3")])
def test_stages_ask_the_run_for_its_analyser(shards, tmp_path, method, stage):
    small = Analyser(90, [[0, 1], [2, 3]], [4, 5], channels=(8, 8, 8, 8, 8), hidden=16, segments=8)
    history = History("rig/analyser", "noise", 1, 1.0, "a desk", {})
    export_weights({"analyser": (small.state_dict(), small.config)}, (), history, tmp_path)
    data = {"data.train": str(shards), "data.val": str(shards), "data.head": "ellipsoid"}
    config = load_stage(method, stage, overrides=data)
    about = build_task(replace(config, weights=str(tmp_path))).data_summary
    assert f"analyser, of this run, {read_manifest(tmp_path)['analyser'].sha256[:12]}" in about
    assert "analyser, bundled, " in build_task(config).data_summary


def test_an_identity_network_is_any_one_of_that_weights_name(tmp_path, caplog):
    """ArcFace goes first, the bundled stand-in follows, and without the one that is named the loss is off."""
    with caplog.at_level(logging.WARNING):
        assert choose_identity_prior("arcface", 0.75) is None
        stand_in = choose_identity_prior("auto", 0.75)
    assert caplog.text.count("'arcface' is not available") == 2
    assert stand_in.name == "identity" and stand_in.about.startswith("bundled")
    torch.manual_seed(0)
    small = ArcFace(4, (1, 1, 1, 1), 8)
    history = History("s", "d", 1, 0.0, "h", {})
    export_weights({"identity": (small.state_dict(), dict(small.config))}, (), history, tmp_path)
    prior = choose_identity_prior("auto", 0.75, tmp_path)
    assert prior.name == "identity" and prior.about.startswith("of this run")
    assert prior(torch.zeros(2, 3, 64, 64)).shape == (2, 8) and not any(p.requires_grad for p in prior.parameters())


def test_a_face_prior_is_a_vgg19_of_that_weights_name(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert choose_face_prior("auto") is None
    assert "'vggface' is not available" in caplog.text
    small = narrow()
    history = History("s", "d", 1, 0.0, "h", {})
    export_weights({"vggface": (small.state_dict(), dict(small.config))}, (), history, tmp_path)
    prior = choose_face_prior("auto", tmp_path)
    assert prior.name == "vggface" and not any(p.requires_grad for p in prior.parameters())
    assert [m.shape[1] for m in prior(torch.zeros(1, 3, 32, 32))] == [c for c, _ in NARROW]
    assert choose_face_prior("other", tmp_path) is None


def test_an_identity_network_sees_the_middle_of_a_picture():
    seen = []

    class Mean(torch.nn.Module):
        def forward(self, x):
            seen.append(x.shape)
            return x.mean((2, 3))

    prior = IdentityPrior("mean", "", Mean(), share=0.75)
    picture = torch.ones(1, 3, 64, 64)
    picture[..., 8:56, 8:56] = 0.25
    assert prior(picture).tolist() == [[0.25] * 3] and seen == [(1, 3, 112, 112)]
