"""A sheet of stills: each factor alone from a driving clip, and an expression on its way between two. To be looked at.

For each factor the clip's moment is taken that is furthest from its usual one; the first row shows these moments,
unless who is in the clip may not be shown.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from thgen import controls
from thgen.evaluation.report import Report, Value
from thgen.evaluation.sheets.contact import ASTRONAUT, LIVE_OFF, read_portrait, save_sheet
from thgen.io.clip import read_clip
from thgen.methods.base import Factors, Identity, Method
from thgen.pipeline import Session
from thgen.plan import CLIP_SIZE, plan
from thgen.request import Request
from thgen.schema import FACTORS, FPS, Controls

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # t between two expressions
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


def run(args: argparse.Namespace) -> Report:
    """Raises WeightsError, ClipError, PhotoError, FaceError, OutputError."""
    session = Session.load(args.method, args.device)
    frames = list(islice(read_clip(args.driver), SECONDS * FPS))
    pictures: list[list[np.ndarray]] = []
    rows: list[dict[str, Value]] = []
    shown: list[int | None] = []
    for photo in args.photos or [ASTRONAUT]:
        name, image = read_portrait(photo)
        request = Request(image, drivers=dict.fromkeys(session.method.factors, args.driver), method=args.method,
                          size=args.size, paste_back=False, controls=Controls(live=LIVE_OFF))  # fmt: skip
        work = plan(request, session)
        driven = {n: track[: len(frames)] for n, track in work.driven.items()}
        moments = {n: furthest(track) for n, track in driven.items()}
        if args.sweep:
            shown = [moments[n] for n in driven for _ in SWEEP]
            stills = swept(session.method, work.prepared.identity, driven, moments)
            labels = [f"{n} x{g:g}" for n in driven for g in SWEEP]
        else:
            shown = shown or moments_shown(driven, moments)
            stills = columns(session.method, work.prepared.identity, driven, moments)
            labels = [*driven, "all", *(f"t {t:g}" for t in STEPS)]
        pictures.append([work.prepared.crop.image, *stills])
        changed = [float(np.abs(s.astype(float) - work.prepared.crop.image).mean()) for s in stills]
        rows.append({"photo": name, **dict(zip(labels, changed, strict=True))})
    if not args.hide_driver:
        pictures.insert(0, _shown(session, frames, [None, *shown], pictures[0][0].shape[0]))
    path = save_sheet(pictures, ["photo", *list(rows[0])[1:]], args.cell, Path(args.sheet))
    note = f"Written to {path}. Mean difference of each still from the photo, in levels of 255."
    return Report("drives", f"Method {args.method}, each factor driven alone", rows, note, {"size": args.size})


def furthest(track: torch.Tensor) -> int:
    """The frame of a track [N D] that is furthest from its median."""
    return int((track - track.median(0).values).norm(dim=1).argmax())


def apart(track: torch.Tensor) -> tuple[int, int]:
    """Two frames of a track [N D] that are furthest from each other."""
    where = torch.cdist(track.float(), track.float()).argmax()
    return divmod(int(where), len(track))


def columns(method: Method, identity: Identity, driven: Factors, moments: dict[str, int]) -> list[np.ndarray]:
    """Stills uint8 [S S 3]: each factor alone at its moment, all at that of the pose, and what blends at STEPS."""
    out = [_still(method, identity, {n: driven[n]}, moments[n]) for n in driven]
    out.append(_still(method, identity, driven, moments.get("pose", 0)))
    for name in (n for n in driven if FACTORS[n].blends):
        first, second = (driven[name][k : k + 1] for k in apart(driven[name]))
        out += [_still(method, identity, {name: first}, 0, {name: second}, t) for t in STEPS]
    return out


def swept(method: Method, identity: Identity, driven: Factors, moments: dict[str, int]) -> list[np.ndarray]:
    """Stills uint8 [S S 3]: each factor alone at its moment, at each strength of SWEEP."""
    return [_still(method, identity, {n: driven[n]}, moments[n], strength=g) for n in driven for g in SWEEP]


@torch.inference_mode()
def _still(
    method: Method, identity: Identity, driven: Factors, frame: int, toward: Factors | None = None, t: float = 0.5,
    strength: float = 1.0,
) -> np.ndarray:  # fmt: skip
    blend = {name: t for name in toward or {}}
    settings = Controls(live=LIVE_OFF, motion="absolute", blend=blend, strength=dict.fromkeys(driven, strength))
    target = controls.targets(method.canonical, identity.own, driven, settings, 0, 1, start=frame, toward=toward)
    return method.decode(identity, target).images()[0]


def moments_shown(driven: Factors, moments: dict[str, int]) -> list[int | None]:
    """The driver's frame behind each of `columns`; None for mixtures."""
    out: list[int | None] = [*moments.values(), moments.get("pose", 0)]
    for name in (n for n in driven if FACTORS[n].blends):
        first, second = apart(driven[name])
        out += [first, *[None] * (len(STEPS) - 2), second]
    return out


def _shown(session: Session, frames: list[np.ndarray], wanted: list[int | None], size: int) -> list[np.ndarray]:
    """The driver's face in each of the wanted frames; blank where there is none."""
    crops = [crop.image if crop else None for crop in session.finder.track(frames, CLIP_SIZE)]
    blank = np.full((size, size, 3), 255, np.uint8)
    images = [None if k is None else crops[k] for k in wanted]
    return [blank if image is None else image for image in images]
