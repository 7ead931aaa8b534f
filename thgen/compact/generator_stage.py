"""Stages `generator` and `polish`: the guided flow on rendered pairs whose flow, visibility and keypoints are known.

A stage whose losses name `adversarial` has a discriminator of patches at eyes, mouth and hidden places. A stage whose
losses name `temporal` takes consecutive frames as targets (shards rendered with --motion pairs or track).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.analyser.network import to_input
from thgen.compact.flow.hair_layer import GRID as HAIR_GRID
from thgen.compact.flow.network import BASE, Generated, GuidedFlow, motion_code
from thgen.compact.generator import lid_travel
from thgen.compact.keypoint_rig import KeypointRig
from thgen.losses.adversarial import discriminator_losses, generator_losses
from thgen.losses.reconstruction import edges, feature_l1, masked_mean, multiscale_l1, weighted_l1
from thgen.nn.discriminators import PatchDiscriminator
from thgen.nn.geometry import euler_angles, rotation_matrix
from thgen.nn.sampling import gaussians, warp
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENT_INDEX
from thgen.synth.clip import head_mesh
from thgen.synth.head import facekit as fk
from thgen.synth.head.keypoints import KeypointLayout, build_layout
from thgen.synth.head.performer import BLINK_CLOSED, PIVOT, neck_weight
from thgen.training.clip_task import ClipData
from thgen.training.config import StageConfig
from thgen.training.data.batches import StepBatches
from thgen.training.data.store import ClipStore, colour_jitter
from thgen.training.export import folder_of
from thgen.training.head_task import HeadTask
from thgen.training.priors import Prior, choose_prior, use_of
from thgen.training.settings import Positive, arguments_of
from thgen.training.task import Batch
from thgen.weights.manifest import LOWER, NEITHER

HIDDEN_LAYER = 4  # of KeypointRig.layer: keypoints that move no flow
WRONG = 0.25  # difference of a warped pixel from the target, in [-1, 1] units, at which the label of `keep` is 0.5
SPOTS = 2  # patches per picture that the discriminator gets in addition to eyes and mouth
LABELS = ("keypoints", "pose", "gaze", "coefficients", "flow", "visible", "segmentation")
BLIND = 0.1  # share of photos whose hair is withheld from the generator, as if the segmentation had missed it


def fill_rig(rig: KeypointRig, layout: KeypointLayout, eye_centre: np.ndarray) -> None:
    """Fill the rig's buffers from a layout. eye_centre [2 3]: of the left and the right eyeball, cm."""
    for name in ("canonical", "basis", "follow", "rigid", "layer"):
        getattr(rig, name).copy_(torch.from_numpy(np.asarray(getattr(layout, name), np.float32)))
    rig.pivot.copy_(torch.from_numpy(PIVOT))
    # The mesh's own eye loops are the lids' inner edges, which closed lids hide: they must not move the skin.
    rig.layer[np.concatenate(layout.loops[:2])] = HIDDEN_LAYER
    rig.mouth_loop.copy_(torch.from_numpy(layout.loops[2].astype(np.float32)))
    for side in range(2):
        ball = torch.from_numpy(layout.layer == side + 1)
        x, y, z = (rig.canonical - torch.from_numpy(eye_centre[side])).unbind(-1)
        zero = torch.zeros_like(x)
        turn = torch.stack([torch.stack([z, zero, -x], -1), torch.stack([zero, z, -y], -1)]) * np.pi / 180
        rig.gaze_basis[:, ball] = turn[:, ball]


def importance(points: Tensor, size: int, width: float = 0.045) -> Tensor:
    """Gaussians of `width` half-widths around points [B n 2]: [B 1 size size] in [0, 1]."""
    columns, rows = gaussians(points, width, size)
    return (rows.transpose(1, 2) @ columns).clamp_max(1)[:, None]


def same_part(flow: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """[B 1 F F]: 1 where the flow leads to the same part of the head in the photo as in the target.

    flow [B 2 F F]; source, target [B F F]: numbers of parts. The renderer's depth test is not enough: it takes a folded
    lid, which is close behind the iris, for visible, and with such labels lids never close.
    """
    size = flow.shape[-1]
    axis = torch.arange(size)
    pixels = torch.stack(torch.meshgrid(axis, axis, indexing="xy"))[None]
    column, row = (pixels + flow * size / 2).round().long().clamp(0, size - 1).unbind(1)
    shown = source.flatten(1).gather(1, (row * size + column).flatten(1)).view_as(target)
    return (shown == target).float()[:, None]


def draw_spots(rng: np.random.Generator, keypoints: Tensor, visible: Tensor) -> Tensor:
    """Centres [B SPOTS 2] of patches for the discriminator, drawn from keypoints [B K 3] of the target.

    visible [B 1 F F]: 1 where the photo shows the target. A hidden keypoint is as likely as eight visible ones.
    """
    size = visible.shape[-1]
    inside = keypoints[..., :2].abs().amax(-1) < 0.75
    column, row = (((keypoints[..., k] + 1) / 2 * size).long().clamp(0, size - 1) for k in range(2))
    shown = visible.flatten(1).gather(1, row * size + column)
    # Gumbel trick: the largest noisy scores are a draw without replacement.
    score = math.log(8.0) * (1 - shown) + torch.from_numpy(rng.gumbel(size=shown.shape).astype(np.float32))
    chosen = score.masked_fill(~inside, -1e3).topk(SPOTS, 1).indices
    return keypoints[..., :2].gather(1, chosen[..., None].expand(-1, -1, 2))


class GeneratorData(ClipData):
    """data: of the stages `generator` and `polish`."""

    targets_per_clip: Positive = 4
    validated: Positive = 96  # pictures of a validation
    prior: str = "auto"  # of the perceptual loss: auto, vgg19 or analyser


class GeneratorStage(HeadTask):
    """Trains the guided flow. Its losses are those of `_supervised`, with the true flow, visibility and parts, and
    perceptual, temporal, adversarial and matching, if the config names them."""

    exports = ("rig",)
    data_type = GeneratorData
    model_type = arguments_of(GuidedFlow, given=("keypoints", "mouth_loop"))
    # Scores of the photo as it is and of the warp by the true flow do not depend on the weights.
    better: ClassVar = {"l1_copy": NEITHER, "l1_true_flow": NEITHER, "l1_eyes_mouth_copy": NEITHER, "*": LOWER}
    data: GeneratorData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        mesh = head_mesh(self.data.head)
        layout = build_layout(mesh, neck_weight)
        self.net = GuidedFlow(len(layout.index), len(layout.loops[2]), **config.model)
        fill_rig(self.net.rig, layout, mesh.eye_centre)
        self.batch_rig = copy.deepcopy(self.net.rig)  # stays on the CPU, where batches are made
        with torch.no_grad():
            self.net.coarse.log_width.copy_(torch.from_numpy(layout.width).log())
        self.modules = {"generator": self.net}
        if "adversarial" in config.losses:
            self.modules["discriminator"] = PatchDiscriminator()
            self.optimizers = {"generator": ["generator"], "discriminator": ["discriminator"]}
        self.float32 = ("rig.*", "coarse.*")
        self.helpers = {}
        self.prior: Prior | None = None
        self.data_summary = config.about
        if "perceptual" in config.losses:
            self.prior = choose_prior(self.data.prior, folder_of("analyser", config.weights))
            self.data_summary += f"; perceptual loss {use_of(self.prior)}"
            self.helpers = {"prior": self.prior} if self.prior else {}

    # ---- batches
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        store = self.store if split == "train" else self.val_store
        jitter = 0.9 if split == "train" else 0.0

        def make(number: int) -> Batch:
            if number % 100 == 0:
                store.refresh()
            return self._batch(store, np.random.default_rng((seed, rank, number)), jitter)

        return StepBatches(make, self.config.workers)

    def _batch(self, store: ClipStore, rng: np.random.Generator, jitter: float) -> Batch:
        size, per_clip = self.config.batch_size, self.data.targets_per_clip
        photos: list[np.ndarray] = []
        targets: list[np.ndarray] = []
        rows: dict[str, list[np.ndarray]] = {f"{name}_{end}": [] for name in LABELS for end in "st"}
        while len(photos) < size:
            number = store.draw(rng)
            count = len(store.clips[number].frames)
            chosen = self._targets(rng, count, per_clip)
            images, truth = store.load(number, [0, *chosen], LABELS)
            photos += [images[0]] * per_clip
            targets += list(images[1:])
            for name in LABELS:
                rows[f"{name}_s"] += [truth[name][0]] * per_clip
                rows[f"{name}_t"] += list(truth[name][chosen])
        labels = {n: torch.from_numpy(np.stack(v[:size]).astype(np.float32)) for n, v in rows.items()}
        photo, target = (to_input(torch.from_numpy(np.stack(x[:size]))) for x in (photos, targets))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        if jitter:
            photo, target = colour_jitter(generator, photo, target, strength=jitter)
        with torch.autocast("cpu", enabled=False):  # the loop validates under its autocast
            guidance = self._guidance(labels, generator, 1.0 if jitter else 0.0)
        head = [labels[f"segmentation_{end}"] for end in "st"]
        flow = labels["flow_t"].permute(0, 3, 1, 2).contiguous()
        visible = labels["visible_t"][:, None] * same_part(flow, *head)
        union = sum(((h != fk.BACKGROUND) & (h != fk.BODY)).float() for h in head).clamp_max(1)  # type: ignore[union-attr]
        return {
            "photo": photo, "target": target, "flow": flow, "head": union[:, None], "hair": self._hair(head[0], rng),
            "visible": visible, "spots": draw_spots(rng, labels["keypoints_t"], visible), **guidance,
        }  # fmt: skip

    @staticmethod
    def _hair(parts: Tensor, rng: np.random.Generator) -> Tensor:
        """Hair and what is worn of photos with parts [B F F], as a sure segmentation: [B 1 64 64]. 0 for BLIND of the
        photos."""
        hair = ((parts == fk.HAIR) | (parts == fk.WEAR)).float()[:, None]
        given = torch.from_numpy((rng.random((len(parts), 1, 1, 1)) > BLIND).astype(np.float32))
        return given * F.interpolate(hair, size=(HAIR_GRID, HAIR_GRID), mode="area")

    def _targets(self, rng: np.random.Generator, count: int, wanted: int) -> list[int]:
        """Numbers of `wanted` targets in a clip of `count` frames; frame 0 is the photo. With a temporal term, pairs of
        neighbours."""
        if "temporal" not in self.config.losses:
            return sorted((1 + rng.choice(count - 1, wanted, replace=False)).tolist())
        # In shards of --motion pairs an odd frame and the next one are neighbours in time.
        first = 1 + 2 * rng.choice((count - 1) // 2, wanted // 2, replace=False)
        return [int(t) for start in sorted(first.tolist()) for t in (start, start + 1)]

    def _guidance(self, labels: dict[str, Tensor], generator: torch.Generator, noise: float) -> dict[str, Tensor]:
        """Keypoints of photo and target, and the motion code, with errors as large as the analyser's (noise 1), or
        without (noise 0)."""
        source, truth = labels["keypoints_s"], labels["keypoints_t"]
        b, k, _ = source.shape

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        wobble = noise * (0.010 * normal(b, 1, 3) * uniform(b, 1, 1) + 0.006 * normal(b, k, 3) * uniform(b, 1, 1))
        own, own_t = (rotation_matrix(labels[f"pose_{end}"][:, :3]) for end in "st")
        turn = euler_angles(own_t @ own.transpose(1, 2))
        change = labels["coefficients_t"] - labels["coefficients_s"]
        gaze = labels["gaze_t"] - labels["gaze_s"]
        rig = self.batch_rig
        with torch.no_grad():
            posed = rig.unpose(source + wobble)
            still = torch.zeros(b, 3)
            scaled = change.clone()
            blink = [COEFFICIENT_INDEX[n] for n in BLINK_COEFFICIENTS]
            opening = 1 - labels["coefficients_s"][:, blink] / BLINK_CLOSED
            scaled[:, blink] *= lid_travel(rig.lid_scale(posed), opening)
            guided = rig.targets(posed, scaled, gaze, turn, still)
            # The renderer also shifts the head: take the shift from the truth.
            guided = guided + (truth - guided)[:, :68].mean(1, keepdim=True) * rig.follow[None, :, None]
        by_rig = (uniform(b, 1, 1) < 0.5).float() if noise else torch.zeros(b, 1, 1)
        target = by_rig * guided + (1 - by_rig) * (truth + wobble + noise * 0.003 * normal(b, k, 3) * uniform(b, 1, 1))
        photo_c, target_c = (labels[f"coefficients_{e}"] + noise * 0.05 * normal(b, change.shape[1]) for e in "st")
        motion = motion_code(photo_c, target_c, own, turn, labels["gaze_s"], labels["gaze_t"])
        return {"keypoints_s": source + wobble, "keypoints_t": target, "truth_t": truth, "motion": motion}

    # ---- losses
    def run(self, batch: Batch) -> Generated:
        """The generator on a batch; outside of training in float32, as at inference, where the geometry of eyes behind
        lids, which training leaves out, needs that precision."""
        given = (batch[name] for name in ("photo", "keypoints_s", "keypoints_t", "motion"))
        if self.net.training:
            return self.net(*given, hair=batch["hair"])
        with torch.autocast(self.device.type, enabled=False):
            return self.net(*given, hair=batch["hair"])

    def weight(self, batch: Batch) -> Tensor:
        """Weights of pixels [B 1 256 256]: 1, and up to 6 around eyes and mouth, where people look."""
        outlines = torch.cat([outline for outline, _ in self.net.rig.openings(batch["truth_t"])], 1)
        return 1 + 5 * importance(outlines, BASE)

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        if optimizer == "discriminator":
            with torch.no_grad():
                fake = self.run(batch).image
            real, fake = (self._patches(x, batch) for x in (batch["target"], fake))
            return discriminator_losses(self.modules["discriminator"], fake, real)
        out = self.run(batch)
        terms = self._supervised(out, batch)
        if self.prior:
            made, true = (self.prior(x) for x in (out.image, batch["target"]))
            terms["perceptual"] = feature_l1([m.float() for m in made], [m.float().detach() for m in true])
        elif "perceptual" in self.config.losses:
            terms["perceptual"] = out.image.new_zeros(())  # off without its prior; `choose_prior` has logged it
        if "temporal" in self.config.losses:
            # Rows are pairs of neighbours in time: the change within a pair must be the true one.
            step = (out.image[1::2] - out.image[::2]) - (batch["target"][1::2] - batch["target"][::2])
            terms["temporal"] = step.abs().mean()
        if "adversarial" in self.config.losses:
            fake, real = (self._patches(x, batch) for x in (out.image, batch["target"]))
            terms |= generator_losses(self.modules["discriminator"], fake, real)
        return terms

    def _patches(self, image: Tensor, batch: Batch) -> Tensor:
        """Input of the discriminator [(2 + SPOTS)B 3 64 64]: crops of pictures [B 3 256 256] at the eyes and the mouth,
        by their true keypoints, and at `draw_spots`."""
        points = batch["truth_t"]
        places = [(points[:, 36:48, :2].mean(1), 0.36), (points[:, 48:68, :2].mean(1), 0.3)]
        places += [(spot, 0.25) for spot in batch["spots"].unbind(1)]
        crops = []
        for centre, half in places:
            theta = image.new_zeros(len(image), 2, 3)
            theta[:, 0, 0] = theta[:, 1, 1] = half
            theta[:, :, 2] = centre
            grid_of = F.affine_grid(theta, [len(image), 3, 64, 64], align_corners=False)
            crops.append(F.grid_sample(image.float(), grid_of, padding_mode="border", align_corners=False))
        return torch.cat(crops)

    def _supervised(self, out: Generated, batch: Batch) -> dict[str, Tensor]:
        with torch.autocast(out.image.device.type, enabled=False):
            weight = self.weight(batch)
            target, visible, flow = batch["target"].float(), batch["visible"], batch["flow"]
            # A flow that leads out of the crop has no label.
            known = visible * (flow.abs().amax(1, keepdim=True) < 1).float()
            error = (out.flow - flow).abs().sum(1, keepdim=True)
            near = F.avg_pool2d(weight, 2)
            # Label of `keep`, the weight of the warped pixel over paint. It is high where the photo shows the place and
            # the warped pixel is near the target: where the flow of a lid is wrong by a pixel, the iris shows, and the
            # lid must be painted. Where the photo does not show the place, stretched skin is still better than blurred
            # paint, but not at eyes and mouth, where an iris is no lid and lips are no teeth.
            wrong = F.avg_pool2d((out.warped - target).abs().mean(1, keepdim=True).detach(), 2)
            near_only = F.avg_pool2d((weight - 1) / 5, 2)
            likely = visible + (1 - visible) * (1 - near_only).clamp(0, 1)
            right = likely * torch.sigmoid((WRONG - wrong) / (WRONG / 5))
            keep = F.avg_pool2d(out.keep, 2)
            head = F.avg_pool2d(out.head, 2)
            paint = F.interpolate(out.paint, BASE) if out.paint.shape[-1] != BASE else out.paint
            hidden = F.interpolate(1 - visible, BASE)
            return {
                "image": weighted_l1(out.image, target, weight),
                "scales": multiscale_l1(out.image, target),
                "edges": edges(out.image, target, weight),
                "flow": masked_mean(error * near, known),
                "coarse": masked_mean((out.coarse.flow - flow).abs().sum(1, keepdim=True), known * out.coarse.cover),
                "keep": F.binary_cross_entropy_with_logits(keep, right, weight=F.avg_pool2d(weight, 2)),
                "head": F.binary_cross_entropy_with_logits(head, batch["head"]),
                "paint": masked_mean((paint - target).abs().mean(1, keepdim=True), hidden),
            }

    # ---- scores
    def validate(self) -> dict[str, float]:
        rng = np.random.default_rng(0)
        sums: dict[str, list[float]] = {}
        for _ in range(max(1, self.data.validated // self.config.batch_size)):
            batch = self._batch(self.val_store, rng, 0.0)
            batch = {k: v.to(self.device) for k, v in batch.items()}
            for name, value in self.scores(batch).items():
                sums.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in sums.items()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> dict[str, float]:
        """L1 in [-1, 1] units of the result, of the photo as it is, and of its warp by the true flow, also at eyes and
        mouth; error of the flow in half-widths where the photo shows the target."""
        out = self.run(batch)
        target, visible = batch["target"], batch["visible"]
        near = self.weight(batch) - 1
        ceiling = warp(batch["photo"], F.interpolate(batch["flow"], BASE, mode="bilinear"))
        error = (out.flow - batch["flow"]).norm(dim=1, keepdim=True)
        coarse = (out.coarse.flow - batch["flow"]).norm(dim=1, keepdim=True)
        moving = visible * batch["head"]
        return {
            "l1": float((out.image - target).abs().mean()),
            "l1_copy": float((batch["photo"] - target).abs().mean()),
            "l1_true_flow": float((ceiling - target).abs().mean()),
            "l1_eyes_mouth": float(masked_mean((out.image - target).abs().mean(1, True), near)),
            "l1_eyes_mouth_copy": float(masked_mean((batch["photo"] - target).abs().mean(1, True), near)),
            "flow": float(masked_mean(error, moving)),
            "flow_coarse": float(masked_mean(coarse, moving)),
        }

    def images(self, batch: Batch) -> dict[str, Tensor]:
        few = {k: v[:6] for k, v in batch.items()}
        out = self.run(few)
        warped = warp(few["photo"], F.interpolate(out.coarse.flow, BASE, mode="bilinear"))
        keep = torch.sigmoid(out.keep).expand(-1, 3, -1, -1) * 2 - 1
        rows = (few["photo"], few["target"], warped, out.warped, out.paint, keep, out.image)
        strip = torch.cat([torch.cat(list(r.float()), 2) for r in rows], 1)
        return {"photo, target, coarse, warped, paint, keep, result": ((strip + 1) / 2).clamp(0, 1)}

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {"rig": (self.net.state_dict(), self.net.config)}
