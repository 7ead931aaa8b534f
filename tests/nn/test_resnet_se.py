import pytest
import torch

from thgen.nn.resnet_se import PictureResNetSE, ResNetSE

CHANNELS, DEPTHS = (32, 64, 128, 256), (3, 4, 6, 3)


def test_both_are_the_same_stages():
    """Names and shapes agree but for the first convolution and what follows the stages."""
    with torch.device("meta"):
        sound, picture = ResNetSE(CHANNELS, DEPTHS, 80, 256, 128), PictureResNetSE(CHANNELS, DEPTHS, 256)
    a, b = ({n: tuple(v.shape) for n, v in net.state_dict().items()} for net in (sound, picture))
    stages = {n for n in a if n.startswith(("layer", "bn1", "conv1.bias"))}
    assert {n: a[n] for n in stages} == {n: b[n] for n in stages}
    assert a["conv1.weight"] == (32, 1, 3, 3) and b["conv1.weight"] == (32, 3, 3, 3)
    assert a["fc.weight"] == (256, 2560) and b["fc.weight"] == (256, 256)
    assert {n for n in a if n not in b} == {n for n in a if n.startswith("attention.")}


@pytest.mark.parametrize("side", [32, 112])
def test_a_picture_of_any_size_gives_one_feature(side):
    net = PictureResNetSE((4, 8), (1, 1), 6).eval()
    assert net(torch.randn(2, 3, side, side)).shape == (2, 6)


def test_the_pooling_over_time_takes_any_length():
    net = ResNetSE((4, 8), (1, 1), 80, 6, 4).eval()
    assert net(torch.rand(2, 1, 80, 20)).shape == net(torch.rand(2, 1, 80, 31)).shape == (2, 6)
