"""LIA against its manifest and against its formulas, written down once more; small networks of 32 px."""

import hashlib
import json
import math

import pytest
import torch
import torch.nn.functional as F

from thgen.nn.lia import LIA, Dictionary, FlatRGB, ToFlow, channels_at, conv_layer, grid, sides, warp
from thgen.weights.hub import NETWORKS

# SHA-256 over the sorted names and shapes of every tensor of the released generator, buffers and all (manifest
# lia_official.json of the reference data).
OFFICIAL = "ec2941c72843af20eb8c123d0547321535ef66abb527477f1d0f6977c72ac3a3"
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = LIA(32, 16, 4).eval().requires_grad_(False)
    for name, value in net.named_parameters():
        if name.endswith("bias") and "modulation" not in name:
            value.normal_()
    return net


def pictures(count=1, side=32):
    return torch.rand(count, 3, side, side) * 2 - 1


def test_every_name_and_shape_is_that_of_the_released_file():
    with torch.device("meta"):
        net = LIA()
    listed = json.dumps(sorted((name, list(value.shape)) for name, value in net.state_dict().items()))
    assert hashlib.sha256(listed.encode()).hexdigest() == OFFICIAL
    assert sum(p.numel() for p in net.parameters()) == 45_116_317
    assert sum(p.numel() for p in net.enc.parameters()) == 22_696_532
    assert NETWORKS["lia"] == "thgen.nn.lia:LIA"


def test_the_size_of_the_paper_has_one_scale_more():
    with torch.device("meta"):
        net = LIA(512)
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == 45.24
    assert sides(512) == (4, 8, 16, 32, 64, 128, 256, 512) and [channels_at(s) for s in (32, 64, 512)] == [512, 256, 32]


def test_encoder_gives_a_code_and_the_coarsest_feature_first(net):
    code, features = net.encode(pictures(2))
    assert code.shape == (2, 16) and [tuple(f.shape) for f in features] == [
        (2, 16, 8, 8),
        (2, 16, 16, 16),
        (2, 16, 32, 32),
    ]
    assert net.magnitudes(code).shape == (2, 4)
    # no activation: the MLP is affine
    zero = net.magnitudes(torch.zeros(1, 16))
    assert torch.allclose(net.magnitudes(code) - zero, -(net.magnitudes(-code) - zero), atol=1e-5)


@pytest.mark.parametrize(("kernel", "pad"), [(3, 2), (1, 1)])
def test_a_shrinking_layer_is_a_dense_filter_then_a_strided_convolution(kernel, pad):
    torch.manual_seed(1)
    layer = conv_layer(3, 5, kernel, shrink=True)
    layer[2].bias.data.normal_()
    x = torch.randn(2, 3, 12, 12)
    wide = F.conv2d(F.pad(x, (pad,) * 4), layer[0].kernel.expand(3, 1, 4, 4), groups=3)
    out = F.conv2d(wide, layer[1].weight / math.sqrt(3 * kernel**2), stride=2)
    expected = F.leaky_relu(out + layer[2].bias, 0.2) * 2**0.5
    assert out.shape == (2, 5, 6, 6) and torch.allclose(layer(x), expected, atol=1e-5)


def test_directions_are_orthonormal_and_learn():
    dictionary = Dictionary(16, 4)
    basis = dictionary.basis()
    assert torch.allclose(basis.T @ basis, torch.eye(4), atol=1e-5)
    alpha = torch.tensor([[1.0, -2.0, 0.5, 3.0]])
    move = dictionary(alpha)
    assert torch.allclose(move[0], sum(a * q for a, q in zip(alpha[0], basis.T, strict=True)), atol=1e-5)
    assert torch.allclose(move.norm(), alpha.norm(), atol=1e-5)
    assert torch.allclose(basis @ (basis.T @ dictionary.weight), dictionary.weight, atol=1e-4), "another subspace"
    (move * torch.randn(1, 16)).sum().backward()
    assert dictionary.weight.grad.abs().max() > 1e-3


def test_more_directions_than_dimensions_are_refused():
    with pytest.raises(ValueError, match="5 directions cannot be orthogonal in 4"):
        Dictionary(4, 5)


def sampled(feature, x, y):
    """Bilinear value of feature [C s s] at the position x, y in [-1, 1], edge to edge, zeros outside."""
    side = feature.shape[-1]
    column, row = ((v + 1) * side / 2 - 0.5 for v in (x, y))
    total = torch.zeros(len(feature))
    for r in (math.floor(row), math.floor(row) + 1):
        for c in (math.floor(column), math.floor(column) + 1):
            if 0 <= r < side and 0 <= c < side:
                total += feature[:, r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return total


def test_a_flow_points_at_a_position_edge_to_edge_with_zeros_outside():
    torch.manual_seed(2)
    feature, flow = torch.randn(1, 3, 8, 8), torch.randn(1, 2, 8, 8)
    out = warp(feature, flow)
    for row, column in ((0, 0), (2, 5), (7, 7), (4, 1)):
        x = -1 + 2 * column / 7 + math.tanh(flow[0, 0, row, column])
        y = -1 + 2 * row / 7 + math.tanh(flow[0, 1, row, column])
        assert torch.allclose(out[0, :, row, column], sampled(feature[0], x, y), atol=1e-5)


def test_no_flow_enlarges_the_feature_by_its_own_border():
    """The grid counts from the centres of the border's pixels, the sampling from their edges."""
    feature = torch.randn(1, 2, 8, 8)
    out = warp(feature, torch.zeros(1, 2, 8, 8))
    assert torch.allclose(out[0, :, 0, 0], feature[0, :, 0, 0] / 4, atol=1e-6), "half of each axis lies outside"
    assert not torch.allclose(out, feature, atol=0.1) and grid(8, feature)[0, 0, -1].tolist() == [1.0, -1.0]


def test_the_flow_head_by_its_formula():
    torch.manual_seed(3)
    head = ToFlow(5, 6)
    head.bias.data.normal_()
    x, feature, code, before = (
        torch.randn(1, 5, 8, 8),
        torch.randn(1, 5, 8, 8),
        torch.randn(1, 6),
        torch.randn(1, 3, 4, 4),
    )
    style = code @ (head.conv.modulation.weight / 6**0.5).T + head.conv.modulation.bias
    raw = torch.einsum("oi,bihw->bohw", head.conv.weight[0, :, :, 0, 0] / 5**0.5 * style, x) + head.bias
    spread = torch.zeros(1, 3, 8, 8)
    spread[:, :, ::2, ::2] = before
    kernel = (TAPS[:, None] * TAPS * 4).expand(3, 1, 4, 4)
    raw = raw + F.conv2d(F.pad(spread, (2, 1, 2, 1)), kernel, groups=3)
    mask = torch.sigmoid(raw[:, 2:])
    shown = warp(feature, raw[:, :2]) * mask
    for made, true in zip(head(x, code, feature, before), (shown, shown + (1 - mask) * x, raw), strict=True):
        assert torch.allclose(made, true, atol=1e-5)


def test_the_colour_head_is_leaky_and_not_modulated():
    head = FlatRGB(2)
    head.conv[0].weight.data.fill_(2**0.5)
    head.conv[1].bias.data.fill_(-3.0)
    head.bias.data.fill_(0.25)
    out = head(torch.ones(1, 2, 4, 4))  # 2 * (sqrt 2 / sqrt 2) - 3 = -1
    assert torch.allclose(out, torch.full_like(out, -0.2 * 2**0.5 + 0.25), atol=1e-6)


def test_a_closed_mask_shows_nothing_of_the_photo_and_an_open_one_nothing_else(net):
    torch.manual_seed(4)
    code = torch.randn(1, 16)
    one, two = (net.encode(pictures())[1] for _ in range(2))
    moved = LIA(32, 16, 4)
    moved.load_state_dict(net.state_dict())
    with torch.no_grad():
        for head in moved.dec.to_flows:
            head.conv.weight.zero_()
            head.bias.copy_(torch.tensor([0.0, 0.0, -200.0]).view(1, 3, 1, 1))
        assert torch.equal(moved.dec(code, one), moved.dec(code, two)), "closed: no feature of the photo"
        for number, head in enumerate(moved.dec.to_flows):
            head.bias.copy_(torch.tensor([0.0, 0.0, 200.0 if number == 0 else 0.0]).view(1, 3, 1, 1))
            head.conv.weight.zero_()
        # zero flow: each head's picture is made of the photo's own feature, warped by the identity grid alone
        picture = None
        for head, feature in zip(moved.dec.to_rgbs, one, strict=True):
            picture = head(warp(feature, torch.zeros(1, 2, *feature.shape[2:])), picture)
        assert torch.allclose(moved.dec(code, one), picture, atol=1e-4)
        assert not torch.allclose(moved.dec(code, one), moved.dec(code, two), atol=1e-2)


def test_relative_and_absolute_motion(net):
    torch.manual_seed(5)
    source, driving, start = pictures(), pictures(), pictures()
    code, features = net.encode(source)
    a, b, c = (net.magnitudes(net.encode(p)[0]) for p in (driving, start, source))
    assert torch.allclose(net(source, driving), net.decode(code, features, a), atol=1e-5)
    moves = net.dec.direction
    relative = net.dec(code + moves(a) - moves(b) + moves(c), features)
    assert torch.allclose(net(source, driving, start), relative, atol=1e-5)
    still = net(source, start, start)
    assert torch.allclose(still, net(source, source), atol=1e-5), "at the start the photo has its own pose"
    assert not torch.allclose(still, net(source, driving, start), atol=1e-3)


def test_noise_strengths_and_the_first_colour_head_are_stored_and_unused(net):
    source = pictures()
    before = net(source, source)
    other = LIA(32, 16, 4)
    other.load_state_dict(net.state_dict())
    with torch.no_grad():
        for name, value in other.named_parameters():
            if "noise" in name or "to_rgb1" in name:
                value.fill_(3.0)
        assert torch.equal(other(source, source), before)


def test_rows_do_not_mix(net):
    two = pictures(2)
    both = net(two, two.flip(0))
    for row in range(2):
        assert torch.allclose(both[row], net(two[row : row + 1], two[1 - row : 2 - row])[0], atol=1e-4)
