"""The analyser's error on each clip of a training set.

The errors are saved beside the shards. With `data.hard`, the analyser's training draws clips with large errors more
often.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from thgen.analyser.network import to_input
from thgen.analyser.stage import crop_matrix, cut
from thgen.evaluation.metrics import motion
from thgen.evaluation.report import Report, Value
from thgen.evaluation.subject import load_observer
from thgen.training.data.store import HARD_FILE, ClipStore

QUANTILES = (10, 50, 75, 90, 95, 99)  # % of the clips


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="folder of shards, as data/train")
    parser.add_argument("--frames", type=int, default=2, help="frames of each clip that are read (default: 2)")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, TrainingError, WeightsError."""
    observer = load_observer(args.device)
    errors = measure(observer.analyser, ClipStore(args.data), args.frames, observer.device)
    (args.data / HARD_FILE).write_text(json.dumps(errors) + "\n")
    values = np.array(list(errors.values()))
    rows: list[dict[str, Value]] = [
        {"of the clips": f"{q} %", "error below, % inter-ocular": float(np.percentile(values, q))} for q in QUANTILES
    ]
    return Report(
        "hard", f"Landmark errors on the clips of {args.data}", rows,
        f"Error of the analyser's landmarks in {args.frames} frames of each of {len(values)} clips, at the square "
        "around the true landmarks.", weights=("analyser",),
    )  # fmt: skip


@torch.inference_mode()
def measure(analyser: nn.Module, store: ClipStore, frames: int, device: torch.device) -> dict[str, float]:
    """Key of each clip -> mean error of its landmarks, in % of the inter-ocular distance."""
    rng = np.random.default_rng(0)
    out: dict[str, float] = {}
    for number, clip in enumerate(tqdm(store.clips, unit="clip")):
        chosen = list(range(min(frames, len(clip.frames))))
        images, truth = store.load(number, chosen, ("keypoints",))
        true = torch.from_numpy(truth["keypoints"][chosen].astype(np.float32))
        matrix = crop_matrix(true, rng, 0.0)
        view = cut(to_input(torch.from_numpy(np.ascontiguousarray(images))), matrix)
        read = analyser(view.to(device)).keypoints[:, :68, :2].float().cpu() @ matrix[:, :, :2].mT
        read = read + matrix[:, None, :, 2]
        out[clip.key] = motion.landmark_distance(read.numpy(), true[:, :68, :2].numpy())
    return out
