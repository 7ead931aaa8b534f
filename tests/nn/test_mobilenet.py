import pytest
import torch

from thgen.nn.mobilenet import MobileNetV2, scaled


def test_size_and_names_are_those_of_torchvision():
    with torch.device("meta"):
        net = MobileNetV2(1000)
    assert sum(p.numel() for p in net.parameters()) == 3_504_872
    names = set(net.state_dict())
    assert len(names) == 314
    assert {
        "features.0.0.weight", "features.0.1.running_var", "features.1.conv.0.0.weight", "features.1.conv.1.weight",
        "features.1.conv.2.bias", "features.2.conv.0.0.weight", "features.17.conv.3.running_mean",
        "features.18.0.weight", "features.18.1.num_batches_tracked", "classifier.1.weight",
    } <= names  # fmt: skip
    assert net.state_dict()["features.18.0.weight"].shape == (1280, 320, 1, 1)


@pytest.mark.parametrize(("channels", "width", "expected"), [
    (32, 1.0, 32), (32, 0.25, 8), (24, 0.25, 8), (320, 0.35, 112), (16, 0.1, 8)])  # fmt: skip
def test_channels_are_multiples_of_eight(channels, width, expected):
    assert scaled(channels, width) == expected


def test_a_picture_of_any_size_gives_one_vector():
    torch.manual_seed(0)
    net = MobileNetV2(12, width=0.25).eval()
    assert net(torch.randn(2, 3, 64, 64)).shape == net(torch.randn(2, 3, 96, 80)).shape == (2, 12)
    assert net.features[:-1](torch.randn(1, 3, 64, 64)).shape[2:] == (2, 2), "a 32nd of the side"
    out = net(torch.randn(2, 3, 64, 64))
    assert not torch.allclose(out[0], out[1])
