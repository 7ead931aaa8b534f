"""VGG19 has the names and shapes of the public checkpoints, and five maps of the sizes of the paper."""

import torch
import torch.nn.functional as F

from thgen.nn.vgg import IMAGENET_MEAN, IMAGENET_STD, VGG19

NARROW = ((4, 2), (6, 2), (8, 4), (8, 4), (8, 1))


def test_names_and_shapes_are_those_of_the_public_checkpoints():
    with torch.device("meta"):
        state = VGG19().state_dict()
    convolutions = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)  # torchvision's vgg19, to conv5_1
    assert set(state) == {f"features.{n}.{kind}" for n in convolutions for kind in ("weight", "bias")}
    assert state["features.0.weight"].shape == (64, 3, 3, 3)
    assert state["features.16.weight"].shape == (256, 256, 3, 3)
    assert state["features.28.weight"].shape == (512, 512, 3, 3)


def test_five_maps_each_half_the_size_of_the_one_before():
    maps = VGG19(NARROW)(torch.zeros(2, 3, 64, 64))
    assert [tuple(m.shape) for m in maps] == [
        (2, 4, 64, 64),
        (2, 6, 32, 32),
        (2, 8, 16, 16),
        (2, 8, 8, 8),
        (2, 8, 4, 4),
    ]


def test_the_first_map_is_a_convolution_of_the_normalised_image():
    torch.manual_seed(0)
    net, image = VGG19(NARROW), torch.rand(1, 3, 16, 16) * 2 - 1
    mean, std = (torch.tensor(x)[:, None, None] for x in (IMAGENET_MEAN, IMAGENET_STD))
    first = net.features[0]
    expected = F.conv2d(((image + 1) / 2 - mean) / std, first.weight, first.bias, padding=1).clamp_min(0)
    assert torch.allclose(net(image)[0], expected, atol=1e-6)
