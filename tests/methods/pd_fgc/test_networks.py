"""PD-FGC's encoders: the paper's sizes, small sizes, and the inputs on which each output depends."""

import pytest
import torch

from thgen.methods.pd_fgc.networks import Appearance, AudioLip, FaceMotion, Motion
from thgen.nn.fan import HourGlass
from thgen.nn.resnet_se import Squeeze
from thgen.nn.resnext import Bottleneck


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_appearance_is_the_average_of_its_map_and_the_map_through_one_convolution():
    net = Appearance(depths=(1, 1, 1, 1), groups=4, group_width=2, base=8, map_channels=16, side=4, identities=7).eval()
    x = torch.randn(2, 3, 128, 128)
    vector, start = net(x)
    features = net.model(x)
    assert vector.shape == (2, 256) and start.shape == (2, 16, 4, 4) and features.shape == (2, 256, 4, 4)
    assert torch.allclose(vector, features.flatten(2).mean(2)) and torch.allclose(start, net.conv1x1(features))
    assert net.identify(vector).shape == (2, 7)


def test_the_three_by_three_strides_in_groups():
    block = Bottleneck(16, 8, 32, groups=4, stride=2)
    assert block.conv2.stride == (2, 2) and block.conv2.groups == 4 and block.conv1.stride == (1, 1)
    assert block(torch.randn(1, 16, 8, 8)).shape == (1, 32, 4, 4)


def test_the_hourglass_gives_odd_sizes_back():
    assert HourGlass(8)(torch.randn(1, 8, 56, 56)).shape == (1, 8, 56, 56), "56, 28, 14, 7, 3 and back"


def test_dropout_falls_on_the_skip_branch_while_training_only():
    net, x = HourGlass(8, depth=1), torch.randn(2, 8, 8, 8)
    net.eval()
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


def test_motion_has_a_latent_per_factor():
    net = Motion(width=16, side=64, features=32, maps=12, lip=20, pose=6, eye=6, expression=30).eval()
    feature = net(torch.randn(3, 3, 64, 64))
    assert feature.shape == (3, 32) and net.lip_feature(feature).shape == (3, 32)
    assert net.pose(feature).shape == (3, 6) == net.eye(feature).shape and net.expression(feature).shape == (3, 30)
    net.train()
    net.pose(net(torch.randn(3, 3, 64, 64))).sum().backward()
    moved = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None}
    assert moved == {"model", "to_headpose", "headpose_embed"}


def test_motion_of_the_compact_preset_has_the_heads_of_the_released_one():
    sizes = {"features": 32, "lip": 20, "pose": 6, "eye": 6, "expression": 30}
    net, released = FaceMotion(40, hidden=24, layers=1, **sizes).eval(), Motion(width=16, side=64, maps=12, **sizes)
    heads = [{n: p.shape for n, p in m.state_dict().items() if not n.startswith("model.")} for m in (net, released)]
    assert heads[0] == heads[1] and heads[0]
    assert net(torch.randn(3, 40)).shape == (3, 32)
    again = FaceMotion(**{k: v for k, v in net.config.items() if k != "class"})
    again.load_state_dict(net.state_dict())


def test_entries_of_all_scales_reach_the_motion_feature():
    """Codes of some tiles have a hundred times the size of others: all come to one scale first."""
    net = FaceMotion(4, hidden=24, layers=1, features=8).train()
    x = torch.randn(64, 4, requires_grad=True)
    scale = torch.tensor([100.0, 1.0, 1.0, 0.01])
    net(x * scale).square().sum().backward()
    reach = x.grad.norm(dim=0)
    assert reach.max() < 10 * reach.min()


def test_audio_gives_a_feature_and_a_latent_of_a_window():
    net = AudioLip(channels=(8, 8, 16, 16), depths=(1, 1, 1, 1), features=24, attention=8, lip=20).eval()
    feature, latent = net(torch.rand(2, 1, 80, 20))
    assert feature.shape == (2, 24) and latent.shape == (2, 20)
    assert torch.allclose(latent, net.mouth_embed(feature))


def test_squeeze_scales_whole_channels():
    net, x = Squeeze(16), torch.randn(2, 16, 5, 3)
    ratio = net(x) / x
    assert torch.allclose(ratio, ratio[:, :, :1, :1].expand_as(ratio), atol=1e-4) and (ratio > 0).all()
