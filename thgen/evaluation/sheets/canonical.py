"""A sheet of photos above the faces that a method makes of them without any motion: its canonical faces.

FC-TFG, figure 5: (a) photos of several people, (b) frames of one person, whose canonical faces should be one face.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from thgen.errors import ControlError
from thgen.evaluation.report import Report, Value
from thgen.evaluation.sheets.grid import ASTRONAUT, read_portrait, save_sheet
from thgen.evaluation.subject import networks_of, without_idle
from thgen.io.clip import read_clip
from thgen.methods import declaration_of
from thgen.methods.base import Identity, Method
from thgen.pipeline import Session, targets
from thgen.request import Request
from thgen.schema import FPS

SECONDS = 8  # of the clip, over which its frames are spread


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help=f"portraits, or {ASTRONAUT!r} (default: that one)")
    parser.add_argument("--clip", metavar="CLIP", help="frames of this clip, too, each as a photo")
    parser.add_argument("--frames", type=int, default=6, help="how many of them (default: 6)")
    parser.add_argument("--method", default="fc_tfg")
    parser.add_argument("--size", type=int, default=256, help="px at which faces are made (default: 256)")
    parser.add_argument("--cell", type=int, default=150, help="px at which they are shown (default: 150)")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/canonical_sheet.jpg")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises MethodError, WeightsError, ClipError, ControlError, PhotoError, FaceError, OutputError."""
    declared = declaration_of(args.method)
    if not declared.zero:
        raise ControlError(
            f"{args.method} has no canonical face; choose a method whose zero has a meaning: pd_fgc, fc_tfg."
        )
    session = Session.load(args.method, args.device)
    people = [read_portrait(photo) for photo in args.photos or [ASTRONAUT]]
    frames = spread(list(islice(read_clip(args.clip), SECONDS * FPS)), args.frames) if args.clip else []
    groups = [people, [(f"{Path(args.clip).stem} {k}", frame) for k, frame in enumerate(frames)] if frames else []]
    pictures: list[list[np.ndarray]] = []
    rows: list[dict[str, Value]] = []
    width = max(len(group) for group in groups)
    blank = np.full((args.size, args.size, 3), 255, np.uint8)
    for group in filter(None, groups):
        above, below = [], []
        for name, image in group:
            prepared = session.prepare(Request(photo=image, method=args.method, size=args.size, paste_back=False))
            above.append(prepared.crop.image)
            below.append(canonical(session.method, prepared.identity))
            changed = np.abs(below[-1].astype(float) - above[-1]).mean()
            rows.append({"photo": name, "changed": float(changed)})
        pictures += [line + [blank] * (width - len(line)) for line in (above, below)]
    path = save_sheet(pictures, [""] * width, args.cell, Path(args.sheet))
    note = (
        f"Written to {path}: photos, and below them their canonical faces. changed: mean difference of both, in levels "
        "of 255."
    )
    return Report(f"canonical_{args.method}", f"Method {args.method}, faces without motion", rows, note,
                  {"size": args.size}, weights=networks_of(declared))  # fmt: skip


def spread(frames: list[np.ndarray], count: int) -> list[np.ndarray]:
    """`count` of the frames, from the first to the last, or all of them if there are fewer."""
    return [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))]


@torch.inference_mode()
def canonical(method: Method, identity: Identity) -> np.ndarray:
    """The canonical face of a photo, uint8 [S S 3]: all factors at zero."""
    target = targets(method, identity, without_idle(method.declaration, undriven="zero"))
    return method.decode(identity, target.factors, target.sliders).images()[0]
