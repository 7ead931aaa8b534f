"""Pretrained networks ("priors") by name. Losses compare their features of two pictures.

The analyser is bundled. Priors of other authors come from the Hub, pinned to a commit and a SHA-256, as safetensors
only, and are never bundled. A loss whose prior is not available is off; the log and the manifest say so. `auto` is the
first one of PREFERRED that is available.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from thgen.analyser.network import INPUT_SIZE, Analyser, analyse_squares, framing
from thgen.errors import TrainingError, WeightsError
from thgen.nn.coefficients import pick
from thgen.nn.ir_se import FACE_SIDE
from thgen.nn.vgg import VGG19
from thgen.schema import EXPRESSION_COEFFICIENTS
from thgen.training.export import folder_of
from thgen.weights import hub
from thgen.weights.manifest import BUNDLED, Entry

LOG = logging.getLogger(__name__)
PREFERRED = ("vgg19", "analyser")
# Weights names of networks of identities: ArcFace, weights of other authors, which are only on the Hub, and a stand-in
# that is trained on rendered identities and bundled.
IDENTITIES = ("arcface", "identity")
FACE_PRIOR = "vggface"  # weights name of a VGG19 of face recognition, which nobody publishes as free safetensors


@dataclass(frozen=True)
class Pin:
    """Pretrained weights of other authors.

    repo:  on the Hub
    entry: file, revision, hash and licence
    build: makes the network that the weights fill
    spare: prefixes of names of tensors in the file that the network does not have
    """

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
            0,  # bytes are not checked, the hash is
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
    """A frozen network for perceptual losses."""

    def __init__(self, name: str, about: str, network: nn.Module):
        """about: where its weights come from, for log and manifest."""
        super().__init__()
        self.name, self.about = name, about
        self.network = network.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> list[Tensor]:
        """Pictures [B 3 H W] in [-1, 1] -> feature maps of several layers."""
        if isinstance(self.network, Analyser):
            return self.network.features(F.interpolate(image, INPUT_SIZE, mode="area"))[:3]
        return self.network(image)


# Priors of the papers for which there is no release as safetensors under a free licence: name -> what they measure.
UNPUBLISHED = {
    "emoca": "motion and emotion (eq. 1 and 8 of PD-FGC)", "l2cs": "gaze (eq. 8 of PD-FGC)", "syncnet": "lip sync",
}  # fmt: skip


@dataclass(frozen=True)
class Motions:
    """Output of a motion prior for B pictures. geometry [B G]: x and y of keypoints in crop coordinates; emotion [B E]:
    coefficients of the expression; gaze [B 4] in units of ten degrees."""

    geometry: Tensor
    emotion: Tensor
    gaze: Tensor


class MotionPrior(nn.Module):
    """The analyser in the place of EMOCA (phi, psi) and L2CS (gaze). name, about: as of Prior."""

    def __init__(self, analyser: Analyser, about: str):
        super().__init__()
        self.name, self.about = "analyser", about
        self.network = analyser.requires_grad_(False).eval()

    def forward(self, image: Tensor, keypoints: Tensor) -> Motions:
        """image [B 3 S S] in [-1, 1]; keypoints [B K 3] by which the face is cropped for the analyser."""
        analysis, points = analyse_squares(self.network, image, framing(keypoints))
        return Motions(points[..., :2].flatten(1), pick(analysis.coefficients, EXPRESSION_COEFFICIENTS),
                       analysis.gaze.flatten(1) / 10)  # fmt: skip


def _which(name: str, weights_dir: Path | None) -> str:
    """Source and hash of our own weights, for the manifest."""
    about = hub.describe(name, weights_dir)
    own = weights_dir is not None and weights_dir.resolve() != BUNDLED and about["source"] == "bundled"
    return f"{'of this run' if own else about['source']}, {about['sha256']}"


def choose_motion_prior(name: str, weights_dir: Path | None = None) -> MotionPrior | None:
    """The motion prior of that name; "auto" is the analyser. None, with a warning, for one that is not published.

    Raises TrainingError for an unknown name.
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


class IdentityPrior(nn.Module):
    """A frozen network of identities. name, about: as of Prior.

    network: faces [B 3 `side` `side`] in [-1, 1] -> embeddings [B D]. Any network with this interface will do.
    """

    def __init__(self, name: str, about: str, network: nn.Module, share: float, side: int = FACE_SIDE):
        """share: part of a picture's side that the network sees, around its centre."""
        super().__init__()
        self.name, self.about, self.share, self.side = name, about, share, side
        self.network = network.requires_grad_(False).eval()

    def forward(self, image: Tensor) -> Tensor:
        """Pictures [B 3 S S] in [-1, 1] -> embeddings [B D]."""
        size = image.shape[-1]
        edge = round(size * (1 - self.share) / 2)
        middle = image[..., edge : size - edge, edge : size - edge]
        embeddings: Tensor = self.network(F.adaptive_avg_pool2d(middle, self.side))
        return embeddings


def choose_identity_prior(name: str, share: float, exported: Path | str = "") -> IdentityPrior | None:
    """The identity network of that weights name: exported by the run, bundled, or on the Hub of THGEN_HUB_REPO.

    "auto" tries IDENTITIES in order. None, with a warning, where its weights are not available. share: see
    IdentityPrior.
    """
    for candidate in IDENTITIES if name == "auto" else (name,):
        weights_dir = folder_of(candidate, exported)
        try:
            network = hub.load_network(candidate, "cpu", weights_dir)
        except WeightsError as error:
            LOG.warning("The identity network %r is not available, so no loss uses it: %s", candidate, error)
            continue
        return IdentityPrior(candidate, _which(candidate, weights_dir), network, share)
    return None


def choose_face_prior(name: str, exported: Path | str = "") -> Prior | None:
    """A VGG19 of face recognition, by its weights name; "auto" is FACE_PRIOR. Exported by the run, bundled, or on the
    Hub of THGEN_HUB_REPO; its pictures are normalised as those of ImageNet. None, with a warning, without weights."""
    name = FACE_PRIOR if name == "auto" else name
    weights_dir = folder_of(name, exported)
    try:
        network = hub.load_network(name, "cpu", weights_dir)
    except WeightsError as error:
        LOG.warning("The face prior %r is not available, so no loss uses it: %s", name, error)
        return None
    return Prior(name, _which(name, weights_dir), network)


def use_of(prior: Prior | MotionPrior | IdentityPrior | None) -> str:
    """Whether losses with this prior are on, for the manifest."""
    return f"on {prior.name}, {prior.about}" if prior else "off, the prior is not available"


def load_prior(
    name: str,
    weights_dir: Path | None = None,
    source: hub.Hub | None = None,
    pins: dict[str, Pin] = PINS,
) -> Prior:
    """The prior of that name on the CPU. source: address and cache of the Hub; the repository is the pin's.

    Raises TrainingError for an unknown name, WeightsError if the weights are not available or do not have their hash.
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
    """As `load_prior`, but None, with a warning, if the weights are not available. "auto" tries PREFERRED in order."""
    for candidate in PREFERRED if name == "auto" else (name,):
        try:
            prior = load_prior(candidate, weights_dir, source, pins)
        except WeightsError as error:
            LOG.warning("The prior %r is not available, so no loss uses it: %s", candidate, error)
            continue
        LOG.info("The prior of perceptual losses is %r: %s", prior.name, prior.about)
        return prior
    return None
