import pytest
import torch

from thgen.methods.gc_avt.networks import Content, Identity, Voice
from thgen.nn.mobilenet import MobileNetV2


def test_sizes_are_those_of_section_4_1():
    with torch.device("meta"):
        nets = [Identity(), MobileNetV2(12), MobileNetV2(256), Content(), Voice()]
        shapes = [(1, 3, 256, 256)] * 3 + [(1, 3, 112, 112), (1, 1, 80, 20)]
        outputs = [tuple(net.eval()(torch.zeros(s)).shape) for net, s in zip(nets, shapes, strict=True)]
    assert outputs == [(1, 512), (1, 12), (1, 256), (1, 256), (1, 256)]
    millions = [sum(p.numel() for p in net.parameters()) / 1e6 for net in nets]
    assert millions == pytest.approx([24.03, 2.24, 2.55, 5.38, 6.72], abs=0.12)


def test_identity_has_the_names_of_torchvision():
    with torch.device("meta"):
        names = Identity().state_dict()
    assert {"conv1.weight", "layer1.0.downsample.0.weight", "layer4.2.bn3.running_var", "fc.bias"} <= set(names)
    assert names["layer1.0.conv2.weight"].shape == (128, 4, 3, 3), "32x4d"


@pytest.fixture
def small():
    torch.manual_seed(0)
    return Identity(8, (1, 1, 1, 1), 2, 4, 8).eval()


@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_person_is_the_mean_of_any_number_of_photos(small, count):
    photos = torch.randn(2, count, 3, 64, 64)
    expected = torch.stack([small(row).mean(0) for row in photos])
    torch.testing.assert_close(small.of_person(photos), expected)


def test_the_order_of_photos_does_not_matter(small):
    photos = torch.randn(1, 8, 3, 64, 64)
    torch.testing.assert_close(small.of_person(photos), small.of_person(photos[:, torch.randperm(8)]))
    assert not torch.allclose(small.of_person(photos), small.of_person(photos[:, :4]))


@pytest.mark.parametrize("net", [
    lambda: Identity(8, (1, 1), 2, 4, 8), lambda: Content(8, (4, 8), (1, 1)),
    lambda: Voice(8, (4, 8), (1, 1), attention=4)])  # fmt: skip
def test_a_config_builds_the_network_again(net):
    made = net()
    config = {key: value for key, value in made.config.items() if key != "class"}
    again = type(made)(**config)
    again.load_state_dict(made.state_dict())
