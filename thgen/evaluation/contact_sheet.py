"""A sheet of stills: portraits down, one slider per column. Made to be looked at."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from thgen import media
from thgen.errors import OutputError, PhotoError
from thgen.evaluation.report import Report, Value
from thgen.pipeline import Request, Session, preview
from thgen.schema import Controls

# Column -> sliders. At strengths that a visitor would try, not at their limits.
COLUMNS: dict[str, dict[str, float]] = {
    "neutral": {},
    "yaw -25°": {"pose.yaw": -25},
    "yaw +25°": {"pose.yaw": 25},
    "pitch +15°": {"pose.pitch": 15},
    "pitch -15°": {"pose.pitch": -15},
    "roll +15°": {"pose.roll": 15},
    "gaze -20°": {"gaze.yaw": -20},
    "gaze up 15°": {"gaze.pitch": 15},
    "half closed": {"blink.openness": 50},
    "blink": {"blink.openness": 0},
    "smile": {"au.12": 4, "au.6": 3},
    "brows up": {"au.1": 5, "au.2": 5},
    "frown": {"au.4": 4, "au.15": 3},
    "jaw open": {"au.27": 3},
    "pucker": {"au.18": 4},
    "mixed": {"pose.yaw": 15, "pose.pitch": -6, "au.12": 4, "au.27": 1.5, "gaze.yaw": -12},
}
LIVE_OFF = {"pose": False, "gaze": False, "blink": False}
ASTRONAUT = "astronaut"  # scikit-image's own photo
HEADER = 22  # px of the line of labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help=f"portraits, or {ASTRONAUT!r} (default: that one)")
    parser.add_argument("--method", default="rig")
    parser.add_argument("--size", type=int, default=512, help="px at which stills are made (default: 512)")
    parser.add_argument("--cell", type=int, default=150, help="px at which they are shown (default: 150)")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/contact_sheet.jpg")
    parser.add_argument("--columns", default="", help="only these columns, comma separated")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises WeightsError, OutputError; a photo without a usable face is left out and named in the report."""
    session = Session.load(args.method, args.device)
    chosen = [c.strip() for c in args.columns.split(",") if c.strip()] or list(COLUMNS)
    columns = {name: COLUMNS[name] for name in chosen if name in COLUMNS}
    rows: list[dict[str, Value]] = []
    pictures: list[list[np.ndarray]] = []
    for photo in args.photos or [ASTRONAUT]:
        name, image = read_portrait(photo)
        stills = [_still(session, image, args.method, sliders, args.size) for sliders in columns.values()]
        crop = session.prepare(_request(image, args.method, {}, args.size)).crop
        pictures.append([crop.image, *stills])
        rows.append({"photo": name, "face score": float(crop.analysis.face.sigmoid()), "warnings": len(crop.warnings)})
    path = save_sheet(pictures, ["photo", *columns], args.cell, Path(args.sheet))
    return Report("sheet", "Contact sheet", rows, f"Written to {path}.", {"size": args.size})


def read_portrait(photo: str) -> tuple[str, np.ndarray]:
    """A path, or "astronaut" -> its name and uint8 RGB [H W 3]. Raises PhotoError."""
    if photo == ASTRONAUT:
        from skimage import data

        return ASTRONAUT, np.ascontiguousarray(data.astronaut())
    return Path(photo).stem, media.read_photo(photo)


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
