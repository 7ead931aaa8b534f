"""The encoder of compact methods: sizes, and what its norm and its linear map do."""

import torch

from thgen.compact.face_feature import FaceFeature


def test_entries_are_brought_to_one_scale_before_they_are_read():
    torch.manual_seed(0)
    net = FaceFeature(5, 8, 2, 3)
    x = torch.randn(400, 5) * torch.tensor([1.0, 10, 100, 1e3, 1e-2]) + 7
    for _ in range(200):
        net(x)
    net.eval()
    read = net.norm(x)
    torch.testing.assert_close(read.std(0), torch.ones(5), atol=0.06, rtol=0)
    torch.testing.assert_close(read.mean(0), torch.zeros(5), atol=0.02, rtol=0)
    assert net(x).shape == (400, 3)


def test_there_is_a_linear_way_through():
    net = FaceFeature(4, 8, 1, 2).eval()
    torch.nn.init.zeros_(net.body[-1].weight)
    torch.nn.init.zeros_(net.body[-1].bias)
    a, b = torch.randn(2, 1, 4)
    torch.testing.assert_close(net(a + b) - net(a), net(b) - net(torch.zeros(1, 4)))
