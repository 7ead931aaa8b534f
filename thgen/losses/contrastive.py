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
