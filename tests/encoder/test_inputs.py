"""What encoders get beside the feature: where the head is, in numbers near 1."""

import numpy as np
import pytest
import torch

from thgen.encoder.inputs import FRAME_NUMBERS, encoder_input, frame_numbers, input_size
from thgen.encoder.network import Encoded, FaceEncoder
from thgen.encoder.tiles import frames_of

TURN = 10.0  # degrees


def moved(points: torch.Tensor, shift: float = 0.0, zoom: float = 1.0, roll: float = 0.0) -> torch.Tensor:
    angle = np.deg2rad(roll)
    matrix = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    return zoom * points[..., :2] @ matrix.T + torch.tensor([shift, 0.0])


def test_a_head_moves_its_own_numbers_alone(keypoints):
    numbers = {
        name: frame_numbers(frames_of(moved(keypoints, **change)))[0]
        for name, change in {"still": {}, "x": {"shift": 0.15}, "size": {"zoom": 1.1}, "roll": {"roll": TURN}}.items()
    }
    assert numbers["still"].shape == (FRAME_NUMBERS,) and numbers["still"].abs().max() < 6
    step = {name: values - numbers["still"] for name, values in numbers.items()}
    assert step["x"][0] == pytest.approx(1.0, abs=1e-3) and step["x"][1:].abs().max() < 1e-3
    assert step["size"][2] == pytest.approx(np.log(1.1) / 0.12, abs=1e-3)
    assert step["roll"][3] == pytest.approx(np.deg2rad(TURN) / 0.13, abs=1e-2)
    for name in ("size", "roll"):  # where eye and mouth lie in the face stays
        assert step[name][4:].abs().max() < 1e-2, name


def test_the_input_is_the_feature_and_the_numbers(keypoints):
    small = {n: (8, 8, 8, 8) for n in ("face", "eye", "mouth", "brows")}
    eyes = [[68, *range(42, 48)], [69, *range(36, 42)]]
    net = FaceEncoder(90, eyes, list(range(48, 68)), list(range(17, 27)), **small, codes=(12, 8, 10, 6), segments=8)
    frames = frames_of(keypoints)
    encoded = Encoded(torch.randn(1, net.feature_size), keypoints[:, :90], keypoints[:, :90], frames)
    whole = encoder_input(encoded)
    assert whole.shape == (1, input_size(net))
    assert torch.equal(whole, torch.cat([encoded.feature, frame_numbers(frames)], 1))
