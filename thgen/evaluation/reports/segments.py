"""Accuracy of the analyser's segmentation on renders, and a picture of the segmentation of portraits."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from thgen.analyser.network import INPUT_SIZE, Analyser, to_input
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.held_out import held_out
from thgen.evaluation.sheets.grid import read_portrait, save_grid
from thgen.evaluation.subject import load_observer
from thgen.face.finder import FaceFinder
from thgen.schema import SEGMENTS
from thgen.synth.head.facekit import SEGMENT_OF_PART, HeadMesh

SIZE = 2 * INPUT_SIZE  # px of the renders
GRID = INPUT_SIZE // 2  # px of the segmentation
STATES = 4  # of each person
CELL, PER_ROW = 320, 8  # px of a portrait on the sheet; portraits in a row
TINT = 0.45  # opacity of the segments' colours over a portrait
# Matplotlib's "tab10", in the order of SEGMENTS. The background is not tinted.
COLOURS = np.array([
    (0, 0, 0), (255, 127, 14), (148, 103, 189), (44, 160, 44), (214, 39, 40), (23, 190, 207), (188, 189, 34),
    (31, 119, 180), (227, 119, 194),
], np.float32)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="portraits to draw the segments over")
    parser.add_argument("--identities", type=int, default=60, help="unseen people to render (default: 60)")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/segments.jpg")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, WeightsError, PhotoError, FaceError, OutputError."""
    observer = load_observer(args.device)
    analyser, device = observer.analyser, observer.device
    assert isinstance(analyser, Analyser)
    report = measure(analyser, args.identities, device)
    if args.photos:
        finder = FaceFinder(analyser, device)
        crops = [finder.crop(read_portrait(photo)[1], size=CELL).image for photo in args.photos]
        cells = [tinted(crop, segments(analyser, crop[None], device)[0]) for crop in crops]
        save_grid(cells, CELL, PER_ROW, Path(args.sheet))
    return report


@torch.inference_mode()
def segments(analyser: Analyser, crops: np.ndarray, device: torch.device) -> np.ndarray:
    """Classes uint8 [N 64 64], as in SEGMENTS, of crops uint8 [N S S 3] that are framed by face.crop.CROP."""
    small = np.stack([cv2.resize(c, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_AREA) for c in crops])
    return analyser.segment(to_input(torch.from_numpy(small)).to(device)).argmax(1).byte().cpu().numpy()


def measure(analyser: Analyser, identities: int, device: torch.device, mesh: HeadMesh | None = None) -> Report:
    """Over all pixels of STATES renders of each person."""
    confusion = np.zeros((len(SEGMENTS), len(SEGMENTS)), np.int64)
    for person in held_out(identities, STATES - 1, SIZE, GRID, drivers=False, mesh=mesh):
        true = SEGMENT_OF_PART[person.clip.segmentation]
        read = segments(analyser, person.clip.frames, device)
        np.add.at(confusion, (true.ravel(), read.ravel()), 1)
    return Report(
        "segments", "Segments on held-out renders", rows_of(confusion),
        f"Over the pixels ({GRID} x {GRID}) of {STATES * identities} renders of {identities} people that no training "
        "used.", weights=("analyser",),
    )  # fmt: skip


def rows_of(confusion: np.ndarray) -> list[dict[str, Value]]:
    """Confusion counts [P P] (true, read) as a row per segment, and the mean over the segments that occur."""
    rows: list[dict[str, Value]] = []
    overlaps = []
    for i, name in enumerate(SEGMENTS):
        union = confusion[i].sum() + confusion[:, i].sum() - confusion[i, i]
        overlap = 100 * float(confusion[i, i] / union) if union else float("nan")
        wrong = confusion[i].copy()
        wrong[i] = 0
        share = 100 * float(confusion[i].sum() / confusion.sum())
        rows.append({
            "segment": name, "IoU, %": overlap, "share of the pixels, %": share,
            "most taken for": SEGMENTS[int(wrong.argmax())] if wrong.any() else "–",
        })  # fmt: skip
        overlaps.append(overlap)
    right = 100 * float(np.trace(confusion) / confusion.sum())
    rows.append({"segment": "mean", "IoU, %": float(np.nanmean(overlaps)), "share of the pixels, %": right,
                 "most taken for": "(share: right pixels)"})  # fmt: skip
    return rows


def tinted(image: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The crop uint8 [S S 3] with its segments [64 64] as colours over it."""
    size = image.shape[:2]
    tint = cv2.resize(COLOURS[classes], size[::-1], interpolation=cv2.INTER_NEAREST)
    cover = cv2.resize((classes > 0).astype(np.float32), size[::-1], interpolation=cv2.INTER_NEAREST)[..., None] * TINT
    return np.asarray((image * (1 - cover) + tint * cover).round().astype(np.uint8))
