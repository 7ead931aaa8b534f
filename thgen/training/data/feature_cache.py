"""What frozen networks see in clips, kept: seeing a frame costs most of a step, and it stays the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from thgen.training.data.samples import LABELS, Moments, moments
from thgen.training.data.store import ClipStore

TOGETHER = 128  # views that are seen at once

See = Callable[[Tensor], Tensor]  # views [n 3 side side] -> features [n F]
View = Callable[[np.random.Generator, Moments, bool], Tensor]  # moments, augmented? -> views


class FeatureCache:
    """Features of clips. Version 0 of a clip is seen as it is, each other one augmented in its own way.

    see: gives features, in evaluation mode and without gradients; view: prepares frames for it; folder: where features
    outlast the process, for stages and ablations that stand on the same networks; "" = in memory only; networks: what
    is asked there, whose weights must be the same.
    """

    def __init__(self, see: See, view: View, folder: str = "", networks: tuple[nn.Module, ...] = ()) -> None:
        self.see, self.view, self.folder, self.networks = see, view, folder, networks
        self._features: dict[tuple[str, str, int, int], Tensor] = {}
        self._truth: dict[tuple[str, int], Moments] = {}
        self._place: Path | None = None

    def rows(
        self, name: str, store: ClipStore, number: int, version: int, make: Callable[[], Tensor], see: See | None = None
    ) -> Tensor:
        """Features [n F] of the views [n 3 side side] that `make` gives, kept under these names."""
        key = (name, str(store.folder), number, version)
        if key not in self._features:
            file = self._file(name, store, number, version)
            if file is not None and file.is_file():
                self._features[key] = torch.from_numpy(np.load(file, allow_pickle=False))
            else:
                found = [(see or self.see)(part).float().cpu() for part in make().split(TOGETHER)]
                self._features[key] = torch.cat(found).half()
                if file is not None:
                    _write(file, self._features[key].numpy())
        return self._features[key].float()

    def _file(self, name: str, store: ClipStore, number: int, version: int) -> Path | None:
        """Where a clip's features outlast the process: by the weights that see and by the bytes' own place."""
        if not self.folder:
            return None
        if self._place is None:
            digest = hashlib.sha256()
            for network in self.networks:
                for tensor in network.state_dict().values():
                    digest.update(tensor.detach().float().cpu().numpy().tobytes())
            self._place = Path(self.folder) / digest.hexdigest()[:16]
            self._place.mkdir(parents=True, exist_ok=True)
        clip = store.clips[number]
        where = hashlib.sha256(f"{clip.shard.resolve()}/{clip.key}".encode()).hexdigest()[:20]
        return self._place / f"{name}-{where}-{version}.npy"

    def clip(self, store: ClipStore, number: int, version: int, name: str = "motion") -> Tensor:
        """Features [T F] of all frames of a clip; name: of the way in which this stage augments them."""

        def make() -> Tensor:
            found = moments(store, number, list(range(len(store.clips[number].frames))))
            return self.view(np.random.default_rng((number, version)), found, version > 0)

        return self.rows(name if version else "motion", store, number, version, make)

    def truth(self, store: ClipStore, number: int, frames: list[int]) -> Moments:
        """Labels of frames of a clip, without its images."""
        key = (str(store.folder), number)
        if key not in self._truth:
            labels = store.truth(number, LABELS)
            self._truth[key] = Moments(np.empty((0, 0, 0, 3), np.uint8), *(labels[name] for name in LABELS))
        known = self._truth[key]
        return Moments(known.images, *(getattr(known, name)[frames] for name in LABELS))


def _write(file: Path, values: np.ndarray) -> None:
    """Whole or not at all: another process may want the same file."""
    draft = file.with_name(f"{file.stem}.{id(values)}.part.npy")
    np.save(draft, values)
    draft.replace(file)
