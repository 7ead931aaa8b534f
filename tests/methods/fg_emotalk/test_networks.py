"""Networks of FG-EmoTalk, small: the two groups of the dictionary, the graph of units, and what each input moves."""

import pytest
import torch
import torch.nn.functional as F

from thgen.methods.fg_emotalk.networks import AUEncoder, GatedGraph, VideoNetwork
from thgen.weights.hub import NETWORKS


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return VideoNetwork(32, 32, 3, 2).eval()


def test_sizes_of_the_paper():
    with torch.device("meta"):
        net, units = VideoNetwork(), AUEncoder()
    assert net.size == 512 and net.dictionary.weight.shape == (512, 40) and net.sizes == (20, 20)
    assert units.embedding.shape == (7, 512) and units.edges.shape == (7, 7, 512) and units.out.out_features == 20
    assert len(units.graph) == 2 and units.units == (1, 2, 4, 5, 6, 9, 12)
    assert NETWORKS["fg_emotalk"].endswith(":VideoNetwork") and NETWORKS["fg_emotalk_au"].endswith(":AUEncoder")


def test_pose_and_expression_live_in_orthogonal_spaces(net):
    basis = net.dictionary.basis()
    assert torch.allclose(basis.T @ basis, torch.eye(5), atol=1e-5)
    pose, expression = torch.randn(4, 3), torch.randn(4, 2)
    moved, changed = net.move(pose=pose), net.move(expression=expression)
    assert (moved * changed).sum(1).abs().max() < 1e-4
    assert torch.allclose(net.move(pose, expression), moved + changed, atol=1e-5), "equations 3 and 5 agree"
    assert torch.allclose(moved @ basis[:, :3], pose, atol=1e-4) and (moved @ basis[:, 3:]).abs().max() < 1e-4


def test_a_loss_of_one_group_teaches_the_dictionary_through_qr(net):
    net.zero_grad()
    (net.move(expression=torch.ones(1, 2)) @ torch.randn(32)).sum().backward()
    assert net.dictionary.weight.grad.abs().max() > 1e-4 and torch.isfinite(net.dictionary.weight.grad).all()


def test_extractors_share_no_weight(net):
    feature = torch.randn(2, 32)
    assert net.appearance(feature).shape == (2, 32)
    assert net.pose(feature).shape == (2, 3) and net.expression(feature).shape == (2, 2)
    seen = [id(p) for part in (net.appearance, net.pose, net.expression) for p in part.parameters()]
    assert len(seen) == len(set(seen))


def test_the_appearance_attends_to_all_tokens(net):
    """Attention is not linear: five linear layers alone would be."""
    a, b, zero = torch.randn(1, 32), torch.randn(1, 32), torch.zeros(1, 32)
    f = net.appearance
    assert not torch.allclose(f(a + b) + f(zero), f(a) + f(b), atol=1e-3)


def test_a_graph_layer_by_its_formula():
    torch.manual_seed(1)
    layer = GatedGraph(3, 4).eval()
    for norm, count in ((layer.edge_norm, 9), (layer.node_norm, 3)):
        norm.weight.data, norm.bias.data = torch.rand(count), torch.randn(count)
        norm.running_mean, norm.running_var = torch.randn(count), torch.rand(count) + 0.5
    h, e = torch.randn(1, 3, 4), torch.randn(1, 3, 3, 4)
    nodes, edges = layer(h, e)

    def normed(norm, x, k):
        scaled = (x - norm.running_mean[k]) / (norm.running_var[k] + norm.eps) ** 0.5
        return scaled * norm.weight[k] + norm.bias[k]

    for i in range(3):
        for j in range(3):
            raw = layer.a.weight @ h[0, i] + layer.b.weight @ h[0, j] + layer.e.weight @ e[0, i, j]
            assert torch.allclose(
                edges[0, i, j], e[0, i, j] + F.relu(normed(layer.edge_norm, raw, 3 * i + j)), atol=1e-5
            )
        gate = torch.softmax(torch.sigmoid(edges[0, i]), 0)
        message = layer.u.weight @ h[0, i] + (gate * (h[0] @ layer.v.weight.T)).sum(0) / 3
        assert torch.allclose(nodes[0, i], F.relu(h[0, i] + normed(layer.node_norm, message, i)), atol=1e-5)


@pytest.fixture(scope="module")
def trained():
    """An encoder after 150 steps on codes that grow with each unit's intensity in a direction of its own."""
    torch.manual_seed(2)
    units = AUEncoder(width=16, outputs=8)
    directions = torch.linalg.qr(torch.randn(8, 7))[0].T
    optimizer = torch.optim.Adam(units.parameters(), 0.01)
    for _ in range(150):
        asked = torch.rand(32, 7) * 5 * (torch.rand(32, 7) < 0.5)
        loss = F.mse_loss(units(asked), asked / 5 @ directions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return units.eval().requires_grad_(False), directions


def test_no_unit_changes_nothing(trained):
    units, _ = trained
    assert units(torch.zeros(3, 7)).abs().max() < 1e-6
    assert AUEncoder(width=8, outputs=4).eval()(torch.ones(2, 7)).shape == (2, 4)


def test_a_stronger_unit_moves_further(trained):
    """What the sliders promise: from 0 to 5 each unit's code grows along its direction, step by step."""
    units, directions = trained
    for unit in range(7):
        asked = torch.zeros(6, 7)
        asked[:, unit] = torch.arange(6.0)
        along = units(asked) @ directions[unit]
        assert (along.diff() > 0).all() and along[-1] > 0.4, unit


def test_add_keeps_the_expression_and_replace_does_not(trained):
    units, _ = trained
    asked, one, two = torch.tensor([[0, 0, 3.0, 0, 0, 0, 0]]), torch.randn(1, 8), torch.randn(1, 8)
    assert torch.allclose(units.edited(one, asked, replace=False) - one, units(asked), atol=1e-5)
    assert torch.equal(units.edited(one, asked, replace=True), units.edited(two, asked, replace=True))
    units.neutral.fill_(2.0)
    assert torch.allclose(units.edited(one, torch.zeros(1, 7), replace=True), torch.full((1, 8), 2.0), atol=1e-5)
    assert torch.allclose(units.edited(one, torch.zeros(1, 7), replace=False), one, atol=1e-5)
    units.neutral.zero_()
