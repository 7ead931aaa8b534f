import pytest
import torch
import torch.nn.functional as F

from thgen.nn.discriminators import MultiScaleDiscriminator, PatchDiscriminator


def test_tensor_names_are_those_of_spade():
    with torch.device("meta"):
        net = MultiScaleDiscriminator()
    shapes = {n: tuple(v.shape) for n, v in net.state_dict().items()}
    assert shapes["discriminator_0.model0.0.weight"] == (64, 3, 4, 4)
    assert shapes["discriminator_1.model3.0.0.weight_orig"] == (512, 256, 4, 4)
    assert shapes["discriminator_1.model4.0.bias"] == (1,)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(5.5e6, rel=0.02)


def test_each_scale_sees_the_picture_at_half_the_size():
    torch.manual_seed(0)
    net = MultiScaleDiscriminator(3, (4, 8)).eval()
    x = torch.randn(2, 3, 64, 64)
    first, second, third = net(x)
    assert [tuple(s.shape) for s in (first, second, third)] == [(2, 1, n, n) for n in (18, 10, 6)]
    half = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    torch.testing.assert_close(net.discriminator_1(half), second)


def test_a_picture_can_be_judged_beside_another_one():
    torch.manual_seed(0)
    net = MultiScaleDiscriminator(1, (4, 8), inputs=6).eval()
    picture, one, other = torch.randn(3, 1, 3, 32, 32)
    (a,), (b,) = (net(torch.cat([condition, picture], 1)) for condition in (one, other))
    assert a.shape == b.shape and not torch.allclose(a, b)


def test_scores_are_of_patches():
    """A change at one corner leaves the scores of the other corner, but for the norm over the picture."""
    torch.manual_seed(0)
    net = PatchDiscriminator((4, 8)).eval()
    x = torch.randn(1, 3, 64, 64)
    y = x.clone()
    y[..., :4, :4] += 1
    (a, maps), (b, _) = net(x), net(y)
    assert len(maps) == 2 and a[..., -1, -1].equal(b[..., -1, -1]) and not a[..., 0, 0].equal(b[..., 0, 0])
