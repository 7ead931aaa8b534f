"""Stage `face_encoder`: keypoints and segments of rendered people teach the network; nothing else of the truth is read.

What drives a clip is how a face changes, so batches hold several frames of each clip, and the changes of keypoints
within a clip are compared as well as their places.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.analyser.network import to_input
from thgen.encoder import measures as ms
from thgen.encoder.groups import points_of
from thgen.encoder.network import SEGMENT_STEP, SHOWN, Encoded, FaceEncoder
from thgen.encoder.tiles import NAMES, TILES, Shake, cut, frames_of, labels_in, shaken, to_tile
from thgen.synth.clip import head_mesh
from thgen.synth.head.keypoints import KeypointLayout, build_layout
from thgen.synth.head.performer import neck_weight
from thgen.training.clip_task import ClipData
from thgen.training.config import StageConfig
from thgen.training.data.batches import StepBatches
from thgen.training.data.damage import damaged_clip
from thgen.training.data.store import ClipStore
from thgen.training.head_task import HeadTask
from thgen.training.settings import Count, Positive, arguments_of
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER, LOWER, NEITHER

LABELS = ("keypoints", "segmentation")  # all that is read of the truth
SHOWN_OF_PART = torch.tensor(
    [
        SHOWN.index(name)
        for name in (
            "around",
            "skin",
            "skin",
            "mouth",
            "eye",
            "tongue",
            "teeth",
            "eye",
            "eye",
            "hair",
            "around",
            "worn",
            "skin",
        )
    ]
)  # fmt: skip - class of the segmentation of each of facekit.PART_NAMES
RARE = {"eye": 2.0, "mouth": 3.0, "tongue": 3.0, "teeth": 3.0}  # weights of small classes; all others weigh 1
BESIDE = -100  # class of pixels beside the crop, which the loss ignores
LEAST_SHOWN = 0.05  # weight of an iris behind closed lids


class EncoderData(ClipData):
    """data: of the stage `face_encoder`."""

    frames_per_clip: Positive = 4
    validated: Positive = 80  # clips of a validation
    refresh: Count = 100  # batches after which new shards of a render that still runs are read; 0 = never


class EncoderStage(HeadTask):
    """Batches hold `frames_per_clip` frames of each of batch_size / frames_per_clip clips, one clip after another.

    Batches contain the tiles by name, `frames` [B 5 4], where they lay, `upright` [B 5 4], where the truth puts them,
    `keypoints` [B K 3] in crop coordinates, and `segments_NAME` of the tiles in SEGMENT_STEP.
    """

    exports = ("face_encoder",)
    data_type = EncoderData
    model_type = arguments_of(FaceEncoder, given=("keypoints", "eye_points", "mouth_points", "brow_points"))
    better: ClassVar = {"gain_*": NEITHER, "r_*": HIGHER, "segments_percent_right": HIGHER, "*": LOWER}
    data: EncoderData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        layout = build_layout(head_mesh(self.data.head), neck_weight)
        points = points_of(layout)
        self.groups = points.groups
        self.net = FaceEncoder(len(layout.index), points.eyes, points.mouth, points.brows, **config.model)
        start_at_rest(self.net, layout)
        self.modules = {"face_encoder": self.net}
        self.spread = torch.tensor([m.spread for m in ms.MEASURES])

    # ---- batches
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        store, train = (self.store, True) if split == "train" else (self.val_store, False)

        def make(number: int) -> Batch:
            if train and self.data.refresh and number % self.data.refresh == 0:
                store.refresh()
            rng = np.random.default_rng((seed, rank, number))
            clips = max(1, self.config.batch_size // self.data.frames_per_clip)
            return self.batch(store, [store.draw(rng) for _ in range(clips)], rng, train)

        return StepBatches(make, self.config.workers)

    def batch(self, store: ClipStore, clips: list[int], rng: np.random.Generator, train: bool) -> Batch:
        """Frames of these clips, damaged and with misplaced tiles if `train`."""
        images: list[np.ndarray] = []
        keypoints, parts = [], []
        for number in clips:
            frames = sorted(rng.permutation(len(store.clips[number].frames))[: self.data.frames_per_clip].tolist())
            shown, truth = store.load(number, frames, LABELS)
            images += damaged_clip(shown, rng) if train else list(shown)
            keypoints.append(truth["keypoints"][frames])
            parts.append(truth["segmentation"][frames])
        points = torch.from_numpy(np.concatenate(keypoints).astype(np.float32))
        upright = frames_of(points)
        placed = shaken(rng, upright, Shake()) if train else upright
        labels = torch.from_numpy(np.concatenate(parts))
        out: Batch = {**cut(to_input(torch.from_numpy(np.stack(images))), placed)}
        out |= {"frames": placed, "upright": upright, "keypoints": points}
        for name, step in SEGMENT_STEP.items():
            part = labels_in(name, labels, placed[:, NAMES.index(name)], step)
            out[f"segments_{name}"] = torch.where(part < 0, BESIDE, SHOWN_OF_PART[part.clamp_min(0)])
        return out

    # ---- losses
    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        encoded, logits = self.net.read_with_segments({n: batch[n] for n in NAMES}, batch["frames"])
        truth = batch["keypoints"]
        made, rough, true = (self._upright(p, batch) for p in (encoded.keypoints, encoded.rough, truth))
        weight = self._weights(true)
        seen = ms.shown(true).clamp_min(LEAST_SHOWN)
        spread = self.spread.to(true)
        away = (ms.measured(made) - ms.measured(true)) / spread
        return {
            "points": self._mean_of_groups(made - true, weight),
            "rough": self._mean_of_groups(rough - true, weight),
            "depth": self._depth(encoded, batch),
            "change": self._mean_of_groups(self._change(made - true, weight[..., None]), weight),
            "measures": (seen * away.abs()).mean(),
            "measure_change": (seen * self._change(away, seen).abs()).mean(),
            "segments": self._segment_loss(logits, batch),
        }

    @staticmethod
    def _upright(points: Tensor, batch: Batch) -> Tensor:
        """Keypoints [B K 2+] in crop coordinates -> [B K 2] in the frame of the true face, in distances of the outer
        corners of the true eyes."""
        return ms.aligned(points, batch["upright"][:, 0], ms.interocular(batch["keypoints"]))

    def _weights(self, true: Tensor) -> Tensor:
        """Weights [B K] of keypoints: those of an iris count as much as the lids let see of it."""
        eyes = ms.eyes_shown(true).clamp_min(LEAST_SHOWN)
        weight = torch.ones_like(true[..., 0])
        for side, points in enumerate(self.net.points[name] for name in ("left", "right")):
            iris = [p for p in self.groups.get("iris", []) if p in set(points)]
            weight[:, iris] = eyes[:, side, None]
        return weight

    def _mean_of_groups(self, away: Tensor, weight: Tensor) -> Tensor:
        """Mean over groups of keypoints of the weighted mean absolute error [B K 2]."""
        error = away.abs().sum(-1) * weight
        return torch.stack([error[:, g].sum() / weight[:, g].sum() for g in self.groups.values()]).mean()

    def _change(self, values: Tensor, weight: Tensor) -> Tensor:
        """Values [B ...] minus their weighted mean over the frames of the same clip."""
        per = self.data.frames_per_clip
        by_clip, w = (x.unflatten(0, (-1, per)) for x in (values, weight))
        mean = (by_clip * w).sum(1, keepdim=True) / w.sum(1, keepdim=True)
        return (by_clip - mean).flatten(0, 1)

    @staticmethod
    def _depth(encoded: Encoded, batch: Batch) -> Tensor:
        away = (encoded.keypoints[..., 2] - batch["keypoints"][..., 2]).abs()
        return (away / ms.interocular(batch["keypoints"])[:, None]).mean()

    @staticmethod
    def _segment_loss(logits: dict[str, Tensor], batch: Batch) -> Tensor:
        weight = torch.tensor([RARE.get(name, 1.0) for name in SHOWN], device=batch["frames"].device)
        terms = [F.cross_entropy(x, batch[f"segments_{n}"], weight, ignore_index=BESIDE) for n, x in logits.items()]
        return torch.stack(terms).mean()

    # ---- scores
    def validate(self) -> dict[str, float]:
        """Errors of `validated` held-out clips in % of the distance of the outer corners of the eyes: of places
        (`place_*`) and of changes within a clip (`change_*`), by group. Gains (slope of the read change over the true
        one) and correlations of changes, by group of measures, each side apart."""
        rng = np.random.default_rng(0)
        clips = list(range(min(self.data.validated, len(self.val_store))))
        per = max(1, self.config.batch_size // self.data.frames_per_clip)
        rows: dict[str, list[Tensor]] = {"made": [], "true": [], "right": []}
        for first in range(0, len(clips), per):
            batch = self.batch(self.val_store, clips[first : first + per], rng, train=False)
            batch = {n: v.to(self.device) for n, v in batch.items()}
            encoded, logits = self.net.read_with_segments({n: batch[n] for n in NAMES}, batch["frames"])
            rows["made"].append(self._upright(encoded.keypoints, batch))
            rows["true"].append(self._upright(batch["keypoints"], batch))
            rows["right"].append(self._right_segments(logits, batch))
        made, true = torch.cat(rows["made"]), torch.cat(rows["true"])
        return {**self._errors(made, true), "segments_percent_right": float(torch.stack(rows["right"]).mean() * 100)}

    def _errors(self, made: Tensor, true: Tensor) -> dict[str, float]:
        """Scores of `aligned` keypoints [N K 2], whose frames are in the order of batches."""
        weight = self._weights(true)
        away = made - true
        moved = self._change(away, weight[..., None])
        out = {}
        for name, group in self.groups.items():
            w = weight[:, group]
            for kind, values in (("place", away), ("change", moved)):
                out[f"{kind}_{name}_percent"] = float((values[:, group].norm(dim=-1) * w).sum() / w.sum() * 100)
        seen = ms.shown(true)
        change = {n: self._change(ms.measured(p), seen.clamp_min(1e-6)) for n, p in (("made", made), ("true", true))}
        for name in ms.GROUPS:
            of = [i for i, m in enumerate(ms.MEASURES) if m.group == name]
            w = seen[:, of]
            read, real = change["made"][:, of], change["true"][:, of]
            both, own, full = (float((w * product).sum()) for product in (read * real, read**2, real**2))
            out[f"gain_{name}"] = both / max(full, 1e-9)
            out[f"r_{name}"] = both / max((own * full) ** 0.5, 1e-9)
        return out

    @staticmethod
    def _right_segments(logits: dict[str, Tensor], batch: Batch) -> Tensor:
        """Share of the pixels of tiles, [], whose segment is right."""
        right = [(x.argmax(1) == batch[f"segments_{n}"])[batch[f"segments_{n}"] != BESIDE] for n, x in logits.items()]
        return torch.stack([r.float().mean() for r in right]).mean()

    def images(self, batch: Batch) -> dict[str, Tensor]:
        tiles = {n: batch[n][:8] for n in NAMES}
        encoded = self.net.read(tiles, batch["frames"][:8])
        out = {}
        for name in ("face", "mouth", "left"):
            tile, frame = TILES[name], batch["frames"][:8, NAMES.index(name)]
            x = (tiles[name].float().clone() + 1) / 2
            own = range(self.net.count) if name == "face" else self.net.points[name]
            at = to_tile(encoded.keypoints[:, list(own), :2], frame) / frame.new_tensor([1.0, tile.tall])
            at = ((at + 1) / 2 * frame.new_tensor([tile.columns, tile.rows])).long()
            for row, places in enumerate(at):
                inside = (places >= 0).all(1) & (places < places.new_tensor([tile.columns, tile.rows])).all(1)
                x[row, :, places[inside, 1], places[inside, 0]] = x.new_tensor([0.0, 1.0, 0.0])[:, None]
            out[name] = torch.cat(list(x), 2).clamp(0, 1)
        return out

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {"face_encoder": (self.net.state_dict(), self.net.config)}


@torch.no_grad()
def start_at_rest(net: FaceEncoder, layout: KeypointLayout) -> None:
    """Let the readouts of a new network give the mean face, seen from the front."""
    rest = torch.from_numpy(layout.canonical * np.array([1, -1, -1], np.float32))[None]
    frames = frames_of(rest)
    depth = (rest[..., 2:] - rest[:, :68, 2:].mean(1, keepdim=True)) / frames[:, 0, 2, None, None]
    net.to_face.bias.copy_(torch.cat([to_tile(rest[..., :2], frames[:, 0]), depth], -1).flatten())
    for name, points in net.points.items():
        local = to_tile(rest[:, points, :2], frames[:, NAMES.index(name)])
        mirror = torch.tensor([-1.0 if name == "right" else 1.0, 1.0])
        net.to_points[name].get_parameter("bias").copy_((local * mirror).flatten())
    for readout in (net.to_face, *net.to_points.values()):
        readout.get_parameter("weight").mul_(0.3)
