import pytest
import torch

from thgen.nn.ir_se import IRSE, ArcFace


def test_sizes_of_trunk_and_arcface_are_those_of_the_parents():
    with torch.device("meta"):
        trunk, net = IRSE(), ArcFace()
    assert sum(p.numel() for p in trunk.parameters()) == pytest.approx(31e6, rel=0.01)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(43.8e6, rel=0.01)


def test_each_stage_halves_the_size():
    maps = IRSE(4, (1, 2, 1, 1)).eval()(torch.randn(1, 3, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps] == [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]


def test_embeddings_have_length_one():
    torch.manual_seed(0)
    net = ArcFace(4, (1, 1, 1, 1), 8).eval()
    out = net(torch.randn(2, 3, 112, 112))
    torch.testing.assert_close(out.norm(dim=1), torch.ones(2))
    assert out.shape == (2, 8) and not torch.allclose(out[0], out[1])
