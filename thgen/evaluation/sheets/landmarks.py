"""Portraits to look at, with the landmarks and pupils that the face front end found, and a table of pose and gaze."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from thgen.errors import FaceError
from thgen.evaluation.report import Report, Value
from thgen.evaluation.sheets.grid import ASTRONAUT, read_portrait, save_grid
from thgen.evaluation.subject import load_observer
from thgen.face.crop import Square, limit_side, sample_square
from thgen.face.finder import LANDMARKS, FaceCrop, FaceFinder

CELL = 420  # px of each picture
PER_ROW = 4  # pictures in a row
SHIFT = 4  # bits after the binary point of coordinates in cv2's drawing
GREEN, RED, YELLOW = (60, 255, 60), (255, 40, 40), (255, 230, 60)  # RGB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help=f"portraits, or {ASTRONAUT!r} (default: that one)")
    parser.add_argument("--landmarks", choices=LANDMARKS, default="analyser")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/landmarks.jpg")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises WeightsError, OutputError, PhotoError. The row of a photo without a usable face says why."""
    observer = load_observer(args.device)
    finder = FaceFinder(observer.analyser, observer.device, args.landmarks)
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
    path = save_grid(pictures, CELL, PER_ROW, Path(args.sheet))
    return Report("landmarks", "Faces found", rows, f"Drawn in {path}.", weights=("analyser",))


def _gaze(crop: FaceCrop, axis: int) -> float:
    return float(crop.analysis.gaze[0, :, axis].mean())


def drawn(crop: FaceCrop) -> np.ndarray:
    """The crop uint8 [S S 3] with its keypoints: dense ones small and yellow, landmarks green, pupils red."""
    image = crop.image.copy()
    # cv2 puts 0 at the centre of the first pixel, thgen at its edge.
    points = (((crop.keypoints[:, :2] + 1) / 2 * crop.size - 0.5) * 2**SHIFT).round().astype(int)
    for i in [*range(70, len(points)), *range(68), *range(68, min(70, len(points)))]:
        radius, colour = (1.6, GREEN) if i < 68 else (2.2, RED) if i < 70 else (0.7, YELLOW)
        at = (int(points[i, 0]), int(points[i, 1]))
        cv2.circle(image, at, round(radius * 2**SHIFT), colour, -1, cv2.LINE_AA, SHIFT)
    return image


def _whole(image: np.ndarray) -> np.ndarray:
    """The photo uint8 [H W 3] in a square of CELL px; its border is repeated around it."""
    height, width = image.shape[:2]
    small, scale = limit_side(image, CELL)
    return sample_square(small, Square(width * scale / 2, height * scale / 2, max(height, width) * scale), CELL)
