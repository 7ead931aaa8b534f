"""Pixel coordinates, warps and Gaussian kernels."""

import doctest

import pytest
import torch

from thgen.nn import sampling
from thgen.nn.sampling import gaussians, spread, warp


def test_examples_in_the_docstrings():
    result = doctest.testmod(sampling)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_zero_flow_changes_nothing(mode):
    image = torch.rand(1, 3, 32, 32)
    assert torch.allclose(warp(image, torch.zeros(1, 2, 32, 32), mode), image, atol=1e-5)


def test_bicubic_keeps_detail_that_bilinear_blurs():
    wave = torch.sin(torch.arange(64) * 1.2).expand(1, 1, 64, 64)
    half_a_pixel = torch.full((1, 2, 64, 64), 1 / 64)
    energy = {m: warp(wave, half_a_pixel, m)[..., 8:-8].std() for m in ("bilinear", "bicubic")}
    assert energy["bilinear"] < 0.9 * wave.std() < energy["bicubic"]


def test_a_window_gives_a_part_of_the_whole_result():
    image, flow = torch.rand(1, 3, 24, 24), 0.2 * torch.randn(1, 2, 24, 24)
    window = slice(3, 20), slice(5, 9)
    part = warp(image, flow[(..., *window)], "bicubic", "reflection", window)
    assert torch.allclose(part, warp(image, flow, "bicubic", "reflection")[(..., *window)], atol=1e-6)


def test_flow_points_from_the_output_to_the_image():
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 3, 6] = 1
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = 2 * 2 / 8  # two pixels to the right
    assert warp(image, flow)[0, 0, 3, 4] == pytest.approx(1)


def test_gaussians_are_separable_factors_of_a_kernel():
    columns, rows = gaussians(torch.tensor([[[0.25, -0.5, 9.0]]]), 0.2, 16)
    kernel = (rows.transpose(1, 2) @ columns)[0]
    x, y = (torch.arange(16) + 0.5) / 8 - 1, (torch.arange(16)[:, None] + 0.5) / 8 - 1
    assert torch.allclose(kernel, torch.exp(-((x - 0.25) ** 2 + (y + 0.5) ** 2) / (2 * 0.2**2)), atol=1e-6)


def test_spread_is_the_sum_of_values_times_kernels():
    points, values = torch.tensor([[[0.0, 0.0], [0.5, 0.5]]]), torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    columns, rows = gaussians(points, 0.1, 32)
    sums, total = spread(values, columns, rows)
    assert sums.shape == (1, 2, 32, 32) and total.shape == (1, 1, 32, 32)
    assert torch.allclose(sums[0, 0] + sums[0, 1] / 2, total[0, 0], atol=1e-6)
