"""What the sync expert sees of a picture, and where its weights come from."""

import logging

import pytest
import torch

from thgen.errors import WeightsError
from thgen.methods.fc_tfg import sync
from thgen.methods.fc_tfg.sync import choose_sync_expert, lip_views, lip_windows


@pytest.mark.parametrize("size", [64, 256])
def test_the_lower_half_of_the_face_in_bgr(size):
    picture = torch.zeros(1, 3, size, size)
    picture[:, 0] = 1.0  # red
    picture[:, :, : round(0.55 * size)] = -1.0  # above the middle of FACE, whose centre is at 0.55 of the side
    view = lip_views(picture)
    assert view.shape == (1, 3, 48, 96)
    inside = view[0, :, 2:]
    assert (inside[2] == 1).all() and (inside[:2] == 0.5).all(), "red is the last channel; black below -1 is cut off"


def test_frames_of_a_window_are_channels_in_their_order():
    windows = torch.stack([torch.full((3, 64, 64), k / 10) for k in range(5)])[None]
    out = lip_windows(windows)
    assert out.shape == (1, 15, 48, 96)
    torch.testing.assert_close(out[0, ::3, 0, 0], (torch.arange(5) / 10 + 1) / 2)


def test_pictures_get_a_gradient_from_below_alone():
    picture = torch.zeros(1, 3, 128, 128, requires_grad=True)
    lip_views(picture).sum().backward()
    assert picture.grad[..., :60, :].abs().sum() == 0 < picture.grad[..., 80:110, 64].abs().sum()


def test_without_weights_there_is_no_expert_and_the_log_says_so(caplog, monkeypatch):
    def absent(name, *_):
        raise WeightsError(f"There are no weights {name!r}.")

    monkeypatch.setattr(sync.hub, "load_network", absent)
    with caplog.at_level(logging.WARNING):
        assert choose_sync_expert() is None
    assert "train the stage 'sync'" in caplog.text
