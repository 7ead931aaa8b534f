"""Contrastive losses (InfoNCE, van den Oord et al. 2018) over cosine similarities."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity along the last axis, in [-1, 1]. a, b [... D] are broadcast; the result is [...]."""
    return F.cosine_similarity(a, b, dim=-1, eps=1e-6)


def info_nce(positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Mean of -log( e^p / (e^p + sum_k e^n_k) ), each similarity divided by `temperature` first.

    positive [N], negatives [N K]. At least log(1 + K e^(-2 / temperature)), because cosines lie in [-1, 1].
    """
    logits = torch.cat([positive[:, None], negatives], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def info_nce_among(near: Tensor, temperature: float) -> Tensor:
    """InfoNCE of similarities near [B N N]: the diagonal is positive, the rest of the row negative. Mean []."""
    count = near.shape[1]
    other = ~torch.eye(count, dtype=torch.bool, device=near.device)
    negatives = near[:, other].unflatten(1, (count, count - 1))
    return info_nce(near.diagonal(dim1=1, dim2=2).flatten(), negatives.flatten(0, 1), temperature)


def angular_margin(near: Tensor, person: Tensor, margin: float, scale: float) -> Tensor:
    """ArcFace (Deng et al. 2019), eq. 3: softmax over scaled cosines, with `margin` radians added to the own angle.

    near [B N]: cosines of embeddings and classes; person [B]: own class. Mean []. margin = 0 is the plain softmax.
    """
    own = person[:, None]
    angle = near.gather(1, own).clamp(-1 + 1e-6, 1 - 1e-6).acos()
    return F.cross_entropy(scale * near.scatter(1, own, (angle + margin).cos()), person)
