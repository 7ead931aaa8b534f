"""Rendered clips for training: random access to shards, and augmentation of pictures that stages share."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.errors import TrainingError
from thgen.synth.clip import decode_truth, shard_paths

HARD_FILE = "hard.json"  # beside the shards: clip -> the analyser's error, written by thgen.evaluation.reports.hard
HARDEST = 95  # percentile at which the errors are clamped, so that a few extreme clips are not drawn all the time


@dataclass(frozen=True)
class _Clip:
    shard: Path
    frames: tuple[tuple[int, int], ...]  # offset and size of each JPEG in the shard, in bytes
    truth: tuple[int, int]
    about: tuple[int, int] | None  # JSON; None: a folder of other files
    voice: tuple[int, int] | None  # None: a silent clip
    identity: int
    key: str


class ClipStore:
    """Random access to the clips of a folder of shards, which `python -m thgen render` writes."""

    def __init__(self, folder: str | Path):
        """Raises TrainingError for a folder without shards."""
        self.folder = Path(folder)
        self._paths = shard_paths(self.folder)
        if not self._paths:
            raise TrainingError(
                f"There are no shards in {self.folder}: run `python -m thgen render --motion pairs --frames 9 "
                f"--out {self.folder}` first."
            )

    @cached_property
    def clips(self) -> list[_Clip]:
        out = []
        for path in self._paths:
            members: dict[str, dict[str, tuple[int, int]]] = {}
            with tarfile.open(path) as tar:
                for member in tar:
                    key, _, extension = member.name.partition(".")
                    members.setdefault(key, {})[extension] = (member.offset_data, member.size)
            for key, files in members.items():
                frames = tuple(files[e] for e in sorted(files) if e.endswith(".jpg"))
                out.append(
                    _Clip(
                        path,
                        frames,
                        files["truth.npz"],
                        files.get("json"),
                        files.get("flac"),
                        int(key.split("_")[0]),
                        key,
                    )
                )
        return out

    def __len__(self) -> int:
        return len(self.clips)

    def draw(self, rng: np.random.Generator, hard: float = 0.0) -> int:
        """Number of a random clip. With probability `hard` a clip is drawn in proportion to its error (`evaluate hard`,
        HARDEST), else all are equally likely. Raises TrainingError where the errors have not been measured."""
        if hard and rng.random() < hard:
            return int(np.searchsorted(self._hardness, rng.random() * self._hardness[-1], side="right"))
        return int(rng.integers(len(self)))

    @cached_property
    def _hardness(self) -> np.ndarray:
        """Cumulative sum of the errors of all clips, [N]."""
        file = self.folder / HARD_FILE
        if not file.is_file():
            raise TrainingError(
                f"There is no {file}: run `python -m thgen evaluate hard {self.folder}`, or set data.hard=0."
            )
        known = json.loads(file.read_text())
        errors = np.array([known.get(clip.key, 0.0) for clip in self.clips])
        return np.cumsum(np.minimum(errors, np.percentile(errors, HARDEST)) + 1e-9)

    def refresh(self) -> None:
        """Add shards that a render has finished in the meantime."""
        paths = shard_paths(self.folder)
        if paths != self._paths:
            self._paths = paths
            self.__dict__.pop("clips", None)
            self.__dict__.pop("_hardness", None)

    def emotions(self, number: int) -> tuple[str, ...]:
        """Names of the emotions of clip `number`, in their order; () where nobody named any (random states)."""
        clip = self.clips[number]
        about = json.loads(self._read(clip.shard, [clip.about])[0]) if clip.about else {}
        return tuple(about.get("emotions", ()))

    def voice(self, number: int) -> np.ndarray:
        """Voice of clip `number`, float32 [L] in [-1, 1], 16 kHz. Raises TrainingError for a silent clip."""
        clip = self.clips[number]
        if clip.voice is None:
            raise TrainingError(
                f"The clips in {self.folder} have no voice: render them with `python -m thgen render --motion track`."
            )
        samples, _ = soundfile.read(io.BytesIO(self._read(clip.shard, [clip.voice])[0]), dtype="float32")
        return samples

    @staticmethod
    def _read(path: Path, places: list[tuple[int, int]]) -> list[bytes]:
        """The parts of a file at these offsets and sizes."""
        with open(path, "rb") as file:
            out = []
            for offset, size in places:
                file.seek(offset)
                out.append(file.read(size))
        return out

    def load(
        self, number: int, frames: list[int] | None = None, names: tuple[str, ...] | None = None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Clip `number`: pictures uint8 RGB [n S S 3] of `frames` (None = all), and the truth of all its frames.

        names: of the labels; None = all of them.
        """
        clip = self.clips[number]
        chosen = range(len(clip.frames)) if frames is None else frames
        *jpegs, truth = self._read(clip.shard, [clip.frames[t] for t in chosen] + [clip.truth])
        images = [cv2.imdecode(np.frombuffer(j, np.uint8), cv2.IMREAD_COLOR) for j in jpegs]
        return np.stack(images)[..., ::-1], decode_truth(truth, names)  # type: ignore[arg-type]

    def truth(self, number: int, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """These labels of all frames of clip `number`, each [T ...]."""
        clip = self.clips[number]
        return decode_truth(self._read(clip.shard, [clip.truth])[0], names)


def colour_jitter(generator: torch.Generator, *images: Tensor, strength: float = 1.0) -> list[Tensor]:
    """Pictures [B 3 H W] in [-1, 1] with random gain, offset, gamma, tint and grey. Row b of all `images` gets the same
    change. strength: 0 = none, 1 = full."""
    b = len(images[0])

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        middle, half = (low + high) / 2, (high - low) / 2 * strength
        return middle + half * (2 * torch.rand(b, channels, 1, 1, generator=generator) - 1)

    gain, offset, tint, gamma = draw(0.55, 1.45), draw(-0.25, 0.25), draw(0.85, 1.15, 3), draw(0.7, 1.3)
    grey = (torch.rand(b, 1, 1, 1, generator=generator) < 0.12 * strength).float()
    out = []
    for x in images:
        x = ((x + 1) / 2).clamp(1e-3, 1) ** gamma * 2 - 1
        x = x * gain * tint + offset
        x = x + grey * (x.mean(1, keepdim=True) - x)
        out.append(x.clamp(-1, 1))
    return out


def degrade(generator: torch.Generator, x: Tensor) -> Tensor:
    """Pictures [B 3 H W] in [-1, 1]; some rows get blur, some sensor noise, some a rectangle that covers a part."""
    _, _, h, w = x.shape
    out = []
    for row in x:
        r = torch.rand(6, generator=generator)
        image = row[None]
        if r[0] < 0.35:
            factor = 0.25 + 0.6 * float(r[1])
            small = F.interpolate(image, scale_factor=factor, mode="area")
            image = F.interpolate(small, size=(h, w), mode="bilinear", align_corners=False)
        if r[2] < 0.6:
            image = image + 0.12 * float(r[3]) * torch.randn(image.shape, generator=generator)
        if r[4] < 0.2:  # as a hand, a microphone or hair would cover it
            size = (torch.rand(2, generator=generator) * 0.35 + 0.05) * h
            corner = torch.rand(2, generator=generator) * (h - size)
            y, x0 = int(corner[0]), int(corner[1])
            colour = torch.rand(1, 3, 1, 1, generator=generator) * 2 - 1
            image = image.clone()
            image[:, :, y : y + int(size[0]), x0 : x0 + int(size[1])] = colour
        out.append(image)
    return torch.cat(out).clamp(-1, 1)
