"""What every compact method's encoders get of a face: the face encoder's feature, and where its tiles lay in the crop.

The feature alone does not say where the head is, because the tiles follow it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from thgen.encoder.network import Encoded, FaceEncoder, net_of
from thgen.encoder.tiles import NAMES, to_tile

# Of the tile of the face in 1,350 rendered frames: half-width, and standard deviations of x and y in crop half-widths,
# of the logarithm of the half-width and of the turn in radians.
FACE_HALF = 0.73
FACE_SPREAD = (0.15, 0.15, 0.12, 0.13)
# Means of the places of these tiles in the tile of the face, in its half-widths, and about their standard deviation,
# which comes from turned heads and long or broad faces. The right eye and the brows follow from the left eye.
PARTS = {"left": (0.27, -0.21), "mouth": (0.0, 0.39)}
PART_SPREAD = 0.03
FRAME_NUMBERS = len(FACE_SPREAD) + 2 * len(PARTS)


def input_size(encoder: FaceEncoder) -> int:
    """Number of entries of `encoder_input`."""
    return encoder.feature_size + FRAME_NUMBERS


def encoder_input(encoded: Encoded) -> Tensor:
    """[B feature_size + FRAME_NUMBERS], the one input of encoders, in training and at inference. Differentiable."""
    return torch.cat([encoded.feature.float(), frame_numbers(encoded.frames)], 1)


def code_columns(encoder: FaceEncoder, tile: str) -> slice:
    """Columns of `encoder_input` with the code of a tile, one of tiles.NAMES."""
    sizes = dict(zip(("face", "eye", "mouth", "brows"), encoder.config["codes"], strict=True))  # type: ignore[call-overload]
    before = sum(sizes[net_of(name)] for name in NAMES[: NAMES.index(tile)])
    return slice(before, before + sizes[net_of(tile)])


def frame_numbers(frames: Tensor) -> Tensor:
    """Frames of tiles [B 5 4] -> place, size and turn of the head in the crop, and where eye and mouth lie in the face,
    [B FRAME_NUMBERS], numbers near 1."""
    face = frames[:, NAMES.index("face")]
    place = torch.cat([face[:, :2], face[:, 2:3].log() - math.log(FACE_HALF), face[:, 3:]], 1)
    parts = to_tile(frames[:, [NAMES.index(name) for name in PARTS], :2], face) - face.new_tensor(list(PARTS.values()))
    return torch.cat([place / face.new_tensor(FACE_SPREAD), parts.flatten(1) / PART_SPREAD], 1)
