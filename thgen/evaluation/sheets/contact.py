"""A sheet of stills to look at: one portrait per row, one setting of the sliders per column."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from thgen.errors import ControlError
from thgen.evaluation.metrics.appearance import face_mask, gradient_energy, skin_mask
from thgen.evaluation.metrics.readings import in_crop
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.crops import expected_square
from thgen.evaluation.sheets.grid import ASTRONAUT, read_portrait, save_sheet
from thgen.evaluation.subject import networks_of, without_idle
from thgen.face.observe import Observer
from thgen.methods import declaration_of
from thgen.pipeline import Session, preview
from thgen.request import Request
from thgen.schema import SLIDERS
from thgen.weights import hub

Columns = dict[str, dict[str, float]]
# Column -> values of sliders. Visitors try such values; they are not the limits.
COLUMNS: Columns = {
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
UNIT_INTENSITY = 4.0  # of 5, of each action unit by itself
UNITS: Columns = {"AU" + name.removeprefix("au."): {name: UNIT_INTENSITY} for name in SLIDERS if name.startswith("au.")}
ALL_UNITS = "units"  # stands for all of UNITS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help=f"portraits, or {ASTRONAUT!r} (default: that one)")
    parser.add_argument("--method", default="rig")
    parser.add_argument("--size", type=int, default=512, help="px at which stills are made (default: 512)")
    parser.add_argument("--cell", type=int, default=150, help="px at which they are shown (default: 150)")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/contact_sheet.jpg")
    parser.add_argument("--columns", default="", help=f"only these, comma separated; {ALL_UNITS}: every action unit")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises ControlError, MethodError, WeightsError, PhotoError, FaceError, OutputError."""
    columns = choose(args.columns)
    networks = hub.Networks(args.device)
    session = Session.load(args.method, networks=networks)
    observer = Observer(networks.get("analyser"), networks.device)
    rows: list[dict[str, Value]] = []
    pictures: list[list[np.ndarray]] = []
    for photo in args.photos or [ASTRONAUT]:
        name, image = read_portrait(photo)
        requests = [_request(image, args.method, values, args.size) for values in columns.values()]
        stills = [preview(request, session) for request in requests]
        crop = session.prepare(requests[0]).crop
        pictures.append([crop.image, *stills])
        skin, whole = (sharpness(observer, crop.image, stills, mask) for mask in (skin_mask, face_mask))
        worst = min(range(len(stills)), key=lambda i: skin[i])
        rows.append({
            "photo": name, "face score": float(crop.analysis.face.sigmoid()), "warnings": len(crop.warnings),
            "sharpness": float(np.mean(skin)), "least": skin[worst], "at": list(columns)[worst],
            "with eyes and mouth": float(np.mean(whole)),
        })  # fmt: skip
    path = save_sheet(pictures, ["photo", *columns], args.cell, Path(args.sheet))
    note = (
        f"Written to {path}. Sharpness: gradient energy of the face's skin, relative to the photo's; 1 is no blur. "
        "With eyes and mouth: of the whole face, which loses edges when eyes close."
    )
    weights = networks_of(session.method.declaration)
    return Report("sheet", f"Contact sheet of method {args.method}", rows, note, {"size": args.size}, weights=weights)


def choose(names: str) -> Columns:
    """Columns by name, comma separated; ALL_UNITS stands for every action unit, "" for COLUMNS. Raises ControlError."""
    known = COLUMNS | UNITS
    out: Columns = {}
    for name in (n.strip() for n in names.split(",") if n.strip()):
        if name != ALL_UNITS and name not in known:
            raise ControlError(f"There is no column {name!r}; choose of: {', '.join(COLUMNS)}, {ALL_UNITS}.")
        out |= UNITS if name == ALL_UNITS else {name: known[name]}
    return out or COLUMNS


def sharpness(
    observer: Observer, photo: np.ndarray, stills: list[np.ndarray], mask: Callable[[np.ndarray, int], np.ndarray]
) -> list[float]:
    """Gradient energy of each still uint8 [S S 3] within `mask` of its landmarks, relative to the photo's own."""
    size = photo.shape[0]
    energies = []
    for image in (photo, *stills):
        observation = observer.observe(image, [expected_square(size)])[0]
        energies.append(gradient_energy(image, mask(in_crop(observation, size)[:68], size)))
    return [energy / energies[0] for energy in energies[1:]]


def _request(image: np.ndarray, method: str, values: dict[str, float], size: int) -> Request:
    controls = without_idle(declaration_of(method), values=values)
    return Request(photo=image, controls=controls, method=method, size=size, paste_back=False)
