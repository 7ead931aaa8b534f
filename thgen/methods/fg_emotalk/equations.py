"""Equations of FG-EmoTalk in the order of the paper, with their numbers. Deviations: see the folder's __init__."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thgen.losses.adversarial import discriminator_logistic, generator_logistic
from thgen.losses.contrastive import cosine
from thgen.losses.reconstruction import perceptual as feature_distance
from thgen.methods.fg_emotalk.networks import VideoNetwork
from thgen.nn.rows import Rows

# Weights of the losses by their names in the configs (section "Implementation Details"); eq. 11 gives the others 1.
LAMBDAS = {"appearance": 100.0, "expression": 100.0, "perceptual": 10.0, "image": 1.0, "adversarial": 1.0}


# ---- Video Generation Network
def features(net: VideoNetwork, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Eq. 1, x = E(picture), [B code], with the hierarchical facial features of the same pass. picture [B 3 S S]."""
    code, maps = net.encoder(picture)
    return code, maps


@dataclass(frozen=True)
class Embeddings(Rows):
    """x^app [B code], x^pose [B M_p], x^exp [B M_e]: pose and expression are magnitudes of the dictionary."""

    appearance: Tensor
    pose: Tensor
    expression: Tensor


def extract(net: VideoNetwork, feature: Tensor) -> Embeddings:
    """Eq. 2, x^m = E_m(x) for m of app, pose, exp. feature [B code]."""
    return Embeddings(net.appearance(feature), net.pose(feature), net.expression(feature))


def edited(net: VideoNetwork, source: Embeddings, driving: Embeddings) -> Tensor:
    """Eq. 3, y = x_S^app + Dic(x_D^exp, x_D^pose), [B code]."""
    return source.appearance + net.move(driving.pose, driving.expression)


def generate(net: VideoNetwork, maps: list[Tensor], code: Tensor) -> Tensor:
    """Eq. 4, S' = G(x_S-facial, y), [B 3 S S]."""
    picture: Tensor = net.decoder(code, maps)
    return picture


# ---- Self-Supervised Training Strategy
@dataclass(frozen=True)
class Made(Rows):
    """The five pictures of a training step, [B 3 S S] each."""

    target: Tensor  # S': appearance of S, expression and pose of D
    appearance: Tensor  # S^app
    expression: Tensor  # S^exp
    pose: Tensor  # S^pose
    rebuilt: Tensor  # S^rec


def made(net: VideoNetwork, maps: list[Tensor], source: Embeddings, driving: Embeddings) -> Made:
    """Eq. 5, and S' of eq. 4. All five share the facial features and the appearance of S."""
    who = source.appearance
    codes = [
        edited(net, source, driving),
        who,
        who + net.move(expression=driving.expression),
        who + net.move(pose=driving.pose),
        who + net.move(expression=source.expression) + net.move(pose=source.pose),
    ]
    return Made(*(generate(net, maps, code) for code in codes))


# ---- Loss Function
Backbone = Callable[[Tensor], Tensor]  # pictures [B 3 S S] -> features


def appearance(backbone: Backbone, made: Tensor, source: Tensor) -> Tensor:
    """Eq. 6, L_app = L_A(S^app, S): 1 - cosine of the backbone's features [B D] (deviation 5)."""
    with torch.no_grad():
        true = backbone(source)
    return 1 - cosine(backbone(made).float(), true.float()).mean()


def expression(backbone: Backbone, made: Tensor, driving: Tensor) -> Tensor:
    """Eq. 7, L_exp = L_E(S^exp, D): mean absolute difference of the backbone's tokens [B N D] (deviation 5). S^exp has
    the pose of S, so no loss of pixels may compare it with D."""
    with torch.no_grad():
        true = backbone(driving)
    return (backbone(made).float() - true.float()).abs().mean()


def perceptual(vgg: Callable[[Tensor], list[Tensor]], made: Made, source: Tensor, driving: Tensor) -> Tensor:
    """Eq. 8, L_per = L_P(S', D) + L_P(S^rec, S). vgg: pictures -> list of feature maps."""
    with torch.no_grad():
        d, s = vgg(driving), vgg(source)
    return feature_distance(vgg(made.target), d) + feature_distance(vgg(made.rebuilt), s)


def reconstruction(made: Tensor, driving: Tensor) -> Tensor:
    """Eq. 9, L_rec = L_R(S', D), the mean absolute error over pixels."""
    return (made - driving).abs().mean()


def gan_generator(logits: Sequence[Tensor]) -> Tensor:
    """Eq. 10, L_gan: sum over the five pictures of -log D(picture). Logits of any shape."""
    return sum(generator_logistic(part.float()) for part in logits)  # type: ignore[return-value]


def gan_discriminator(real: Tensor, fake: Sequence[Tensor]) -> Tensor:
    """What D minimises against eq. 10: the mean over the five pictures of -log D(S) - log(1 - D(picture)).

    A mean, so that true pictures do not count five times.
    """
    return sum(discriminator_logistic(real.float(), part.float()) for part in fake) / len(fake)  # type: ignore[return-value]


def total(terms: Mapping[str, Tensor], weights: Mapping[str, float] = LAMBDAS) -> Tensor:
    """Eq. 11, L = lambda_app L_app + lambda_exp L_exp + lambda_per L_per + L_rec + L_gan.

    `terms` lacks the losses whose frozen network is absent (deviation 5).
    """
    return sum(weights[name] * term for name, term in terms.items())  # type: ignore[return-value]


# ---- AU Encoder Module (the paper prints no equation)
def au_loss(made: Tensor, change: Tensor) -> Tensor:
    """Distance of AU codes to changes of the expression magnitudes from the person's neutral frame, [B M_e] each: L1
    plus 1 - cosine (deviation 7). No gradient reaches `change`: the video network is frozen."""
    change = change.detach()
    return (made - change).abs().mean() + 1 - cosine(made, change).mean()
