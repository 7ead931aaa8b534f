"""wav2vec 2.0 (Baevski et al. 2020) of `transformers`, at the rate of a video, as FaceFormer (Fan et al. 2022) uses it.

FaceFormer resamples the features of the convolutions, 50 per second, to the video's rate before the transformer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)  # of the convolutions, all sizes of wav2vec 2.0
FIELD = 400  # samples that one feature sees, and so the shortest sound
LEAST_VARIANCE = 1e-7  # added to the variance of a sound before the root, as in the feature extractor of transformers
PUBLIC_PREFIX = "wav2vec2."  # of names in public checkpoints, which hold heads for other tasks, too
# Public checkpoints are older than torch's parametrisation of weight norm.
OLD_NAMES = {"conv.weight_g": "conv.parametrizations.weight.original0",
             "conv.weight_v": "conv.parametrizations.weight.original1"}  # fmt: skip


def normalised(samples: np.ndarray) -> np.ndarray:
    """A sound float [L] with mean 0 and variance 1, float32. Silence stays 0.

    >>> normalised(np.array([1.0, 3.0])).round(3).tolist()
    [-1.0, 1.0]
    """
    sound = np.asarray(samples, np.float64)
    if not len(sound):
        return np.zeros(0, np.float32)
    return ((sound - sound.mean()) / np.sqrt(sound.var() + LEAST_VARIANCE)).astype(np.float32)


class Wav2Vec2(nn.Module):
    """Sounds -> features at any rate. The convolutions stay as they are (FaceFormer), the transformer can be trained.

    The default sizes are those of "base". channels: of each convolution. hidden, layers, heads, inner: width, layers,
    attention heads and width of the feed-forward layers of the transformer. positions, groups: kernel and groups of the
    convolution that gives it the places of its inputs.
    """

    def __init__(
        self, channels: tuple[int, ...] = (512,) * 7, hidden: int = 768, layers: int = 12, heads: int = 12,
        inner: int = 3072, positions: int = 128, groups: int = 16,
    ):  # fmt: skip
        super().__init__()
        # No masks and no dropped layers: they are for the training on sounds alone.
        self.model = Wav2Vec2Model(
            Wav2Vec2Config(
                conv_dim=list(channels), conv_kernel=list(KERNELS), conv_stride=list(STRIDES), hidden_size=hidden,
                num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner,
                num_conv_pos_embeddings=positions, num_conv_pos_embedding_groups=groups,
                apply_spec_augment=False, mask_time_prob=0.0, layerdrop=0.0,
            )
        )  # fmt: skip
        self.model.freeze_feature_encoder()
        self.hidden = hidden

    def forward(self, sounds: Tensor, frames: int) -> Tensor:
        """sounds [B L] as of `normalised` (whole recordings), 16 kHz -> features [B frames hidden].

        The first and the last frame are the ends of the sound (align_corners in FaceFormer).
        """
        short = FIELD - sounds.shape[1]
        with torch.no_grad():
            heard = self.model.feature_extractor(F.pad(sounds, (0, short)) if short > 0 else sounds)
        heard = F.interpolate(heard.float(), size=frames, mode="linear", align_corners=True)
        inputs, _ = self.model.feature_projection(heard.transpose(1, 2))
        features: Tensor = self.model.encoder(inputs).last_hidden_state
        return features


def own_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a public checkpoint by the names of `Wav2Vec2`, without heads and the mask of the pre-training."""
    found = {}
    for name, value in tensors.items():
        if not name.startswith(PUBLIC_PREFIX) or name.endswith("masked_spec_embed"):
            continue
        for old, new in OLD_NAMES.items():
            name = name.replace(old, new)
        found["model." + name.removeprefix(PUBLIC_PREFIX)] = value
    return found
