"""A sheet of stills: portraits down, one slider per column. Made to be looked at."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from thgen.errors import OutputError, PhotoError
from thgen.evaluation.metrics.appearance import face_mask, gradient_energy, skin_mask
from thgen.evaluation.report import Report, Value
from thgen.face.crop import ANALYSER, landmark_square
from thgen.face.look import Looker
from thgen.io.photo import read_photo
from thgen.pipeline import Session, preview
from thgen.request import Request
from thgen.schema import CONTROLS, Controls
from thgen.weights import hub

# Column -> sliders. At strengths that a visitor would try, not at their limits.
COLUMNS: dict[str, dict[str, float]] = {
    "neutral": {},
    "yaw -25°": {"pose.yaw": -25},
    "yaw +25°": {"pose.yaw": 25},
    "pitch +15°": {"pose.pitch": 15},
    "pitch -15°": {"pose.pitch": -15},
    "roll +15°": {"pose.roll": 15},
    "gaze -20°": {"gaze.yaw": -20},
    "gaze +20°": {"gaze.yaw": 20},
    "gaze up 15°": {"gaze.pitch": 15},
    "gaze down 15°": {"gaze.pitch": -15},
    "half closed": {"blink.openness": 50},
    "blink": {"blink.openness": 0},
    "smile": {"au.12": 4, "au.6": 3},
    "brows up": {"au.1": 5, "au.2": 5},
    "frown": {"au.4": 4, "au.15": 3},
    "jaw open": {"au.27": 3},
    "pucker": {"au.18": 4},
    "oo": {"au.18": 4, "au.22": 2},
    "ee": {"au.20": 4, "au.27": 1},
    "m": {"au.24": 4, "au.17": 1},
    "mixed": {"pose.yaw": 15, "pose.pitch": -6, "au.12": 4, "au.27": 1.5, "gaze.yaw": -12},
}
UNITS = {"AU" + name.removeprefix("au."): {name: 4.0} for name in CONTROLS if name.startswith("au.")}  # each by itself
LIVE_OFF = {"pose": False, "gaze": False, "blink": False}
ASTRONAUT = "astronaut"  # scikit-image's own photo
HEADER = 22  # px of the line of labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help=f"portraits, or {ASTRONAUT!r} (default: that one)")
    parser.add_argument("--method", default="rig")
    parser.add_argument("--size", type=int, default=512, help="px at which stills are made (default: 512)")
    parser.add_argument("--cell", type=int, default=150, help="px at which they are shown (default: 150)")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/contact_sheet.jpg")
    parser.add_argument("--columns", default="", help="only these columns, comma separated; units: every action unit")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises WeightsError, OutputError; a photo without a usable face is left out and named in the report."""
    session = Session.load(args.method, args.device)
    looker = Looker(hub.load_network("analyser", torch.device("cpu")), torch.device("cpu"))
    columns = choose(args.columns)
    rows: list[dict[str, Value]] = []
    pictures: list[list[np.ndarray]] = []
    for photo in args.photos or [ASTRONAUT]:
        name, image = read_portrait(photo)
        stills = [_still(session, image, args.method, sliders, args.size) for sliders in columns.values()]
        crop = session.prepare(_request(image, args.method, {}, args.size)).crop
        pictures.append([crop.image, *stills])
        kept, whole = (sharpness(looker, crop.image, stills, mask) for mask in (skin_mask, face_mask))
        worst = min(range(len(stills)), key=lambda i: kept[i])
        rows.append({
            "photo": name, "face score": float(crop.analysis.face.sigmoid()), "warnings": len(crop.warnings),
            "sharpness": float(np.mean(kept)), "least": kept[worst], "at": list(columns)[worst],
            "with eyes and mouth": float(np.mean(whole)),
        })  # fmt: skip
    path = save_sheet(pictures, ["photo", *columns], args.cell, Path(args.sheet))
    note = (
        f"Written to {path}. Sharpness: gradient energy of the face's skin, relative to the photo's; 1 is no blur. "
        "With eyes and mouth: of the whole face, which loses edges when eyes close."
    )
    return Report("sheet", "Contact sheet", rows, note, {"size": args.size})


def choose(names: str) -> dict[str, dict[str, float]]:
    """Columns named in a comma-separated list; "units" stands for every action unit, nothing for the usual ones."""
    out: dict[str, dict[str, float]] = {}
    for name in (n.strip() for n in names.split(",")):
        if name == "units":
            out |= UNITS
        elif name in COLUMNS or name in UNITS:
            out[name] = (COLUMNS | UNITS)[name]
    return out or COLUMNS


def sharpness(
    looker: Looker, photo: np.ndarray, stills: list[np.ndarray], mask: Callable[[np.ndarray, int], np.ndarray]
) -> list[float]:
    """Gradient energy of each still uint8 [S S 3], relative to the photo's own, within `mask` of its landmarks."""
    size = photo.shape[0]
    middle = np.array([[-0.5, -0.34], [0.5, 0.66]])  # where face.finder puts the landmarks' box
    energies = []
    for image in (photo, *stills):
        look = looker.looks(image, [landmark_square((middle + 1) / 2 * size, ANALYSER)])[0]
        energies.append(gradient_energy(image, mask(look.keypoints[:68] / size * 2 - [1, 1, 0], size)))
    return [energy / energies[0] for energy in energies[1:]]


def read_portrait(photo: str) -> tuple[str, np.ndarray]:
    """A path, or "astronaut" -> its name and uint8 RGB [H W 3]. Raises PhotoError."""
    if photo == ASTRONAUT:
        from skimage import data

        return ASTRONAUT, np.ascontiguousarray(data.astronaut())
    return Path(photo).stem, read_photo(photo)


def _request(image: np.ndarray, method: str, sliders: dict[str, float], size: int) -> Request:
    return Request(image, controls=Controls(sliders, live=LIVE_OFF), method=method, size=size, paste_back=False)


def _still(session: Session, image: np.ndarray, method: str, sliders: dict[str, float], size: int) -> np.ndarray:
    return preview(_request(image, method, sliders, size), session)


def save_sheet(pictures: list[list[np.ndarray]], labels: list[str], cell: int, path: Path) -> Path:
    """Rows of square pictures uint8 [S S 3] under a line of labels -> a JPEG. Raises OutputError, PhotoError."""
    if not pictures:
        raise PhotoError("There is no portrait to show: give at least one photo.")
    header = HEADER if any(labels) else 0
    sheet = Image.new("RGB", (cell * len(labels), header + cell * len(pictures)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=max(10, cell // 12))
    for column, label in enumerate(labels):
        draw.text((column * cell + 4, 4), label, fill="black", font=font)
    for row, images in enumerate(pictures):
        for column, image in enumerate(images):
            small = Image.fromarray(image).resize((cell, cell), Image.Resampling.LANCZOS)
            sheet.paste(small, (column * cell, header + row * cell))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, quality=88)
    except (OSError, ValueError) as error:
        raise OutputError(f"The sheet cannot be written to {path} ({error}); choose another --sheet.") from error
    return path
