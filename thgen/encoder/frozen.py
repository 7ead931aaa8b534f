"""The face encoder in the training of compact methods: frozen, it turns frames of clips into the input of encoders.

Every compact stage gets its frames in this way, so stages and methods share cached features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thgen.analyser.network import to_input
from thgen.encoder.groups import points_of
from thgen.encoder.inputs import encoder_input
from thgen.encoder.network import FaceEncoder
from thgen.encoder.tiles import Shake, cut, frames_of, shaken
from thgen.synth.clip import head_mesh
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.performer import neck_weight
from thgen.training.data.damage import damaged_clip
from thgen.training.export import folder_of
from thgen.weights import hub

BATCH = 64  # frames per pass: their crops take 50 MB
SMALL = {net: (8, 8, 8, 8) for net in ("face", "eye", "mouth", "brows")}  # widths of the encoder of other heads
SMALL_CODES = (24, 12, 16, 8)


def load_encoder(head: str, exported: str = "") -> FaceEncoder:
    """The face encoder without gradients, of the folder `exported` of a run if it is there, else the bundled one.

    head: whose keypoints the clips have; another one than "facekit" gets a small untrained encoder, always the same.
    Raises WeightsError.
    """
    if head == "facekit":
        network = hub.load_network("face_encoder", weights_dir=folder_of("face_encoder", exported))
        assert isinstance(network, FaceEncoder)
        return network
    layout = build_layout(head_mesh(head), neck_weight)
    points = points_of(layout)
    with torch.random.fork_rng(devices=[]):  # stages must have the same one, and their own weights must not change
        torch.manual_seed(0)
        net = FaceEncoder(
            len(layout.index), points.eyes, points.mouth, points.brows, **SMALL, codes=SMALL_CODES, segments=8
        )
    return net.requires_grad_(False).eval()


def trained_on(head: str, exported: str = "") -> str:
    """Words for the manifest: the encoder on whose features a stage trains. Heads fit no other encoder."""
    if head != "facekit":
        return "features of an untrained face encoder"
    about = hub.describe("face_encoder", folder_of("face_encoder", exported))
    return f"features of the face encoder {about['sha256']}"


@torch.no_grad()
def read_frames(
    encoder: FaceEncoder, images: np.ndarray, keypoints: np.ndarray, rng: np.random.Generator | None = None
) -> Tensor:
    """Frames of one clip, uint8 [n S S 3], with keypoints [n K 3] -> `encoder_input` [n F] on the CPU.

    rng: augments. The pictures are strongly damaged, and the tiles are misplaced, which their frames tell. Both leave
    the true motion as it is, so that labels stay right.
    """
    device = next(encoder.parameters()).device
    shown = np.ascontiguousarray(images) if rng is None else np.stack(damaged_clip(images, rng))
    frames = frames_of(torch.from_numpy(keypoints.astype(np.float32)))
    if rng is not None:
        frames = shaken(rng, frames, Shake())
    out = []
    # in float32, as at inference, also where the stage has autocast
    with torch.autocast(device.type, enabled=False):
        for first in range(0, len(frames), BATCH):
            here = frames[first : first + BATCH].to(device)
            crops = to_input(torch.from_numpy(shown[first : first + BATCH]).to(device))
            out.append(encoder_input(encoder.read(cut(crops, here), here)).cpu())
    return torch.cat(out)
