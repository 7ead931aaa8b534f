"""How far a face moves that a slider tells to: as the analyser reads it, beside renders that moved just so.

What renders are read at is the analyser's own scale; what a result falls short of it is the generator's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import cv2
import numpy as np
import torch

from thgen import controls
from thgen.evaluation.metrics.appearance import psnr, region_mask
from thgen.evaluation.report import Report, Value
from thgen.evaluation.reports.variance import STILL, measured, shown
from thgen.evaluation.scenes.held_out import FIRST_IDENTITY
from thgen.face.look import Looker
from thgen.methods.base import Identity
from thgen.methods.rig.method import Rig
from thgen.nn.coefficients import place
from thgen.schema import BLINK_COEFFICIENTS, CONTROLS, FACTORS, Controls
from thgen.synth.clip import ClipSource
from thgen.synth.head.facekit import HeadMesh, load_facekit
from thgen.synth.head.model import BLINK_CLOSED, State
from thgen.weights import hub

# Slider -> values that a visitor would try.
ASKED: dict[str, tuple[float, ...]] = {
    "pose.yaw": (-20, 20), "pose.pitch": (-12, 12), "pose.roll": (-12, 12),
    "gaze.yaw": (-20, -10, 10, 20), "gaze.pitch": (-12, 12), "blink.openness": (50, 0),
}  # fmt: skip


def told(slider: str, value: float) -> State:
    """A face at rest that a slider moved."""
    factor, _, axis = slider.partition(".")
    still = State.neutral()
    if factor == "blink":
        closed = torch.full((1, len(BLINK_COEFFICIENTS)), BLINK_CLOSED * (1 - value / 100))
        return replace(still, coefficients=place(closed, BLINK_COEFFICIENTS)[0].numpy().astype(np.float32))
    moved = getattr(still, factor).copy()
    moved[..., FACTORS[factor].dims.index(axis)] = value
    return replace(still, **{factor: moved})


def asked_of(identity: Identity) -> dict[str, torch.Tensor]:
    """Target factors of a still without and with each slider, in the order of ASKED, each [1 + n D]."""
    settings = [Controls(live=STILL)]
    settings += [Controls({slider: v}, live=STILL) for slider, values in ASKED.items() for v in values]
    rows = [controls.apply(identity.own, {}, s, 0, 1) for s in settings]
    return {name: torch.cat([row[name] for row in rows]) for name in identity.own}


def measure(method: Rig, looker: Looker, identities: int, size: int, mesh: HeadMesh | None = None) -> Report:
    """One row for each value of each slider."""
    cv2.setNumThreads(1)
    source = ClipSource(mesh or load_facekit(), size, size, imaging=False)
    wanted = [(slider, value) for slider, values in ASKED.items() for value in values]
    found: dict[str, list[list[float]]] = {"renders": [], "drawn": [], "psnr": [], "copy": []}
    for i in range(identities):
        states = [State.neutral(), *(told(slider, value) for slider, value in wanted)]
        clip = source.clip(source.performer(FIRST_IDENTITY + i), states, np.random.default_rng((FIRST_IDENTITY, 9, i)))
        identity = method.encode_photo(clip.frames[0])
        made = shown(method, identity, asked_of(identity), every=1)
        landmarks = clip.keypoints[0, :68]
        for kind, frames in (("renders", clip.frames), ("drawn", made)):
            seen = measured(looker, frames, landmarks)
            found[kind].append([_read(seen, slider, 1 + k) for k, (slider, _) in enumerate(wanted)])
        mask = region_mask(landmarks, "eyes", size)
        true = clip.frames[1:]
        found["psnr"].append([psnr(frame, t, mask) for frame, t in zip(made[1:], true, strict=True)])
        found["copy"].append([psnr(clip.frames[0], t, mask) for t in true])
    means = {kind: np.mean(values, 0) for kind, values in found.items()}
    rows: list[dict[str, Value]] = []
    for k, (slider, value) in enumerate(wanted):
        rows.append({
            "slider": slider, "asked": f"{value:g} {CONTROLS[slider].unit}",
            "render, read": float(means["renders"][k]), "result, read": float(means["drawn"][k]),
            "PSNR eyes": float(means["psnr"][k]), "of the photo alone": float(means["copy"][k]),
        })  # fmt: skip
    return Report(
        "sliders", "Sliders: asked and seen", rows,
        f"{identities} unseen rendered people at rest, one slider at a time. Read: by the analyser, as a change from "
        "the neutral frame (openness: of the open eye). Renders moved exactly as asked, so theirs is the analyser's "
        "own scale. PSNR around the eyes, dB, against them.",
        {"size": size},
    )  # fmt: skip


def _read(seen: dict[str, np.ndarray], slider: str, frame: int) -> float:
    """The slider's quantity in a frame: a change from the first, in its unit."""
    factor, _, axis = slider.partition(".")
    if factor == "blink":
        return float(100 * (seen["blink"][frame] / seen["blink"][0]).mean())
    number = FACTORS[factor].dims.index(axis)
    return float(seen[factor][frame, number] - seen[factor][0, number])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--identities", type=int, default=12, help="unseen people to render (default: 12)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, WeightsError."""
    device = torch.device(args.device)
    looker = Looker(hub.load_network("analyser", device), device)
    return measure(Rig.load(device), looker, args.identities, args.size)
