"""StyleGAN2's discriminator: published size, small sizes, and what a repeated picture gives away."""

import pytest
import torch

from thgen.nn.stylegan2_discriminator import EqualConv, StyleDiscriminator, with_deviation


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_the_size_is_the_published_one():
    with torch.device("meta"):
        net = StyleDiscriminator()
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(28.86e6, rel=1e-3)


@pytest.mark.parametrize(("frames", "rows"), [(1, 10), (5, 2)])
def test_windows_are_judged_frame_by_frame_or_as_one(frames, rows):
    net = StyleDiscriminator((8, 8, 4), frames=frames)
    windows = torch.randn(2, 5, 3, 16, 16)
    logits = net(net.stacked(windows))
    assert logits.shape == (rows, 1)
    logits.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_a_video_is_judged_by_the_order_of_its_frames_a_picture_alone():
    image, video = StyleDiscriminator((8, 8, 4)), StyleDiscriminator((8, 8, 4), frames=5)
    windows = torch.randn(1, 5, 3, 16, 16)
    turned = windows.flip(1)
    with torch.no_grad():
        assert not torch.allclose(video(video.stacked(windows)), video(video.stacked(turned)))
        assert torch.allclose(image(image.stacked(windows)).sum(), image(image.stacked(turned)).sum(), atol=1e-4)


def test_halving_blurs_first_and_keeps_a_constant_inside():
    conv = EqualConv(1, 1, 1, shrink=True)
    conv.weight.data.fill_(1.0)
    out = conv(torch.ones(1, 1, 8, 8))
    assert out.shape == (1, 1, 4, 4) and torch.allclose(out[..., 1:-1, 1:-1], torch.ones(2, 2))


def test_rows_that_are_all_alike_have_no_deviation():
    same = torch.randn(1, 2, 4, 4).expand(4, -1, -1, -1)
    assert with_deviation(same)[:, -1].max() < 1e-3 < with_deviation(torch.randn(4, 2, 4, 4))[:, -1].min()
    assert with_deviation(torch.randn(6, 2, 4, 4)).shape == (6, 3, 4, 4), "a group of three, as four do not fit"
