"""How well the analyser tells hair, face, neck, body and the rest apart: against renders, and drawn over portraits."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from thgen.analyser.network import INPUT_SIZE, Analyser, to_input
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.held_out import held_out
from thgen.evaluation.sheets.contact import read_portrait, save_sheet
from thgen.face.finder import FaceFinder
from thgen.schema import SEGMENTS
from thgen.synth.head.facekit import SEGMENT_OF_PART, HeadMesh

SIZE = 2 * INPUT_SIZE  # px of the renders
GRID = INPUT_SIZE // 2
CELL, PER_ROW = 320, 8
# Matplotlib's "tab10", in the order of SEGMENTS; the background stays as it is.
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
    from thgen.weights import hub

    device = torch.device(args.device)
    analyser = hub.load_network("analyser", device)
    assert isinstance(analyser, Analyser)
    report = measure(analyser, args.identities, device)
    if args.photos:
        finder = FaceFinder(analyser, device)
        cells = []
        for photo in args.photos:
            image = finder.crop(read_portrait(photo)[1], size=CELL).image
            cells.append(drawn(image, segments(analyser, image[None], device)[0]))
        cells += [np.full((CELL, CELL, 3), 255, np.uint8)] * (-len(cells) % min(PER_ROW, len(cells)))
        width = min(PER_ROW, len(cells))
        rows = [cells[i : i + width] for i in range(0, len(cells), width)]
        save_sheet(rows, [""] * width, CELL, Path(args.sheet))
    return report


@torch.inference_mode()
def segments(analyser: Analyser, crops: np.ndarray, device: torch.device) -> np.ndarray:
    """Classes uint8 [N 64 64] of crops uint8 [N S S 3] as face.finder frames them."""
    small = np.stack([cv2.resize(c, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_AREA) for c in crops])
    return analyser.segment(to_input(torch.from_numpy(small)).to(device)).argmax(1).byte().cpu().numpy()


def measure(analyser: Analyser, identities: int, device: torch.device, mesh: HeadMesh | None = None) -> Report:
    """Over every pixel of four states of each person."""
    confusion = np.zeros((len(SEGMENTS), len(SEGMENTS)), np.int64)
    for person in held_out(identities, 3, SIZE, GRID, drivers=False, mesh=mesh):
        true = SEGMENT_OF_PART[person.clip.segmentation]
        seen = segments(analyser, person.clip.frames, device)
        np.add.at(confusion, (true.ravel(), seen.ravel()), 1)
    return Report(
        "segments", "Parts told apart on held-out renders", rows_of(confusion),
        f"Over the pixels (64 x 64) of {4 * identities} renders of {identities} people that no training saw.",
    )  # fmt: skip


def rows_of(confusion: np.ndarray) -> list[dict[str, Value]]:
    """Confusion counts [P P] (true, seen) as a row per segment, and the mean over those that occur."""
    rows: list[dict[str, Value]] = []
    overlaps = []
    for i, name in enumerate(SEGMENTS):
        union = confusion[i].sum() + confusion[:, i].sum() - confusion[i, i]
        overlap = 100 * float(confusion[i, i] / union) if union else float("nan")
        others = confusion[i].copy()
        others[i] = 0
        share = 100 * float(confusion[i].sum() / confusion.sum())
        rows.append({
            "segment": name, "IoU, %": overlap, "share of the pixels, %": share,
            "most taken for": SEGMENTS[int(others.argmax())] if others.any() else "–",
        })  # fmt: skip
        overlaps.append(overlap)
    right = 100 * float(np.trace(confusion) / confusion.sum())
    rows.append({"segment": "mean", "IoU, %": float(np.nanmean(overlaps)), "share of the pixels, %": right,
                 "most taken for": "(share: right pixels)"})  # fmt: skip
    return rows


def drawn(image: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The crop uint8 [S S 3] tinted by its segments [64 64]."""
    size = image.shape[:2]
    tint = cv2.resize(COLOURS[classes], size[::-1], interpolation=cv2.INTER_NEAREST)
    cover = cv2.resize((classes > 0).astype(np.float32), size[::-1], interpolation=cv2.INTER_NEAREST)[..., None] * 0.45
    return (image * (1 - cover) + tint * cover).round().astype(np.uint8)
