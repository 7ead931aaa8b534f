"""Fréchet distance of faces, on features of our own analyser.

It stands in for FID: no published FID can be compared with it.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch

from thgen.analyser.network import Analyser, to_input
from thgen.evaluation.metrics.readings import square_of
from thgen.face.crop import ANALYSER_SIZE, sample_square
from thgen.face.observe import Observer


@torch.inference_mode()
def face_features(observer: Observer, images: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Features of the faces in images uint8 [T S S 3]: means of the analyser's two coarsest maps, float64 [T D].

    landmarks: true ones [T 68 2+] in crop coordinates; they place the squares that the analyser gets.
    """
    squares = [square_of(points, image.shape[0]) for image, points in zip(images, landmarks, strict=True)]
    views = np.stack([sample_square(i, s, ANALYSER_SIZE) for i, s in zip(images, squares, strict=True)])
    assert isinstance(observer.analyser, Analyser)
    maps = observer.analyser.features(to_input(torch.from_numpy(views)).to(observer.device))
    return torch.cat([m.float().mean((2, 3)) for m in maps[-2:]], 1).double().cpu().numpy()


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features [N D], each as a Gaussian (Heusel et al. 2017, eq. 6); 0 and up."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second)
    gap = float(np.square(a.mean(0) - b.mean(0)).sum())
    return max(gap + float(np.trace(first + second - 2 * np.real(root))), 0.0)
