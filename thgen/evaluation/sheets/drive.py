"""A sheet of stills: each factor driven alone by a clip, and blends of two expressions.

The still of a factor shows the frame in which the factor is furthest from its median. The first row shows these frames
of the clip, unless the person in the clip must not be shown.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from thgen.declare import CLIP
from thgen.evaluation.report import Report, Value
from thgen.evaluation.sheets.grid import ASTRONAUT, read_portrait, save_sheet
from thgen.evaluation.subject import networks_of, without_idle
from thgen.io.clip import read_clip
from thgen.methods import declaration_of
from thgen.methods.base import Factors, Identity, Method
from thgen.pipeline import Session, targets
from thgen.plan import plan
from thgen.request import Request
from thgen.schema import FPS

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # blend between two expressions
SWEEP = (0.5, 1.0, 1.5, 2.0)  # strengths of each factor
SECONDS = 8  # of the driving clip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("driver", metavar="CLIP", help="driving clip")
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help=f"portraits, or {ASTRONAUT!r} (default: that one)")
    parser.add_argument("--method", default="rig")
    parser.add_argument("--size", type=int, default=512, help="px at which stills are made (default: 512)")
    parser.add_argument("--cell", type=int, default=150, help="px at which they are shown (default: 150)")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/drive_sheet.jpg")
    parser.add_argument("--hide-driver", action="store_true", help="leave out the row with frames of the clip")
    parser.add_argument("--sweep", action="store_true", help="each factor alone at several strengths, and nothing else")
    parser.add_argument("--device", default="cpu")


@dataclass(frozen=True)
class Still:
    """One column.

    driven, second: first and second sources, each of one frame or more; the still is frame `frame` of their video
    shown: frame of the driving clip in the first row; None if no single frame drives the still
    """

    label: str
    driven: Factors
    frame: int
    shown: int | None
    second: Factors | None = None
    blend: float = 0.0
    strength: float = 1.0


def run(args: argparse.Namespace) -> Report:
    """Raises MethodError, WeightsError, ClipError, PhotoError, FaceError, OutputError."""
    session = Session.load(args.method, args.device)
    frames = list(islice(read_clip(args.driver), SECONDS * FPS))
    portraits = [read_portrait(photo) for photo in args.photos or [ASTRONAUT]]
    requests = [_request(image, args) for _, image in portraits]
    driven = {name: track[: len(frames)] for name, track in plan(requests[0], session).driven.items()}
    columns = sweep_of(driven) if args.sweep else columns_of(driven, session.method)
    pictures: list[list[np.ndarray]] = []
    rows: list[dict[str, Value]] = []
    for (name, _), request in zip(portraits, requests, strict=True):
        prepared = session.prepare(request)
        stills = [picture(session.method, prepared.identity, column) for column in columns]
        pictures.append([prepared.crop.image, *stills])
        changed = [float(np.abs(still.astype(float) - prepared.crop.image).mean()) for still in stills]
        rows.append({"photo": name, **{c.label: value for c, value in zip(columns, changed, strict=True)}})
    if not args.hide_driver:
        pictures.insert(0, _driver_row(session, frames, [None, *(c.shown for c in columns)], pictures[0][0].shape[0]))
    path = save_sheet(pictures, ["photo", *(c.label for c in columns)], args.cell, Path(args.sheet))
    note = f"Written to {path}. Mean difference of each still from the photo, in levels of 255."
    name = "_".join(("drives", args.method, *(("sweep",) if args.sweep else ())))
    return Report(name, f"Method {args.method}, each factor driven alone", rows, note, {"size": args.size},
                  weights=networks_of(session.method.declaration))  # fmt: skip


def _request(image: np.ndarray, args: argparse.Namespace) -> Request:
    method = declaration_of(args.method)
    drivers = {factor.name: args.driver for factor in method.factors if CLIP in factor.sources}
    return Request(photo=image, drivers=drivers, method=args.method, size=args.size, paste_back=False)


def furthest(track: torch.Tensor) -> int:
    """The frame of a track [N D] that is furthest from its median."""
    return int((track - track.median(0).values).norm(dim=1).argmax())


def most_different(track: torch.Tensor) -> tuple[int, int]:
    """The two frames of a track [N D] that differ most."""
    where = torch.cdist(track.float(), track.float()).argmax()
    return divmod(int(where), len(track))


def columns_of(driven: Factors, method: Method) -> list[Still]:
    """Each factor alone, all at the frame of the pose (without a pose, of the first factor), and blends at STEPS of
    factors with two sources."""
    moments = {name: furthest(track) for name, track in driven.items()}
    out = [Still(name, {name: track}, moments[name], moments[name]) for name, track in driven.items()]
    together = moments.get("pose", next(iter(moments.values())))
    out.append(Still("all", driven, together, together))
    for name in (n for n in driven if method.declaration.factor(n).blends):
        first, second = most_different(driven[name])
        sources = [{name: driven[name][k : k + 1]} for k in (first, second)]
        ends = {STEPS[0]: first, STEPS[-1]: second}
        out += [Still(f"t {t:g}", sources[0], 0, ends.get(t), sources[1], blend=t) for t in STEPS]
    return out


def sweep_of(driven: Factors) -> list[Still]:
    """Each factor alone at each strength of SWEEP."""
    moments = {name: furthest(track) for name, track in driven.items()}
    return [
        Still(f"{name} x{strength:g}", {name: track}, moments[name], moments[name], strength=strength)
        for name, track in driven.items()
        for strength in SWEEP
    ]


@torch.inference_mode()
def picture(method: Method, identity: Identity, still: Still) -> np.ndarray:
    """The still, uint8 [S S 3]; a driver's own values count."""
    controls = without_idle(
        method.declaration, "absolute", strength=dict.fromkeys(still.driven, still.strength),
        blend=dict.fromkeys(still.second or {}, still.blend),
    )  # fmt: skip
    whole = targets(method, identity, controls, frames=still.frame + 1, driven=still.driven, second=still.second)
    one = whole.part(still.frame, still.frame + 1)
    return method.decode(identity, one.factors, one.sliders).images()[0]


def _driver_row(session: Session, frames: list[np.ndarray], wanted: list[int | None], size: int) -> list[np.ndarray]:
    """The driver's face in each of the wanted frames; a blank picture where there is none."""
    found = session.finder.track(frames, session.method.declaration.clip_size)
    crops = [None if crop is None else crop.image for crop in found]
    blank = np.full((size, size, 3), 255, np.uint8)
    images = [None if k is None else crops[k] for k in wanted]
    return [blank if image is None else image for image in images]
