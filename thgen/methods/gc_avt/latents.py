"""The code of GC-AVT: which entries belong to whom, and how it is put together (section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

POSE, EXPRESSION, LIP = "pose", "expression", "lip"
# Sizes of the embeddings (section 4.1). "lip" is the speech content, of a mouth or of a voice.
IDENTITY_SIZE, SIZES = 512, {POSE: 12, EXPRESSION: 256, LIP: 256}


@dataclass(frozen=True)
class Latents:
    """Sizes of f_id, f_p, f_e, f_c. Their order is that of f_all in section 3.1."""

    identity: int
    pose: int
    expression: int
    lip: int

    @property
    def size(self) -> int:
        return self.identity + self.pose + self.expression + self.lip

    def start(self, name: str) -> int:
        """First entry of "pose", "expression" or "lip"."""
        return self.identity + {POSE: 0, EXPRESSION: self.pose, LIP: self.pose + self.expression}[name]

    @staticmethod
    def join(identity: Tensor, pose: Tensor, expression: Tensor, lip: Tensor) -> Tensor:
        """f_all = {f_id, f_p, f_e, f_c}: embeddings [B n] of each -> [B size]."""
        return torch.cat([identity, pose, expression, lip], 1)
