"""Records of tensors, one row of each per picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor


class Rows:
    """Base of frozen dataclasses whose fields are tensors [B ...] with one row per picture."""

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same record with every field changed."""
        return type(self)(*(change(getattr(self, name)) for name in self.__dataclass_fields__))  # type: ignore[attr-defined]

    def to(self, device: torch.device) -> Self:
        return self.each(lambda x: x.to(device))

    def float(self) -> Self:
        return self.each(lambda x: x.float())

    def detach(self) -> Self:
        return self.each(lambda x: x.detach())

    def expand(self, count: int) -> Self:
        """One row, repeated `count` times."""
        return self.each(lambda x: x.expand(count, *x.shape[1:]))

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Several records as one."""
        names = cls.__dataclass_fields__  # type: ignore[attr-defined]
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
