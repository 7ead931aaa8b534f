"""Reads the faces of a clip with the face encoder, each frame once, for any compact method."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from thgen.analyser.network import Analysis, to_input
from thgen.encoder.network import Encoded, FaceEncoder

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop

BATCH = 32  # frames per pass


@dataclass(frozen=True)
class ReadFaces:
    """What the analyser and the face encoder say of T faces."""

    analysis: Analysis
    encoded: Encoded

    def __len__(self) -> int:
        return len(self.encoded.feature)

    def to(self, device: torch.device) -> ReadFaces:
        return ReadFaces(self.analysis.to(device), self.encoded.to(device))

    @property
    def keypoints(self) -> Tensor:
        """[T K 3] in coordinates of each crop."""
        return self.encoded.keypoints


@torch.inference_mode()
def read_faces(encoder: FaceEncoder, crops: Iterable[FaceCrop], device: torch.device) -> ReadFaces:
    """Faces of a clip, on the CPU. crops may be a generator: the pictures of at most BATCH are in memory at once."""
    source, analyses, parts = iter(crops), [], []
    while batch := list(islice(source, BATCH)):
        images = to_input(torch.from_numpy(np.stack([crop.image for crop in batch])).to(device))
        keypoints = torch.from_numpy(np.stack([crop.keypoints for crop in batch])).to(device)
        parts.append(encoder(images, keypoints).to(torch.device("cpu")))
        analyses += [crop.analysis for crop in batch]
    return ReadFaces(Analysis.cat(analyses), Encoded.cat(parts))
