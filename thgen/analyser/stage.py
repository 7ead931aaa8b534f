"""Stage `analyser`: supervised by all labels of the renderer. Negatives train the face score."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.analyser.negatives import animal, clutter, photos_without_people
from thgen.analyser.network import INPUT_SIZE, Analyser, to_input
from thgen.nn.geometry import euler_angles, rotation_matrix
from thgen.schema import COEFFICIENT_INDEX, SEGMENTS
from thgen.synth.clip import head_mesh
from thgen.synth.head import facekit as fk
from thgen.synth.head.keypoints import EYE_LOOP, KeypointLayout, build_layout
from thgen.synth.head.performer import neck_weight
from thgen.training.clip_task import ClipData
from thgen.training.config import StageConfig
from thgen.training.data.batches import StepBatches
from thgen.training.data.store import ClipStore, colour_jitter, degrade
from thgen.training.head_task import HeadTask
from thgen.training.settings import Positive, Share, arguments_of
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER, LOWER


def close_points(layout: KeypointLayout) -> tuple[list[list[int]], list[int]]:
    """Numbers of the keypoints that the analyser refines in crops of the left eye, the right eye and the mouth. In each
    list, those on the edge of the opening come first."""
    number = np.arange(len(layout.index))
    blink = [np.linalg.norm(layout.basis[COEFFICIENT_INDEX[f"eyeBlink_{side}"]], axis=1) for side in "LR"]
    eyes = []
    for side, landmarks in ((0, range(42, 48)), (1, range(36, 42))):
        lids = number[blink[side] > 0.22 * blink[side].max()]
        ball = number[layout.layer == side + 1]
        loop = layout.loops[side].tolist()
        eyes.append([*loop, *sorted({*lids.tolist(), *ball.tolist(), *landmarks} - set(loop))])
    jaw = np.linalg.norm(layout.canonical - layout.canonical[layout.loops[2]].mean(0), axis=1)
    near = number[(jaw < 3.4) & (layout.layer != 1) & (layout.layer != 2)]
    loop = layout.loops[2].tolist()
    return eyes, [*loop, *sorted({*near.tolist(), *range(48, 68)} - set(loop))]


# Kinds of negatives and their shares, see `_negative`.
NEGATIVES = {"photo": 0.2, "animal": 0.3, "clutter": 0.12, "off": 0.16, "size": 0.1, "turned": 0.07, "pieces": 0.05}
LABELS = ("keypoints", "pose", "gaze", "openness", "coefficients")
WIDE = 1 / 3  # size of the batch of wide crops, which are segmented, relative to that of close ones
UNKNOWN = -100  # label of pixels outside of the picture, which the segmentation loss ignores
RARE = {"mouth": 4.0, "eyes": 4.0, "neck": 1.5, "worn": 1.5}  # weights of small segments; all others weigh 1


def crop_matrix(keypoints: Tensor, rng: np.random.Generator, jitter: float) -> Tensor:
    """The analyser's crop around the 68 landmarks of keypoints [B K 3], as a matrix [B 2 3] from normalised coordinates
    of the crop to those of the image.

    As `face.crop.ANALYSER`: side 1.6 x extent, raised by 0.06 x side. jitter in [0, 1]: of turn, scale and shift.
    """
    xy = keypoints[:, :68, :2]
    low, high = xy.amin(1), xy.amax(1)
    extent = (high - low).amax(1)
    b = len(xy)

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal(size=shape, dtype=np.float32))

    half = 0.8 * extent * torch.exp(0.13 * jitter * normal(b)) * (1 + 0.05 * jitter)
    centre = (
        (low + high) / 2 - torch.stack([torch.zeros(b), 0.12 * half], 1) + 0.13 * jitter * half[:, None] * normal(b, 2)
    )
    angle = jitter * torch.deg2rad((12 * normal(b)).clamp(-35, 35))
    return _framing(centre, half, angle)


def _framing(centre: Tensor, half: Tensor, angle: Tensor) -> Tensor:
    """Matrix [B 2 3] (crop -> image) of squares by centre [B 2], half-side [B] and turn [B] in radians."""
    cos, sin = half * angle.cos(), half * angle.sin()
    return torch.stack([torch.stack([cos, -sin, centre[:, 0]], 1), torch.stack([sin, cos, centre[:, 1]], 1)], 1)


def move_labels(batch: dict[str, Tensor], matrix: Tensor) -> dict[str, Tensor]:
    """Labels in coordinates of the crop with `matrix` [B 2 3] (crop -> image)."""
    scale = matrix[:, :, 0].norm(dim=1)
    turn = matrix[:, :, :2] / scale[:, None, None]
    xy = (batch["keypoints"][..., :2] - matrix[:, None, :, 2]) @ turn / scale[:, None, None]
    keypoints = torch.cat([xy, batch["keypoints"][..., 2:] / scale[:, None, None]], -1)
    # A crop that turns clockwise shows a head that turns counter-clockwise.
    angle = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    roll = torch.zeros(len(angle), 3)
    roll[:, 2] = -angle
    pose = euler_angles(rotation_matrix(roll) @ rotation_matrix(batch["pose"][:, :3]))
    return {**batch, "keypoints": keypoints, "pose": pose}


def cut(images: Tensor, matrix: Tensor) -> Tensor:
    """Crops [B 3 128 128] of images [B 3 H W] by matrix [B 2 3] (normalised crop -> image), 2x2 samples a pixel."""
    grid = F.affine_grid(matrix, [len(images), 3, 2 * INPUT_SIZE, 2 * INPUT_SIZE], align_corners=False)
    return F.avg_pool2d(F.grid_sample(images, grid, padding_mode="border", align_corners=False), 2)


def wide_crops(picture: Tensor, parts: Tensor, rng: np.random.Generator, jitter: float) -> tuple[Tensor, Tensor]:
    """Crops [B 3 128 128] of pictures [B 3 H W] with parts [B F F] (synth.head.facekit), and segments int64 [B 64 64].

    jitter in [0, 1]: of size, turn and shift.
    """
    b = len(picture)
    draw = torch.from_numpy(rng.standard_normal((b, 4), dtype=np.float32)) * jitter
    half, angle = torch.exp(0.12 * draw[:, 0] - 0.1 * jitter).clamp(0.6, 1.25), 0.15 * draw[:, 1]
    matrix = _framing(0.08 * draw[:, 2:], half, angle)
    grid = F.affine_grid(matrix, [b, 1, INPUT_SIZE // 2, INPUT_SIZE // 2], align_corners=False)
    shown = F.grid_sample(parts[:, None].float() + 1, grid, mode="nearest", align_corners=False)[:, 0].long() - 1
    segments = torch.as_tensor(fk.SEGMENT_OF_PART)[shown.clamp_min(0)]
    return cut(picture, matrix), torch.where(shown < 0, UNKNOWN, segments)


class AnalyserData(ClipData):
    """data: of the stage `analyser`."""

    frames_per_clip: Positive = 3
    validated: Positive = 256  # pictures of a validation
    start: str = ""  # safetensors file of an analyser to start from; "" = random weights
    hard: Share = 0.0  # share of clips that are drawn in proportion to their error (`thgen evaluate hard`)


class AnalyserStage(HeadTask):
    """Batches have faces with all labels of the renderer, and a third as many negatives, which are no centred faces."""

    exports = ("analyser",)
    data_type = AnalyserData
    model_type = arguments_of(Analyser, given=("keypoints", "eye_points", "mouth_points"))
    better: ClassVar = {"segments_percent_right": HIGHER, "*": LOWER}
    data: AnalyserData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        layout = build_layout(head_mesh(self.data.head), neck_weight)
        self.net = Analyser(len(layout.index), *close_points(layout), **config.model)
        if self.data.start:
            self._start_from(Path(self.data.start))
        self.modules = {"analyser": self.net}
        self.photos = photos_without_people()

    def _start_from(self, file: Path) -> None:
        """Copy all tensors of an earlier analyser whose name and shape are the same."""
        from safetensors.torch import load_file

        own = self.net.state_dict()
        same = {k: v.float() for k, v in load_file(file).items() if k in own and v.shape == own[k].shape}
        self.net.load_state_dict({**own, **same})

    # ---- batches
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        store = self.store if split == "train" else self.val_store
        return StepBatches(lambda n: self._batch(store, np.random.default_rng((seed, rank, n))), self.config.workers)

    def _batch(self, store: ClipStore, rng: np.random.Generator, jitter: float = 1.0) -> Batch:
        size = self.config.batch_size
        per_clip = self.data.frames_per_clip
        images: list[np.ndarray] = []
        rows: dict[str, list[np.ndarray]] = {name: [] for name in (*LABELS, "segmentation")}
        while len(images) < size:
            number = store.draw(rng, self.data.hard if jitter else 0.0)
            frames = sorted(rng.choice(len(store.clips[number].frames), per_clip, replace=False).tolist())
            shown, truth = store.load(number, frames, (*LABELS, "segmentation"))
            images += list(shown)
            for name in rows:
                rows[name] += list(truth[name][frames])
        labels = {n: torch.from_numpy(np.stack(v[:size]).astype(np.float32)) for n, v in rows.items()}
        picture = to_input(torch.from_numpy(np.stack(images[:size])))
        parts = labels.pop("segmentation")
        matrix = crop_matrix(labels["keypoints"], rng, jitter)
        labels = move_labels(labels, matrix)
        x = cut(picture, matrix)
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        if jitter:
            (x,) = colour_jitter(generator, x)
            x = degrade(generator, x)
            labels["negatives"] = self._negatives(picture, matrix, rng, generator)
        count = max(1, round(WIDE * size))
        labels["wide"], labels["segments"] = wide_crops(picture[:count], parts[:count], rng, jitter)
        if jitter:
            labels["wide"] = degrade(generator, colour_jitter(generator, labels["wide"])[0])
        return {"image": x, **labels}

    def _negatives(
        self, picture: Tensor, matrix: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """Pictures [B/3 3 128 128] that are no centred human faces."""
        out = [self._negative(picture, matrix, i, rng, generator) for i in range(max(1, len(picture) // 3))]
        return degrade(generator, colour_jitter(generator, torch.cat(out))[0])

    def _negative(
        self, picture: Tensor, matrix: Tensor, i: int, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """One negative [1 3 128 128]: a photo without people, a drawn animal, clutter; or face i off centre, of a wrong
        size, turned by 90 or 180 degrees, or as shuffled tiles."""
        kind = rng.choice(list(NEGATIVES), p=list(NEGATIVES.values()))
        if kind in ("photo", "animal", "clutter"):
            if kind == "photo":
                photo = self.photos[rng.integers(len(self.photos))]
            else:
                photo = animal(rng) if kind == "animal" else clutter(rng)
            side = int(min(photo.shape[:2]) * rng.uniform(0.25 if kind == "photo" else 0.75, 1))
            y, x = (int(rng.integers(0, n - side + 1)) for n in photo.shape[:2])
            return cut(to_input(torch.from_numpy(photo[None, y : y + side, x : x + side])), torch.eye(2, 3)[None])
        m = matrix[i : i + 1].clone()
        if kind == "off":  # half of the face is outside
            angle = rng.uniform(0, 2 * math.pi)
            way = torch.tensor([math.cos(angle), math.sin(angle)])
            m[:, :, 2] += m[:, :, 0].norm() * rng.uniform(0.8, 1.6) * way
        elif kind == "size":
            m[:, :, :2] *= rng.choice([rng.uniform(0.2, 0.5), rng.uniform(2.0, 3.5)])
        elif kind == "turned":
            turn = rng.choice([math.pi, math.pi / 2, -math.pi / 2]) + rng.normal(0, 0.2)
            spin = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]).float()
            m[:, :, :2] = m[:, :, :2] @ spin
        view = cut(picture[i : i + 1], m)
        if kind == "pieces":
            tiles = view.unfold(2, 32, 32).unfold(3, 32, 32).flatten(2, 3)
            tiles = tiles[:, :, torch.randperm(16, generator=generator)]
            view = tiles.view(1, 3, 4, 4, 32, 32).permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 128, 128)
        return view

    # ---- losses
    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        count = len(batch["image"])
        analysis = self.net(torch.cat([batch["image"], batch["negatives"]])).float()
        close = [*self.net.eye_points[0], *self.net.eye_points[1], *self.net.mouth_points]
        away = (analysis.keypoints[:count, close, :2] - batch["keypoints"][:, close, :2]).abs()
        label = torch.cat([torch.ones(count), torch.zeros(len(analysis.face) - count)]).to(analysis.face)
        weight = torch.tensor([RARE.get(name, 1.0) for name in SEGMENTS], device=label.device)
        segments = F.cross_entropy(self.net.segment(batch["wide"]), batch["segments"], weight, ignore_index=UNKNOWN)
        return {
            "segments": segments,
            "keypoints": (analysis.rough[:count] - batch["keypoints"]).abs().mean(),
            "close": away.mean(),
            "pose": (analysis.pose[:count] - batch["pose"]).abs().mean() / 20,
            "gaze": (analysis.gaze[:count] - batch["gaze"]).abs().mean() / 10,
            "openness": (analysis.openness[:count] - batch["openness"]).abs().mean() / 50,
            "coefficients": F.smooth_l1_loss(analysis.coefficients[:count], batch["coefficients"], beta=0.1),
            "face": F.binary_cross_entropy_with_logits(analysis.face, label),
        }

    # ---- scores
    def validate(self) -> dict[str, float]:
        rng = np.random.default_rng(0)
        sums: dict[str, list[float]] = {}
        for _ in range(max(1, self.data.validated // self.config.batch_size)):
            batch = self._batch(self.val_store, rng, jitter=0.0)
            for name, value in self.errors(batch).items():
                sums.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in sums.items()}

    def errors(self, batch: Batch) -> dict[str, float]:
        """Mean absolute errors in natural units; landmarks in % of the inter-ocular distance (36-45)."""
        analysis = self.net(batch["image"].to(self.device)).float()
        truth = {n: batch[n].to(self.device) for n in LABELS}
        ocular = (truth["keypoints"][:, 36, :2] - truth["keypoints"][:, 45, :2]).norm(dim=-1)
        distance = (analysis.keypoints[:, :68, :2] - truth["keypoints"][:, :68, :2]).norm(dim=-1).mean(1)
        loops = [*self.net.eye_points[0][:EYE_LOOP], *self.net.eye_points[1][:EYE_LOOP]]
        lids = (analysis.keypoints[:, loops, :2] - truth["keypoints"][:, loops, :2]).norm(dim=-1).mean(1)
        return {
            "lids_interocular_percent": float((lids / ocular).mean() * 100),
            "landmarks_interocular_percent": float((distance / ocular).mean() * 100),
            "pose_degrees": float((analysis.pose - truth["pose"]).abs().mean()),
            "gaze_degrees": float((analysis.gaze - truth["gaze"]).abs().mean()),
            "openness_percent": float((analysis.openness - truth["openness"]).abs().mean()),
            "coefficients": float((analysis.coefficients - truth["coefficients"]).abs().mean()),
            "segments_percent_right": float(self._right_segments(batch) * 100),
        }

    def _right_segments(self, batch: Batch) -> Tensor:
        """Share of pixels of wide crops with the right segment."""
        truth = batch["segments"].to(self.device)
        right = self.net.segment(batch["wide"].to(self.device)).argmax(1) == truth
        return right[truth != UNKNOWN].float().mean()

    def images(self, batch: Batch) -> dict[str, Tensor]:
        x = (batch["image"][:8].float().clone() + 1) / 2
        points = self.net(batch["image"][:8]).keypoints[..., :2].float()
        at = ((points + 1) / 2 * INPUT_SIZE).long().clamp(0, INPUT_SIZE - 1)
        for row, places in enumerate(at):
            x[row, :, places[:, 1], places[:, 0]] = x.new_tensor([0.0, 1.0, 0.0])[:, None]
        return {"keypoints": torch.cat(list(x), 2).clamp(0, 1)}

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {"analyser": (self.net.state_dict(), self.net.config)}
