"""Similarity of two pictures: PSNR and SSIM, over the whole picture or a part of the face; MS-SSIM; and sharpness.

Pictures are uint8 RGB [H W 3], or float in [0, 1]. PSNR and SSIM are scikit-image's, MS-SSIM is torchmetrics'; only the
masks are ours.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from thgen.errors import AssetError

# Landmarks (Multi-PIE numbering) around each region. Each group is one convex patch.
REGIONS = {
    "mouth": (range(48, 60),),
    "eyes": ((17, 18, 19, 20, 21, *range(36, 42)), (22, 23, 24, 25, 26, *range(42, 48))),
}
MARGIN = 0.12  # of the inter-ocular distance: a region reaches this far beyond its landmarks
# px: smallest side for MS-SSIM, whose coarsest of five scales must hold a window of 11 px. 161 px would do, but
# torchmetrics rounds down when it halves.
MS_SSIM_SIDE = 176
LUMA = np.array([0.299, 0.587, 0.114])  # weights of R, G, B by ITU-R BT.601


def psnr(image: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / MSE); infinite for equal pictures.

    mask: bool [H W], only these pixels count. Raises ValueError for different shapes or an empty mask.
    """
    image, reference = _pair(image, reference)
    if mask is None:
        with np.errstate(divide="ignore"):
            return float(peak_signal_noise_ratio(reference, image, data_range=1.0))
    chosen = _chosen(mask, image)
    error = float(((image[chosen] - reference[chosen]) ** 2).mean())
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(image: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5), -1 to 1; 1 for equal pictures.

    mask: bool [H W], the result is the mean of the SSIM map over these pixels. Raises ValueError as `psnr`, and for
    pictures below 11 px.
    """
    image, reference = _pair(image, reference)
    mean, full = structural_similarity(
        reference,
        image,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(mean) if mask is None else float(full[_chosen(mask, image)].mean())


def ms_ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Multi-scale SSIM (Wang et al. 2003: five scales, their weights, 2 x 2 means between them), 0 to 1.

    Raises ValueError as `psnr`, and for pictures below MS_SSIM_SIDE px. AssetError without torchmetrics.
    """
    try:
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measured
    except ImportError:
        raise AssetError("MS-SSIM needs torchmetrics: pip install -e '.[eval]'.") from None
    # In float32, which differs by 2e-6 and takes a tenth of the time.
    first, second = (torch.from_numpy(p).float().permute(2, 0, 1)[None] for p in _pair(image, reference))
    with torch.no_grad():
        return float(measured(first, second, data_range=1.0))


def gradient_energy(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean squared gradient of the luma (range 0 to 1) over the mask bool [H W]: the amount of fine structure.

    image: uint8 or float RGB [H W 3]. A result with less than its photo's energy is blurred.
    """
    grey = _unit(image) @ LUMA
    down, right = np.gradient(grey)
    return float((down**2 + right**2)[_chosen(mask, image)].mean())


def face_mask(landmarks: np.ndarray, size: int) -> np.ndarray:
    """bool [size size]: inside the jaw line and the brows of landmarks [68 2+] in crop coordinates."""
    points = (np.asarray(landmarks, np.float64)[:27, :2] + 1) / 2 * size
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return mask.astype(bool)


def skin_mask(landmarks: np.ndarray, size: int) -> np.ndarray:
    """bool [size size]: the face without eyes, brows and mouth; those lose their edges when they close."""
    eyes, mouth = (region_mask(landmarks, region, size) for region in ("eyes", "mouth"))
    return face_mask(landmarks, size) & ~eyes & ~mouth


def region_mask(landmarks: np.ndarray, region: str, size: int) -> np.ndarray:
    """bool [size size]: the mouth or the eyes (with brows) of landmarks [68 2+] in crop coordinates."""
    points = (np.asarray(landmarks, np.float64)[:, :2] + 1) / 2 * size
    mask = np.zeros((size, size), np.uint8)
    for group in REGIONS[region]:
        hull = cv2.convexHull(np.rint(points[list(group)]).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1)
    margin = max(1, round(MARGIN * float(np.linalg.norm(points[45] - points[36]))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return cv2.dilate(mask, kernel).astype(bool)


def _unit(image: np.ndarray) -> np.ndarray:
    return image / 255.0 if image.dtype == np.uint8 else np.asarray(image, np.float64)


def _pair(image: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if image.shape != reference.shape or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"both pictures must be [H W 3] and of one size, not {image.shape} and {reference.shape}")
    return _unit(image), _unit(reference)


def _chosen(mask: np.ndarray, image: np.ndarray) -> np.ndarray:
    chosen = np.asarray(mask, bool)
    if chosen.shape != image.shape[:2] or not chosen.any():
        raise ValueError(f"the mask must be bool {image.shape[:2]} with at least one pixel, not {chosen.shape}")
    return chosen
