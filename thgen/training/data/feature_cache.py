"""Features of frozen networks, computed once per view of a clip. Computing them is most of the time of a step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from thgen.training.data.samples import LABELS, Clip, Moments

BATCH = 128  # views that the network gets at a time
PLAIN = "motion"  # name of the features of frames without augmentation
# Version of the views. It is part of the folder's name, so that features of older views are not
# read. 3: frames of compact stages are read by the face encoder.
VIEWS = b"3"

Encode = Callable[[Tensor], Tensor]  # views, pictures [n 3 side side] or already features, -> features [n F]
View = Callable[[np.random.Generator, Moments, bool], Tensor]  # (random numbers, frames, augmented) -> views


class FeatureCache:
    """Features of clips by version: version 0 has no augmentation, each other version has one of its own.

    encode:   called in evaluation mode and without gradients
    view:     makes the views of frames
    folder:   where features are stored for later stages and ablations with the same networks; "" = in memory only
    networks: whose weights decide which stored features fit
    """

    def __init__(self, encode: Encode, view: View, folder: str = "", networks: tuple[nn.Module, ...] = ()) -> None:
        self.encode, self.view, self.folder, self.networks = encode, view, folder, networks
        self._features: dict[tuple[str, str, int, int], Tensor] = {}
        self._truth: dict[tuple[str, int], Moments] = {}
        self._subfolder: Path | None = None

    def rows(self, name: str, clip: Clip, version: int, make: Callable[[], Tensor]) -> Tensor:
        """Features [n F] under this name and version of a clip. If the cache has none, they are computed from the views
        that `make` returns. Values have the precision of float16."""
        key = (name, str(clip.store.folder), clip.number, version)
        if key not in self._features:
            file = self._file(name, clip, version)
            if file is not None and file.is_file():
                self._features[key] = torch.from_numpy(np.load(file, allow_pickle=False))
            else:
                features = [self.encode(views).float().cpu() for views in make().split(BATCH)]
                self._features[key] = torch.cat(features).half()
                if file is not None:
                    _write(file, self._features[key].numpy())
        return self._features[key].float()

    def _file(self, name: str, clip: Clip, version: int) -> Path | None:
        """File with the features of a clip. Its path depends on the networks' weights and on the clip's file."""
        if not self.folder:
            return None
        if self._subfolder is None:
            digest = hashlib.sha256(VIEWS)
            for network in self.networks:
                for tensor in network.state_dict().values():
                    digest.update(tensor.detach().float().cpu().numpy().tobytes())
            self._subfolder = Path(self.folder) / digest.hexdigest()[:16]
            self._subfolder.mkdir(parents=True, exist_ok=True)
        stored = clip.store.clips[clip.number]
        where = hashlib.sha256(f"{stored.shard.resolve()}/{stored.key}".encode()).hexdigest()[:20]
        return self._subfolder / f"{name}-{where}-{version}.npy"

    def clip(self, clip: Clip, version: int, name: str = PLAIN) -> Tensor:
        """Features [T F] of all frames of a clip. name: of the stage's augmentation; version 0 has none."""

        def make() -> Tensor:
            moments = clip.moments(list(range(len(clip))))
            return self.view(np.random.default_rng((clip.number, version)), moments, version > 0)

        return self.rows(name if version else PLAIN, clip, version, make)

    def truth(self, clip: Clip, frames: list[int]) -> Moments:
        """Labels of frames of a clip, without pictures."""
        key = (str(clip.store.folder), clip.number)
        if key not in self._truth:
            labels = clip.store.truth(clip.number, LABELS)
            self._truth[key] = Moments(np.empty((0, 0, 0, 3), np.uint8), *(labels[name] for name in LABELS))
        known = self._truth[key]
        return Moments(known.images, *(getattr(known, name)[frames] for name in LABELS))


def _write(file: Path, values: np.ndarray) -> None:
    """Write the file and then rename it, because another process may write the same file."""
    draft = file.with_name(f"{file.stem}.{id(values)}.part.npy")
    np.save(draft, values)
    draft.replace(file)
