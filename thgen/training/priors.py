"""Pretrained networks that losses look through, by name. Ours is bundled; those of others come from the Hub.

A prior of others is pinned to a commit and a SHA-256, read as safetensors only, and never bundled. A loss whose prior
cannot be had is off and says so; `auto` takes the first of PREFERRED that can be had.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from thgen.analyser.network import INPUT_SIZE, Analyser, framing, look
from thgen.errors import TrainingError, WeightsError
from thgen.nn.coefficients import pick
from thgen.nn.vgg import VGG19
from thgen.schema import EXPRESSION_COEFFICIENTS
from thgen.weights import hub
from thgen.weights.manifest import BUNDLED, Entry

LOG = logging.getLogger(__name__)
PREFERRED = ("vgg19", "analyser")


@dataclass(frozen=True)
class Pin:
    """Weights of others. repo on the Hub; entry: file, revision, hash, licence; build: the network to fill;
    spare: beginnings of the names of tensors that the file may hold besides."""

    repo: str
    entry: Entry
    build: Callable[[], nn.Module]
    spare: tuple[str, ...] = ()


PINS: dict[str, Pin] = {
    "vgg19": Pin(
        "timm/vgg19.tv_in1k",
        Entry(
            "model.safetensors",
            "11aea017b543ff59233749d8f1cf544cda749378f5790d2fedab841fb86b7669",
            0,  # the size is not checked beforehand; the hash is
            "vgg19",
            data="ImageNet-1k",
            licence="BSD-3-Clause",
            revision="128d4708565b3a414bcbb9bbad440b2fe37b9f18",
        ),
        VGG19,
        ("features.30.", "features.32.", "features.34.", "pre_logits.", "head.", "classifier."),
    ),
}


class Prior(nn.Module):
    """name; about: one line for log and manifest; forward: pictures [B 3 H W] in [-1, 1] -> list of feature maps."""

    def __init__(self, name: str, about: str, network: nn.Module):
        super().__init__()
        self.name, self.about = name, about
        self.network = network.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> list[Tensor]:
        if isinstance(self.network, Analyser):
            return self.network.features(F.interpolate(image, INPUT_SIZE, mode="area"))[:3]
        return self.network(image)


# Priors that the papers use and nobody publishes as safetensors with a licence that lets us name a commit.
UNPUBLISHED = {
    "emoca": "motion and emotion (eq. 1 and 8 of PD-FGC)", "l2cs": "gaze (eq. 8 of PD-FGC)", "syncnet": "lip sync",
}  # fmt: skip


@dataclass(frozen=True)
class Motions:
    """What a motion prior sees in B pictures. geometry [B G]: keypoints in crop coordinates, x and y; emotion [B E]:
    weights of the expression's shapes; gaze [B 4] in units of ten degrees."""

    geometry: Tensor
    emotion: Tensor
    gaze: Tensor


class MotionPrior(nn.Module):
    """Our analyser in the place of EMOCA (phi, psi) and L2CS (gaze). name, about: as of Prior."""

    def __init__(self, analyser: Analyser, about: str):
        super().__init__()
        self.name, self.about = "analyser", about
        self.network = analyser.requires_grad_(False).eval()

    def forward(self, image: Tensor, keypoints: Tensor) -> Motions:
        """image [B 3 S S] in [-1, 1]; keypoints [B K 3]: where its face is, which frames it."""
        seen, points = look(self.network, image, framing(keypoints))
        return Motions(points[..., :2].flatten(1), pick(seen.coefficients, EXPRESSION_COEFFICIENTS),
                       seen.gaze.flatten(1) / 10)  # fmt: skip


def _which(name: str, weights_dir: Path | None) -> str:
    """Where our weights come from and which they are, for the manifest."""
    about = hub.describe(name, weights_dir)
    own = weights_dir is not None and weights_dir.resolve() != BUNDLED and about["source"] == "bundled"
    return f"{'of this run' if own else about['source']}, {about['sha256']}"


def choose_motion_prior(name: str, weights_dir: Path | None = None) -> MotionPrior | None:
    """The motion prior of that name ("auto": ours), or None, logged, for one that cannot be had: its losses are off.

    Raises TrainingError for a name that is not known.
    """
    if name in UNPUBLISHED:
        LOG.warning("The prior %r, %s, has no safetensors release: its losses are off.", name, UNPUBLISHED[name])
        return None
    if name not in ("auto", "analyser"):
        raise TrainingError(
            f"There is no motion prior {name!r}; choose one of: auto, analyser, {', '.join(UNPUBLISHED)}."
        )
    network = hub.load_network("analyser", "cpu", weights_dir)
    assert isinstance(network, Analyser)
    return MotionPrior(network, _which("analyser", weights_dir))


def load_prior(
    name: str,
    weights_dir: Path | None = None,
    source: hub.Hub | None = None,
    pins: dict[str, Pin] = PINS,
) -> Prior:
    """The prior of that name on the CPU. `source` says where the Hub is; its repo is the pin's own.

    Raises TrainingError for a name that is not known and WeightsError when the weights cannot be had or were altered.
    """
    if name == "analyser":
        return Prior(name, _which(name, weights_dir), hub.load_network(name, "cpu", weights_dir))
    if name not in pins:
        raise TrainingError(f"There is no prior {name!r}; choose one of: auto, analyser, {', '.join(pins)}.")
    pin = pins[name]
    path = hub.fetch(name, pin.entry, replace(source or hub.Hub.from_environment(), repo=pin.repo))
    tensors = hub.foreign_tensors(name, path, pin.entry)
    network = pin.build()
    hub.fill(path, network, {k: v for k, v in tensors.items() if not k.startswith(pin.spare)} if pin.spare else tensors)
    return Prior(name, f"{pin.repo}@{(pin.entry.revision or '')[:7]} ({pin.entry.licence})", network)


def choose_prior(
    name: str, weights_dir: Path | None = None, source: hub.Hub | None = None, pins: dict[str, Pin] = PINS
) -> Prior | None:
    """As `load_prior`, but what cannot be had is logged and passed over: "auto" falls back along PREFERRED, any other
    name gives None, and the loss is off."""
    for candidate in PREFERRED if name == "auto" else (name,):
        try:
            prior = load_prior(candidate, weights_dir, source, pins)
        except WeightsError as error:
            LOG.warning("The prior %r cannot be had, so no loss looks through it: %s", candidate, error)
            continue
        LOG.info("Losses look through the prior %r: %s", prior.name, prior.about)
        return prior
    return None
