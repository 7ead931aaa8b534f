"""What `make smoke` does, at the smallest sizes: every stage of every method and preset, one after another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from thgen.__main__ import main
from thgen.cli.render import RenderJob, render_shard
from thgen.methods.pd_fgc import stages
from thgen.training import clip_task
from thgen.training.config import config_files, preset_of, read_stages
from thgen.weights.hub import load_network
from thgen.weights.manifest import HIGHER, LOWER, read_manifest

pytest.importorskip("espeakng_loader")
slow = pytest.mark.slow  # seven seconds each
MAKEFILE = Path(__file__).parents[2] / "Makefile"
RIG = {
    "analyser": ["model.channels=[8,8,8,8,8]", "model.hidden=16", "model.segments=8"],
    "face_encoder": [*(f"model.{net}=[8,8,8,8]" for net in ("face", "eye", "mouth", "brows")), "model.codes=[8,8,8,8]"],
    "identity": ["model.units=[1,1,1,1]", "model.features=8", "batch_size=8"],
    "audio": ["model.fine=8", "model.coarse=8", "data.seconds=1.0"],
    "generator": ["model.channels=[8,8,8,8]", "model.fine=8", "model.code=8"],
    "polish": ["model.channels=[8,8,8,8]", "model.fine=8", "model.code=8"],
}
PD_FGC = [
    "model.audio={channels: [8, 16], depths: [1, 1], features: 16, attention: 8, lip: 10}",
]
PRESETS = {
    "compact": [
        "model.appearance={hidden: 16, features: 8}",
        "model.head={hidden: 16, layers: 1}",
        "model.motion={hidden: 16, features: 16, lip: 10}",
        "data.cached_views=1",
    ],
    "paper": [
        "model.appearance={depths: [1, 1], groups: 2, group_width: 4, base: 4, map_channels: 8, side: 4}",
        "model.motion={width: 16, side: 128, features: 16, maps: 8, squeeze: 8, lip: 10}",
        "model.style={channels: [8, 8, 8, 8, 8, 4], start: 4}",
    ],
}

FC_TFG = {
    "compact": [
        "model.encoder={hidden: 16, latent: 8}",
        "model.voice={base: 4}",
        "model.fusion={hidden: 8}",
        "model.heads={hidden: 16, layers: 1}",
        "model.discriminator={channels: [4, 4, 4, 4, 4, 4, 4]}",
        "data.cached_views=1",
    ],
    "paper": [
        "model.generator={latent: 8, channels: [8, 8, 8, 8, 4], layers: 2}",
        "model.encoder={base: 4, units: [1, 1, 1, 1]}",
        "model.voice={base: 4}",
        "model.fusion={hidden: 8}",
        "model.discriminator={}",
        "model.sync={base: 4}",
    ],
}
OF_FC_TFG = {
    "compact": {"fc_tfg_" + name for name in ("encoder", "voice", "fusion", "heads")},
    "paper": {"fc_tfg_paper_" + name for name in ("generator", "encoder", "voice", "fusion")} | {"fc_tfg_sync"},
}

GC_AVT = [
    "model.identity={features: 8, depths: [1, 1], groups: 2, base: 4}",
    "model.pose={outputs: 3, width: 0.1}",
    "model.expression={outputs: 4, width: 0.1}",
    "model.content={features: 8, channels: [16], depths: [1]}",
    "model.voice={features: 8, channels: [16], depths: [1], attention: 4}",
    "model.generator={channels: [8, 8, 8, 8], residual: 1}",
    "model.discriminator={scales: 2, channels: [4, 8]}",
]

SPEAK = [
    "model.encoder={features: 8, depths: [1, 1], base: 16}",
    "model.irfd={latent: 8, channels: [16, 16, 16, 16]}",
    "model.voice={features: 8, dilations: [1], channels: [16, 16, 16, 16, 16, 16, 16], hidden: 16, layers: 1, "
    "heads: 2, inner: 16, positions: 8, groups: 2}",
    "model.generator={latent: 8, channels: [16, 16, 16, 16], hidden: 8}",
    "model.discriminator={scales: 2, channels: [16, 16]}",
    "model.sync={base: 4}",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that holds out/smoke/pairs and out/smoke/talk, as `make smoke` renders them but of the built-in head."""
    place = tmp_path_factory.mktemp("smoke")
    pairs, talk = place / "out/smoke/pairs", place / "out/smoke/talk"
    for folder in (pairs, talk):
        folder.mkdir(parents=True)
    render_shard(RenderJob(str(pairs), 2, 1, frames=9, motion="pairs", head="ellipsoid"), 0)
    render_shard(RenderJob(str(talk), 1, 1, frames=16, flow_size=64, motion="track", head="ellipsoid"), 0)
    return place


@pytest.fixture(autouse=True)
def few_batches(monkeypatch):
    """Scores of one batch: only their names are looked at."""
    monkeypatch.setattr(clip_task, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(stages, "HELD_BATCHES", 1)


def train(place: Path, monkeypatch, *words: str, settings: list[str]) -> None:
    monkeypatch.chdir(place)
    chosen = [word for setting in settings for word in ("--set", setting)]
    assert main(["train", *words, "--smoke", "--cpu", "--runs", "out/smoke/runs", *chosen]) == 0


def exported(place: Path, method: str) -> set[str]:
    """Names of what a run exported; each loads, and each score of each has a direction or is known to have none."""
    folder = place / "out/smoke/runs" / method / "weights"
    entries = read_manifest(folder)
    for name, entry in entries.items():
        load_network(name, weights_dir=folder)
        assert set(entry.better.values()) <= {HIGHER, LOWER}
        neither = {score for score in entry.scores if score not in entry.better}
        # a gain is best at 1
        assert all(score.endswith("copy") or score == "l1_true_flow" or score.startswith("gain_") for score in neither)
    return set(entries)


@slow
def test_every_stage_of_rig_trains(place, monkeypatch):
    assert list(RIG) == list(read_stages("rig"))
    for stage, settings in RIG.items():
        head = [] if stage == "audio" else ["data.head=ellipsoid"]
        train(place, monkeypatch, "rig", "--stage", stage, settings=[*settings, *head])
    assert exported(place, "rig") == {"analyser", "audio", "face_encoder", "identity", "rig"}


@slow
@pytest.mark.parametrize("preset", PRESETS)
def test_every_stage_of_pd_fgc_trains(place, monkeypatch, preset):
    settings = [*PD_FGC, *PRESETS[preset], "data.head=ellipsoid"]
    train(place, monkeypatch, "pd_fgc", "--preset", preset, settings=settings)
    prefix, painter = {"compact": ("pd_fgc_", "head"), "paper": ("pd_fgc_paper_", "generator")}[preset]
    assert exported(place, f"pd_fgc.{preset}") == {prefix + n for n in ("appearance", "motion", "audio", painter)}


@slow
@pytest.mark.parametrize("preset", FC_TFG)
def test_every_stage_of_fc_tfg_trains(place, monkeypatch, preset):
    train(place, monkeypatch, "fc_tfg", "--preset", preset, settings=[*FC_TFG[preset], "data.head=ellipsoid"])
    assert exported(place, f"fc_tfg.{preset}") == OF_FC_TFG[preset]


@slow
def test_every_stage_of_gc_avt_trains(place, monkeypatch):
    train(place, monkeypatch, "gc_avt", "--preset", "paper", settings=[*GC_AVT, "data.head=ellipsoid"])
    names = ("identity", "pose", "expression", "content", "voice", "generator")
    assert exported(place, "gc_avt.paper") == {"gc_avt_paper_" + name for name in names}


@slow
def test_every_stage_of_speak_trains(place, monkeypatch):
    train(place, monkeypatch, "speak", "--preset", "paper", settings=[*SPEAK, "data.head=ellipsoid"])
    names = ("sync", "identity", "emotion", "pose", "irfd", "voice", "editing", "generator")
    assert exported(place, "speak.paper") == {"speak_paper_" + name for name in names}


def test_make_smoke_trains_every_config():
    recipe = MAKEFILE.read_text().partition("\nsmoke:")[2]
    found = re.findall(r"thgen train (\S+)(?: --preset (\S+))? --smoke", recipe)
    assert {preset_of(method, preset) for method, preset in found} == set(config_files())
