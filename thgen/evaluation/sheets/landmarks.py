"""Portraits with what the face front end found drawn on them: faces, landmarks, pupils, pose. Made to be looked at."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from thgen.errors import FaceError
from thgen.evaluation.report import Report, Value
from thgen.evaluation.sheets.contact import ASTRONAUT, read_portrait, save_sheet
from thgen.face.crop import Square, limit_side, sample_square
from thgen.face.finder import LANDMARKS, FaceCrop, FaceFinder

CELL = 420  # px of each picture
SHIFT = 4  # binary digits of sub-pixel precision in cv2's drawing
PER_ROW = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help=f"portraits, or {ASTRONAUT!r} (default: that one)")
    parser.add_argument("--landmarks", choices=LANDMARKS, default="analyser")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/landmarks.jpg")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises WeightsError, OutputError, PhotoError; a photo without a usable face is told in its row."""
    from thgen.weights import hub

    device = torch.device(args.device)
    finder = FaceFinder(hub.load_network("analyser", device), device, args.landmarks)
    rows: list[dict[str, Value]] = []
    pictures: list[np.ndarray] = []
    for photo in args.photos or [ASTRONAUT]:
        name, image = read_portrait(photo)
        count = len(finder.faces(image))
        try:
            crop = finder.crop(image, size=CELL)
        except FaceError as error:
            rows.append({"photo": name, "faces": count, "result": str(error)})
            pictures.append(_whole(image))
            continue
        yaw, pitch, roll = crop.analysis.pose[0].tolist()
        rows.append({
            "photo": name, "faces": count, "score": float(crop.analysis.face.sigmoid()), "yaw": yaw, "pitch": pitch,
            "roll": roll, "openness": float(crop.analysis.openness.mean()), "gaze yaw": _gaze(crop, 0),
            "gaze pitch": _gaze(crop, 1), "result": " ".join(crop.warnings) or "found",
        })  # fmt: skip
        pictures.append(drawn(crop))
    blank = np.full((CELL, CELL, 3), 255, np.uint8)
    pictures += [blank] * (-len(pictures) % min(PER_ROW, len(pictures)))
    width = min(PER_ROW, len(pictures))
    grid = [pictures[i : i + width] for i in range(0, len(pictures), width)]
    path = save_sheet(grid, [""] * width, CELL, Path(args.sheet))
    return Report("landmarks", "Faces found", rows, f"Drawn in {path}.")


def _gaze(crop: FaceCrop, axis: int) -> float:
    return float(crop.analysis.gaze[0, :, axis].mean())


def drawn(crop: FaceCrop) -> np.ndarray:
    """The crop uint8 [S S 3] with its keypoints: dense ones small and yellow, landmarks green, pupils red."""
    image = crop.image.copy()
    # cv2 counts from the centre of the first pixel.
    points = (((crop.keypoints[:, :2] + 1) / 2 * crop.size - 0.5) * 2**SHIFT).round().astype(int)
    for i in [*range(70, len(points)), *range(68), *range(68, min(70, len(points)))]:
        radius, colour = (1.6, (60, 255, 60)) if i < 68 else (2.2, (255, 40, 40)) if i < 70 else (0.7, (255, 230, 60))
        at = (int(points[i, 0]), int(points[i, 1]))
        cv2.circle(image, at, round(radius * 2**SHIFT), colour, -1, cv2.LINE_AA, SHIFT)
    return image


def _whole(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    small, scale = limit_side(image, CELL)
    return sample_square(small, Square(width * scale / 2, height * scale / 2, max(height, width) * scale), CELL)
