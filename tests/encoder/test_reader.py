"""Faces of a clip are read in batches, in order, and from a generator."""

from __future__ import annotations

import numpy as np
import torch

from thgen.analyser.network import Analysis
from thgen.encoder.network import FaceEncoder
from thgen.encoder.reader import BATCH, read_faces
from thgen.face.crop import Square
from thgen.face.finder import FaceCrop


def crop(number: int, keypoints: np.ndarray) -> FaceCrop:
    rng = np.random.default_rng(number)
    image = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    one = torch.full((1, 1), float(number))
    analysis = Analysis(one, one, one, one, one, one[0], one)
    return FaceCrop(image, Square(32, 32, 64), keypoints.astype(np.float32), analysis, Square(32, 32, 64))


def test_each_face_is_read_once_in_order(keypoints: torch.Tensor) -> None:
    eyes = [[68, *range(42, 48)], [69, *range(36, 42)]]
    small = {name: (8, 8, 8, 8) for name in ("face", "eye", "mouth", "brows")}
    net = FaceEncoder(
        90, eyes, list(range(48, 68)), list(range(17, 27)), **small, codes=(8, 8, 8, 8), segments=8
    ).eval()
    crops = [crop(n, keypoints[0, :90].numpy() * (1 + 0.001 * n)) for n in range(BATCH + 3)]
    faces = read_faces(net, (c for c in crops), torch.device("cpu"))
    assert len(faces) == BATCH + 3 and faces.keypoints.shape == (BATCH + 3, net.count, 3)
    assert faces.analysis.pose[:, 0].tolist() == list(range(BATCH + 3))
    alone = read_faces(net, [crops[BATCH + 1]], torch.device("cpu"))
    torch.testing.assert_close(alone.encoded.feature[0], faces.encoded.feature[BATCH + 1], rtol=1e-4, atol=1e-4)
