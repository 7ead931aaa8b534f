"""Inversion encoders: published sizes, and which map each style index comes from."""

import pytest
import torch

from thgen.nn.psp import InversionEncoder

SMALL = {"side": 64, "latent": 12, "indices": 10, "base": 4, "units": (1, 1, 1, 1)}


@pytest.mark.parametrize(("pyramid", "millions"), [(True, 209.5), (False, 31.2)])
def test_sizes_are_those_of_the_parents(pyramid, millions):
    with torch.device("meta"):
        net = InversionEncoder(pyramid=pyramid)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, rel=0.005)


@pytest.mark.parametrize("pyramid", [True, False])
def test_there_is_a_latent_per_index(pyramid):
    torch.manual_seed(0)
    net = InversionEncoder(**SMALL, pyramid=pyramid).eval()
    out = net(torch.randn(2, 3, 64, 64))
    assert out.shape == (2, 10, 12) and not torch.allclose(out[0], out[1])
    again = InversionEncoder(**{k: v for k, v in net.config.items() if k != "class"})
    again.load_state_dict(net.state_dict())


def test_coarse_indices_come_from_the_coarse_map():
    """The finest map reaches none of the first seven indices, the one before none of the first three."""
    torch.manual_seed(0)
    head = InversionEncoder(**SMALL).eval().head
    maps = [torch.randn(1, c, s, s) for c, s in ((4, 32), (8, 16), (16, 8), (32, 4))]
    before = head(maps)
    for number, untouched in ((1, 7), (2, 3), (3, 0)):
        changed = list(maps)
        changed[number] = maps[number] + torch.randn_like(maps[number])
        moved = (head(changed) - before).abs().amax((0, 2)) > 1e-6
        assert moved.tolist() == [False] * untouched + [True] * (10 - untouched)


def test_one_pooled_latent_differs_between_indices_by_learned_offsets_alone():
    torch.manual_seed(0)
    net = InversionEncoder(**SMALL, pyramid=False).eval()
    x = torch.randn(2, 3, 64, 64)
    assert (net(x) == net(x)[:, :1]).all(), "offsets start at 0"
    with torch.no_grad():
        net.head.offsets[4] = 1.0
        out = net(x)
    torch.testing.assert_close(out[:, 4] - out[:, 0], torch.ones(2, 12))
