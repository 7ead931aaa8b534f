"""Equations of FC-TFG in the order of the paper, with their numbers. Deviations: see the folder's __init__."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from thgen.losses.adversarial import discriminator_logistic, generator_logistic
from thgen.losses.contrastive import cosine
from thgen.losses.reconstruction import root_mean_square

# lambda_1 to lambda_6 of eq. 9, by the names of the losses in the configs
LAMBDAS = {"ortho": 1.0, "sync": 0.1, "identity": 0.5, "image": 1.0, "perceptual": 1.0, "adversarial": 0.1}


# ---- 3.1 Navigating canonical space
def transfer(canonical: Tensor, motion: Tensor) -> Tensor:
    """Eq. 1: z_sd = z_sc + z_cd, before the temporal fusion. canonical [... N], motion [... N] are broadcast.

    motion = 0 gives the canonical face.
    """
    return canonical + motion


# ---- 3.2 Navigating multimodal motion space
def joined(voice: Tensor | None, frame: Tensor) -> Tensor:
    """The input of E_m in eq. 2: E_a(x_a) + E_inv(x_d), concatenated along the channels in this order (deviation 5).

    voice [B A], None at indices that get no voice; frame [B N] -> [B A+N] or [B N].
    """
    return frame if voice is None else torch.cat([voice, frame], -1)


# ---- 3.3 Training objectives
def orthogonality(canonical: Tensor, motion: Tensor, kind: str = "product") -> Tensor:
    """Eq. 3, L_ortho: mean |z_sc * z_cd| over rows, indices and the N channels (deviation 8). Both [... N].

    kind: "product", or "cosine" of table 4, the mean |cos(z_sc, z_cd)|. 0 where each channel belongs to one of the two
    ("product"), or where the codes are perpendicular ("cosine").
    """
    if kind == "cosine":
        return cosine(canonical, motion).abs().mean()
    return (canonical * motion).abs().mean()


def synchronisation(video: Tensor, audio: Tensor) -> Tensor:
    """Eq. 4, L_sync = 1 - cos(f_v(x_g), f_a(x_a)), mean over the batch. Features of the sync expert, both [B D]."""
    return 1 - cosine(video, audio).mean()


def identity(made: Tensor, true: Tensor) -> Tensor:
    """Eq. 5, L_id = 1 - cos(E_id(x_g), E_id(x_d)), mean over the batch. Embeddings, both [B D]; true gets no
    gradient."""
    return 1 - cosine(made, true.detach()).mean()


def reconstruction(made: Tensor, true: Tensor) -> Tensor:
    """Eq. 6, L_rec = || x_g - x_d ||_1, mean over pixels (deviation 11). Pictures [B 3 H W] in [-1, 1]."""
    return (made - true).abs().mean()


def lpips(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """Eq. 7, L_LPIPS = 1 / N_f sum_i || phi(x_g)_i - phi(x_d)_i ||_2 over N_f maps of VGG19 (deviation 12).

    made, true: maps [B C h w]; true gets no gradient.
    """
    terms = [root_mean_square(a.float() - b.float().detach()) for a, b in zip(made, true, strict=True)]
    return sum(terms) / len(terms)  # type: ignore[return-value]


def gan_generator(fake: Tensor) -> Tensor:
    """Eq. 8, the part of G: -log D(G(z)), non-saturating (deviation 13). fake: logits of any shape."""
    return generator_logistic(fake)


def gan_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. 8, the part of D: -log D(x_d) - log(1 - D(G(z))). Logits of any shape."""
    return discriminator_logistic(real, fake)


def total(terms: Mapping[str, Tensor], weights: Mapping[str, float] = LAMBDAS) -> Tensor:
    """Eq. 9, L_total: the weighted sum of the six losses. The training loop computes it from the config's weights."""
    return sum(weight * terms[name] for name, weight in weights.items())  # type: ignore[return-value]
