"""Boxes of a frame in which patches are drawn."""

import torch

from thgen.compact.flow.patches import Box
from thgen.nn.sampling import grid

SIZE = 64


def test_a_box_lies_around_its_ends_and_within_the_window() -> None:
    window = (slice(10, 60), slice(0, 40))
    box = Box.around(torch.tensor([-0.5, -0.9]), torch.tensor([0.5, 0.25]), window, SIZE)
    assert (box.rows, box.columns) == (slice(10, 41), slice(16, 40))
    assert box.inner == (slice(0, 31), slice(16, 40)) and not box.empty
    assert Box.around(torch.tensor([0.5, 0.0]), torch.tensor([0.9, 0.1]), window, SIZE).empty


def test_it_shows_the_places_to_which_the_flow_leads() -> None:
    whole = slice(0, SIZE)
    box = Box.around(torch.tensor([-0.5, -0.5]), torch.tensor([0.5, 0.25]), (whole, whole), SIZE)
    flow = torch.tensor([[0.1, -0.2], [0.0, 0.3]])[:, :, None, None].expand(2, 2, 8, 8)
    shown = box.shown(flow, SIZE)
    axis = grid(SIZE, flow.device)
    assert shown.shape == (2, box.rows.stop - box.rows.start, box.columns.stop - box.columns.start, 2)
    torch.testing.assert_close(shown[0, :, 0, 1], axis[box.rows] - 0.2)
    torch.testing.assert_close(shown[1, 0, :, 0], axis[box.columns])
