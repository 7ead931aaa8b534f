"""Equations of SPEAK in the order of the paper, with their numbers. Deviations: see the folder's __init__.

S and T are two pictures, of identity i and j, emotion m and n, pose p and q. "own" is the code of S or T themselves,
"with" the code of a picture of G_d that was made with this factor of S or T: with_s of the identity is E_i(I_d(i,n,q)).
Codes are [B D]; results are means over the batch, [].
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.losses.adversarial import discriminator_logistic, generator_logistic
from thgen.losses.reconstruction import masked_mean, perceptual, root_mean_square

ALPHA = 0.2  # margin of eq. 1, on codes of length 1 (deviation 4)
MARGIN = 1.0  # margin of eq. 11, on embeddings of length 1 (deviation 17)
# Weights of eq. 8 and 13 by the names of the losses in the config: the paper adds the terms.
IRFD = {"identity": 1.0, "cls": 1.0, "pose": 1.0, "emotion": 1.0, "self": 1.0}
HEAD = {"adversarial": 1.0, "sync": 1.0, "vgg": 1.0}


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """Distance of the directions of codes, [B D] -> [B] from 0 to 2."""
    return (F.normalize(a, dim=1) - F.normalize(b, dim=1)).norm(dim=1)


# ---- 3.1 IRFD
def identity(
    own_s: Tensor, with_s: Tensor, own_t: Tensor, with_t: Tensor, differ: Tensor, alpha: float = ALPHA,
    as_printed: bool = False,
) -> Tensor:  # fmt: skip
    """Eq. 1, L_identity: a triplet loss for S and one for T, whose sum is taken (deviation 4).

    differ [B]: 1 where S and T are two people; other rows have no negative.
    as_printed: max(||own_s - with_s|| - ||own_t - with_t|| + alpha, 0). It rewards a wrong identity in the second
    picture, and is alpha where both are right.
    """
    if as_printed:
        return F.relu((own_s - with_s).norm(dim=1) - (own_t - with_t).norm(dim=1) + alpha).mean()
    first = F.relu(_apart(own_s, with_s) - _apart(own_s, with_t) + alpha)
    second = F.relu(_apart(own_t, with_t) - _apart(own_t, with_s) + alpha)
    return masked_mean(first + second, differ.to(first))


def classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 2, L_cls = -sum_i y_i log p_i, for logits [B N] and classes [B] from 0. -1 has no label; 0 without any."""
    known = labels >= 0
    if not known.any():
        return logits.sum() * 0
    return F.cross_entropy(logits[known].float(), labels[known])


def kept(own_s: Tensor, with_s: Tensor, own_t: Tensor, with_t: Tensor, as_printed: bool = False) -> Tensor:
    """Eq. 3 for codes of the pose, L_pose, and eq. 4 for those of the emotion, L_emotion: what was taken over is read
    back, ||with_s - own_s||_2 + ||with_t - own_t||_2.

    Codes are compared by their directions, and own codes get no gradient (deviation 5). as_printed: neither.
    """
    if as_printed:
        return ((with_s - own_s).norm(dim=1) + (with_t - own_t).norm(dim=1)).mean()
    return (_apart(with_s, own_s.detach()) + _apart(with_t, own_t.detach())).mean()


def itself(made_s: Tensor, made_t: Tensor, true_s: Tensor, true_t: Tensor) -> Tensor:
    """Eq. 5 to 7, L_self = L_self1 + L_self2, of pictures [B 3 H W]: what G_d makes of a picture's own three codes, and
    the picture (deviation 6)."""
    return root_mean_square(made_s - true_s) + root_mean_square(made_t - true_t)


def disentanglement(terms: Mapping[str, Tensor], weights: Mapping[str, float] = IRFD) -> Tensor:
    """Eq. 8. The training loop computes it from the config's weights."""
    return sum(weight * terms[name] for name, weight in weights.items())  # type: ignore[return-value]


# ---- 3.2 Talking head generation: eq. 9 is networks.TalkingGenerator
# ---- 3.3 Network training
def gan_generator(fake: list[Tensor]) -> Tensor:
    """Eq. 10, the part of G: sum over scales of -log D(x, G(x)) (deviation 15). Logits of any shape."""
    return sum(generator_logistic(logits.float()) for logits in fake)  # type: ignore[return-value]


def gan_discriminator(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Eq. 10, the part of D: sum over scales of -log D(x, y) - log(1 - D(x, G(x)))."""
    pairs = zip(real, fake, strict=True)
    return sum(discriminator_logistic(true.float(), made.float()) for true, made in pairs)  # type: ignore[return-value]


def synchronisation(distance: Tensor, same: Tensor, margin: float = MARGIN) -> Tensor:
    """Eq. 11, L_sync = 1 / 2N sum_n y_n d_n^2 + (1 - y_n) max(margin - d_n, 0)^2. distance d, same y: [N]."""
    apart = F.relu(margin - distance).square()
    return (same * distance.square() + (1 - same) * apart).mean() / 2


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Eq. 12, d: L2 distance of embeddings [... D] of the expert -> [...]. Of a voice and of what G_g made for it; as
    printed, of two videos (deviation 17)."""
    return torch.linalg.vector_norm(a - b, dim=-1)


def vgg(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """L_vgg above eq. 13: sum over layers of the mean distance of feature maps. No gradient reaches true."""
    return perceptual(made, true)


def total(terms: Mapping[str, Tensor], weights: Mapping[str, float] = HEAD) -> Tensor:
    """Eq. 13, L = L_GAN + L_sync + L_vgg. The training loop computes it from the config's weights."""
    return sum(weight * terms[name] for name, weight in weights.items())  # type: ignore[return-value]
