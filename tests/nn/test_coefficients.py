"""Gaze angles, eye openness and coefficients."""

import doctest

import torch

from thgen.nn import coefficients
from thgen.nn.coefficients import blink_weights, gaze_shapes, pick, place
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENT_INDEX, LIP_COEFFICIENTS


def test_looking_right_turns_the_left_eye_out_and_the_right_eye_in():
    shapes = gaze_shapes(torch.tensor([[[35.0, 0.0], [35.0, 0.0]]]))[0]
    assert shapes[COEFFICIENT_INDEX["eyeLookOut_L"]] == shapes[COEFFICIENT_INDEX["eyeLookIn_R"]] == 1
    assert shapes.count_nonzero() == 2


def test_place_and_pick_are_inverse():
    values = torch.rand(2, len(LIP_COEFFICIENTS))
    assert torch.equal(pick(place(values, LIP_COEFFICIENTS), LIP_COEFFICIENTS), values)
    assert place(values, LIP_COEFFICIENTS).count_nonzero() == values.numel()


def test_openness_becomes_blink_left_first():
    assert BLINK_COEFFICIENTS == ("eyeBlink_L", "eyeBlink_R")
    assert torch.equal(blink_weights(torch.tensor([[0.0, 130.0]])), torch.tensor([[1.0, 0.0]]))


def test_examples_in_the_docstrings():
    result = doctest.testmod(coefficients)
    assert result.attempted and not result.failed
