"""What every compact method does in training. It knows no paper.

The frames of a compact stage are features of the face encoder (`encoder.frozen.read_frames`), which stays frozen.
`data.cached_views` computes each once, and `data.cache_folder` keeps them for all stages and methods. Then a step costs
no picture.

A stage of a compact method needs three things, which tests/compact/test_task.py shows in a few lines:
    build    its encoders, which get `frame_size` numbers of a frame, and a `MotionHead` on their latents
    drawn    latents of photo and target of a batch, given to `draw`
    exports  and `networks`: the weights that it trains
All else has a default (`training.clip_task.ClipTask`): batches of photo and target, their augmentation, the losses
below, the discriminator, cached features, scores. A stage overrides `losses` to add terms of its own.

    keypoints       distance of the movement's keypoints from the true ones
    shape           error of lids, irises, lips and brows, without the pose
    coefficient_l2  mean square of the change of coefficients: the smallest change that explains the keypoints, which
                    several changes do
    image, vgg      L1 and perceptual distance of the generated picture from the true one
    adversarial, matching, discriminator    hinge GAN with feature matching
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from thgen.compact.frozen_generator import FrozenGenerator, first_states
from thgen.compact.motion_head import FaceState
from thgen.encoder.frozen import load_encoder, read_frames, trained_on
from thgen.encoder.inputs import encoder_input, input_size
from thgen.training.clip_task import ClipTask, Drawn
from thgen.training.config import StageConfig
from thgen.training.data.feature_cache import FeatureCache
from thgen.training.data.samples import Clip, Moments
from thgen.training.task import Batch

PICTURE_SIDE = 256  # px
DAMAGED = "damaged"  # name of the cached features of damaged frames, the same for all stages and methods


@dataclass(frozen=True, kw_only=True)
class CompactDrawn(Drawn):
    """state: of the targets, from the motion head."""

    state: FaceState


class CompactTask(ClipTask):
    """A stage of a compact method: latents become a movement of the photo, which the frozen generator renders.

    frozen: the generator;  encoder: the face encoder;  frame_size: F, numbers that a method's encoders get of a frame
    """

    picture_side = PICTURE_SIDE

    def __init__(self, config: StageConfig) -> None:
        self.encoder = load_encoder(self.data_of(config).head, config.weights)
        self.frame_size = input_size(self.encoder)
        super().__init__(config)

    def build_helpers(self) -> dict[str, nn.Module]:
        self.frozen = FrozenGenerator(self.data.head, self.store)
        self.summary.append(trained_on(self.data.head, self.config.weights))
        return {"frozen": self.frozen, "face_encoder": self.encoder} | super().build_helpers()

    # ---- batches
    def photo_features(self, clip: Clip, frame: int, rng: np.random.Generator, train: bool) -> Tensor:
        """As of a frame, [1 F]: an appearance encoder, too, is a head on the face encoder."""
        return self.features(clip, [frame], rng, train)

    def frame_views(self, rng: np.random.Generator, moments: Moments, augmented: bool) -> Tensor:
        """Features of frames [n F], of damaged ones with misplaced tiles if `augmented`."""
        return read_frames(self.encoder, moments.images, moments.keypoints, rng if augmented else None)

    def picture_features(self, pictures: Tensor, keypoints: Tensor) -> Tensor:
        """Features [P F] of generated pictures [P 3 S S] with keypoints [P K 3]. Differentiable."""
        return encoder_input(self.encoder(pictures, keypoints))

    # ---- frozen features
    def new_cache(self) -> FeatureCache:
        """The cache holds features of the face encoder, whatever this stage's own encoders are."""
        return FeatureCache(lambda features: features, self.frame_views, self.cache_folder(), (self.encoder,))

    def views_name(self) -> str:
        return DAMAGED

    @torch.no_grad()
    def encoded(self, features: Tensor) -> Tensor:
        """Features of the face encoder [n F], cached or not, -> those of the method's own frozen encoder on them, which
        is small and therefore computed in each step."""
        with self.autocast():
            return self.encode(features.to(self.device)).float()

    def pairs(self, moments: list[Moments], pictures: int) -> Batch:
        """As `ClipTask.pairs`. Raises TrainingError if the clips have another head than the generator."""
        self.frozen.check(moments[0].keypoints.shape[1])
        return super().pairs(moments, pictures)

    # ---- losses
    def draw(self, head: nn.Module, photo: Tensor, target: Tensor, batch: Batch) -> CompactDrawn:
        """Move the photos of a batch from their latents [B D] to the target's.

        head: latents -> FaceState. Terms: keypoints, and shape and coefficient_l2 if the losses name them.
        """
        count, wanted = len(batch["full_s"]) if "full_s" in batch else 0, self.config.losses
        known = batch["keypoints_s"], batch["coefficients_s"], batch["gaze_s"]
        with torch.autocast(target.device.type, enabled=False):
            encoded = self.frozen.face(*known)
            states = head(photo.float()), head(target.float())
            move = self.frozen.move(encoded, *states)
            terms = {"keypoints": self.frozen.keypoint_error(encoded, move, batch["keypoints_t"])}
            groups = self.frozen.group_errors(encoded, move, batch["keypoints_t"])
            if "shape" in wanted:
                terms["shape"] = self.frozen.shape_of(groups)
            if "coefficient_l2" in wanted:
                terms["coefficient_l2"] = move.coefficient_change.square().mean()
            picture = None
            if count:
                few = self.frozen.photo(batch["full_s"], *(labels[:count] for labels in known))
                picture = self.frozen.draw(few, self.frozen.move(few, *(first_states(s, count) for s in states)))
            return CompactDrawn(picture=picture, terms=terms, groups=groups, state=states[1])

    # ---- validation
    def scores(self, batch: Batch) -> dict[str, float]:
        """Terms and groups of `drawn`, and "copy": the keypoints' error of the photo as it is."""
        copy = self.frozen.keypoint_distance(batch["keypoints_s"], batch["keypoints_t"])
        return super().scores(batch) | {"copy": float(copy)}
