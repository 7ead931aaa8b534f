from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from skimage import data
from torchmetrics.functional.image import peak_signal_noise_ratio as reference_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as reference_ssim

from thgen.evaluation.metrics.appearance import (
    MS_SSIM_SIDE,
    face_mask,
    gradient_energy,
    ms_ssim,
    psnr,
    region_mask,
    skin_mask,
    ssim,
)
from thgen.synth.head.ellipsoid import ellipsoid_head


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    image = np.ascontiguousarray(data.astronaut()[:96, :128])
    noise = np.random.default_rng(0).normal(0, 12, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), image


def to_torch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255


def test_equal_pictures(pair: tuple[np.ndarray, np.ndarray]) -> None:
    image = pair[1]
    mask = np.zeros(image.shape[:2], bool)
    mask[10:50, 10:50] = True
    assert psnr(image, image) == float("inf") == psnr(image, image, mask)
    assert ssim(image, image) == pytest.approx(1) and ssim(image, image, mask) == pytest.approx(1)


def test_a_worked_example() -> None:
    a, b = np.zeros((32, 32, 3)), np.full((32, 32, 3), 0.1)
    assert psnr(a, b) == pytest.approx(20)  # 10 log10(1 / 0.01)


def test_agreement_with_torchmetrics(pair: tuple[np.ndarray, np.ndarray]) -> None:
    image, reference = pair
    a, b = to_torch(image), to_torch(reference)
    assert psnr(image, reference) == pytest.approx(float(reference_psnr(a, b, data_range=1.0)), abs=1e-3)
    assert ssim(image, reference) == pytest.approx(float(reference_ssim(a, b, data_range=1.0)), abs=5e-3)


def test_uint8_and_float_agree(pair: tuple[np.ndarray, np.ndarray]) -> None:
    image, reference = pair
    assert psnr(image, reference) == pytest.approx(psnr(image / 255, reference / 255))
    assert ssim(image, reference) == pytest.approx(ssim(image / 255, reference / 255))


def test_a_full_mask_is_no_mask_and_other_masks_limit_the_comparison(pair: tuple[np.ndarray, np.ndarray]) -> None:
    _, reference = pair
    image = reference.copy()
    image[:, 64:] = 255 - image[:, 64:]
    left = np.zeros(image.shape[:2], bool)
    left[:, :50] = True
    assert psnr(image, reference, left) == float("inf")
    assert ssim(image, reference, left) == pytest.approx(1)
    assert psnr(image, reference, ~left) < psnr(image, reference)
    everything = np.ones_like(left)
    assert psnr(image, reference, everything) == pytest.approx(psnr(image, reference))


def test_pictures_of_different_sizes_and_empty_masks_are_refused(pair: tuple[np.ndarray, np.ndarray]) -> None:
    image = pair[0]
    with pytest.raises(ValueError, match="of one size"):
        psnr(image, image[:50])
    with pytest.raises(ValueError, match="mask"):
        ssim(image, image, np.zeros(image.shape[:2], bool))


def test_regions_hold_their_landmarks_and_not_each_other_s() -> None:
    landmarks = np.zeros((68, 2))
    landmarks[17:27, 0], landmarks[17:27, 1] = np.linspace(-0.5, 0.5, 10), -0.5
    angle = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * 0.1
    landmarks[36:42], landmarks[42:48] = ring - 0.3, ring + np.array([0.3, -0.3])
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    landmarks[48:60] = np.stack([0.25 * np.cos(angle), 0.1 * np.sin(angle) + 0.4], 1)
    mouth, eyes = (region_mask(landmarks, name, 100) for name in ("mouth", "eyes"))
    assert mouth[70, 50] and not mouth[35, 35] and not mouth[35, 65]
    assert eyes[35, 35] and eyes[35, 65] and not eyes[70, 50]
    assert not (mouth & eyes).any()


def test_gradient_energy_of_a_ramp_and_of_its_face() -> None:
    ramp = np.repeat(np.linspace(0, 1, 11)[None, :, None], 11, 0).repeat(3, 2)  # 0.1 per pixel to the right
    mask = np.zeros((11, 11), bool)
    mask[2:9, 2:9] = True
    assert gradient_energy(ramp, mask) == pytest.approx(0.01)
    assert gradient_energy(np.full((11, 11, 3), 0.5), mask) == 0
    points = np.zeros((68, 2))
    points[:4] = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]
    assert face_mask(points, 64).mean() == pytest.approx(0.25, abs=0.02)


def test_skin_is_the_face_without_eyes_and_mouth():
    mesh = ellipsoid_head()
    points = mesh.vertices[mesh.landmarks][:, :2] * [1, -1] / 14
    skin, face = skin_mask(points, 128), face_mask(points, 128)
    assert 0.3 < skin.sum() / face.sum() < 0.9 and not (skin & ~face).any()
    for region in ("eyes", "mouth"):
        assert not (skin & region_mask(points, region, 128)).any()


def by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """MS-SSIM of pictures [H W 3] in [0, 1] as the paper defines it: windows of 11 px, five scales, 2 x 2 means."""
    taps = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))

    def blurred(x: np.ndarray) -> np.ndarray:
        rows = correlate1d(x, taps / taps.sum(), axis=0)
        return correlate1d(rows, taps / taps.sum(), axis=1)[5:-5, 5:-5]  # whole windows only

    value = np.ones(3)
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            height, width = a.shape[0] // 2 * 2, a.shape[1] // 2 * 2
            a, b = (x[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3)) for x in (a, b))
        mean_a, mean_b = blurred(a), blurred(b)
        spread = blurred(a * a) - mean_a**2 + blurred(b * b) - mean_b**2
        structure = (2 * (blurred(a * b) - mean_a * mean_b) + 0.03**2) / (spread + 0.03**2)
        if scale == 4:
            structure = structure * (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
        value = value * structure.mean((0, 1)) ** weight
    return float(value.mean())


def test_ms_ssim_is_that_of_its_definition() -> None:
    image = np.ascontiguousarray(data.astronaut()[:192, :208])
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 20, image.shape), 0, 255).astype(np.uint8)
    dark = (image * 0.7).astype(np.uint8)
    assert ms_ssim(image, image) == pytest.approx(1)
    for other in (noisy, dark):
        assert ms_ssim(other, image) == pytest.approx(by_definition(other / 255, image / 255), abs=2e-3)
        assert ms_ssim(other, image) < 0.99


def test_ms_ssim_needs_five_scales() -> None:
    smallest = np.zeros((MS_SSIM_SIDE, MS_SSIM_SIDE, 3), np.uint8)
    assert ms_ssim(smallest, smallest) == pytest.approx(1)
    with pytest.raises(ValueError, match="larger than"):
        ms_ssim(smallest[1:], smallest[1:])
