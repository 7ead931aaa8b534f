"""Frames that a method generates whole, at the size of the crop."""

import torch

from thgen.methods.base import Decoded, at_size


def test_generated_frames_have_the_size_of_the_crop_and_no_pixel_of_the_photo():
    torch.manual_seed(0)
    made = torch.rand(2, 3, 16, 16) * 2 - 1
    out = Decoded.generated(1.5 * made, 24)
    assert out.frames.shape == (2, 3, 24, 24) and out.frames.abs().max() == 1 and out.flow is None
    assert out.mask.shape == (2, 1, 24, 24) and (out.mask == 1).all()


def test_pictures_of_the_right_size_stay_as_they_are():
    made = torch.rand(1, 3, 16, 16)
    assert at_size(made, 16) is made and torch.equal(Decoded.generated(made, 16).frames, made)
    assert at_size(torch.full((1, 1, 16, 16), 0.25), 40).sub(0.25).abs().max() < 1e-6
