"""The expert of lip sync of eq. 4: what it sees of a picture, and its weights."""

from __future__ import annotations

import logging
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from thgen.errors import WeightsError
from thgen.face.crop import face_window
from thgen.nn.wav2lip import SIDE, SyncExpert
from thgen.training.export import folder_of
from thgen.weights import hub

LOG = logging.getLogger(__name__)
SYNC = "fc_tfg_sync"  # weights name; a network of losses alone, so no measure of sync may use it


def lip_views(pictures: Tensor) -> Tensor:
    """Pictures of the crop [B 3 S S] in [-1, 1] -> lower halves of their faces, BGR in [0, 1], [B 3 48 96].

    Differentiable. The face is the fixed square `face.crop.FACE` of the crop (deviation 9).
    """
    rows, columns = face_window(pictures.shape[-1])
    face = pictures[..., rows, columns]
    how = "area" if face.shape[-1] >= SIDE else "bilinear"
    return (F.interpolate(face, size=(SIDE, SIDE), mode=how).flip(1)[..., SIDE // 2 :, :] + 1) / 2


def lip_windows(windows: Tensor) -> Tensor:
    """Windows of pictures [B 5 3 S S] -> the expert's input [B 15 48 96]."""
    return lip_views(windows.flatten(0, 1)).unflatten(0, windows.shape[:2]).flatten(1, 2)


def choose_sync_expert(exported: Path | str = "", name: str = SYNC) -> SyncExpert | None:
    """The trained expert of that weights name, frozen: exported by the run, or bundled. None, with a warning, where
    there is none."""
    try:
        network = hub.load_network(name, "cpu", folder_of(name, exported))
    except WeightsError as error:
        LOG.warning("The sync expert is not available, so its loss is off; train the stage 'sync': %s", error)
        return None
    assert isinstance(network, SyncExpert)
    return network
