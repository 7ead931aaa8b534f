"""What frozen networks see in clips, kept: seeing a frame costs most of a step, and it stays the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from thgen.training.data import ClipStore
from thgen.training.frames import LABELS, Moments, moments

TOGETHER = 128  # views that are seen at once

See = Callable[[Tensor], Tensor]  # views [n 3 side side] -> features [n F]
View = Callable[[np.random.Generator, Moments, bool], Tensor]  # moments, augmented? -> views


class Kept:
    """Features of clips, in memory. Version 0 of a clip is seen as it is, each other one augmented in its own way.

    see: gives features, in evaluation mode and without gradients; view: prepares frames for it.
    """

    def __init__(self, see: See, view: View) -> None:
        self.see, self.view = see, view
        self._features: dict[tuple[str, str, int, int], Tensor] = {}
        self._truth: dict[tuple[str, int], Moments] = {}

    def rows(
        self, name: str, store: ClipStore, number: int, version: int, make: Callable[[], Tensor], see: See | None = None
    ) -> Tensor:
        """Features [n F] of the views [n 3 side side] that `make` gives, kept under these names."""
        key = (name, str(store.folder), number, version)
        if key not in self._features:
            found = [(see or self.see)(part).float().cpu() for part in make().split(TOGETHER)]
            self._features[key] = torch.cat(found).half()
        return self._features[key].float()

    def clip(self, store: ClipStore, number: int, version: int) -> Tensor:
        """Features [T F] of all frames of a clip."""

        def make() -> Tensor:
            found = moments(store, number, list(range(len(store.clips[number].frames))))
            return self.view(np.random.default_rng((number, version)), found, version > 0)

        return self.rows("motion", store, number, version, make)

    def truth(self, store: ClipStore, number: int, frames: list[int]) -> Moments:
        """Labels of frames of a clip, without its images."""
        key = (str(store.folder), number)
        if key not in self._truth:
            labels = store.truth(number, LABELS)
            self._truth[key] = Moments(np.empty((0, 0, 0, 3), np.uint8), *(labels[name] for name in LABELS))
        known = self._truth[key]
        return Moments(known.images, *(getattr(known, name)[frames] for name in LABELS))
