"""How well the analyser reads faces that it never saw: landmarks, pose, gaze, lids, action units, face or not."""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np
import torch

from thgen.evaluation.metrics import motion
from thgen.evaluation.report import Report
from thgen.evaluation.scenes.conditions import CONDITIONS
from thgen.evaluation.scenes.held_out import held_out
from thgen.face.crop import ANALYSER, Square, landmark_square
from thgen.face.look import Look, Looker
from thgen.schema import ACTION_UNITS
from thgen.synth.head.facekit import HeadMesh

YAWS = (0, 15, 30)  # degrees; errors are told apart by how far the head is turned
SIZE = 320  # px of the renders; the analyser's own crop of them has about 250
PARTS = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--identities", type=int, default=60, help="unseen people to render (default: 60)")
    parser.add_argument("--frames", type=int, default=5, help="states of each (default: 5)")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, WeightsError."""
    from thgen.weights import hub

    device = torch.device(args.device)
    return measure(Looker(hub.load_network("analyser", device), device), args.identities, args.frames)


def measure(looker: Looker, identities: int, frames: int, mesh: HeadMesh | None = None) -> Report:
    """Reads each render as a photo is read: from a rough square, by two looks, then judges the third."""
    rng = np.random.default_rng(0)
    seen: dict[str, list[np.ndarray]] = {
        n: [] for n in ("keypoints", "pose", "gaze", "openness", "coefficients", "face")
    }
    true: dict[str, list[np.ndarray]] = {n: [] for n in ("keypoints", "pose", "gaze", "openness", "coefficients")}
    spoilt: dict[str, list[float]] = {n: [] for n in CONDITIONS}
    for person in held_out(identities, frames - 1, SIZE, SIZE // 4, drivers=False, mesh=mesh):
        clip = person.clip
        for t, image in enumerate(clip.frames):
            in_px = (clip.keypoints[t, :, :2] + 1) / 2 * SIZE
            square = landmark_square(in_px[:68], ANALYSER)
            dx, dy = rng.normal(0, 0.08, 2) * square.side
            rough = Square(square.x + dx, square.y + dy, square.side * float(np.exp(rng.normal(0, 0.12))))
            look = _settle(looker, image, rough)
            seen["keypoints"].append(_in_crop(look))
            for name, spoil in CONDITIONS.items():
                bad = _in_crop(_settle(looker, spoil(image, rng), rough))
                spoilt[name].append(motion.landmark_distance(bad[None, :68], clip.keypoints[t][None, :68]))
            for name in ("pose", "gaze", "openness", "coefficients"):
                seen[name].append(getattr(look.analysis, name)[0].numpy())
                true[name].append(getattr(clip, name)[t])
            seen["face"].append(np.array(look.score))
            true["keypoints"].append(clip.keypoints[t])
    return _report(
        {k: np.stack(v) for k, v in seen.items()}, {k: np.stack(v) for k, v in true.items()}, spoilt, identities
    )


def _settle(looker: Looker, image: np.ndarray, square: Square) -> Look:
    """The third look, each at the square that the one before it found."""
    for _ in range(3):
        look = looker.looks(image, [square])[0]
        square = look.next_square
    return look


def _in_crop(look: Look) -> np.ndarray:
    """Keypoints [K 3] with x and y in [-1, 1] of the picture."""
    return look.keypoints / SIZE * 2 - np.array([1, 1, 0])


def _report(
    seen: dict[str, np.ndarray], true: dict[str, np.ndarray], spoilt: dict[str, list[float]], identities: int
) -> Report:
    marks, truth = seen["keypoints"][:, :68], true["keypoints"][:, :68]
    rows: list[dict] = [_row("landmarks (68)", motion.landmark_distance(marks, truth), "% inter-ocular")]
    rows += [
        _row(f"… {n}", motion.landmark_distance(marks, truth, part), "% inter-ocular") for n, part in PARTS.items()
    ]
    turned = np.abs(true["pose"][:, 0])
    for low, high in pairwise((*YAWS, np.inf)):
        there = (turned >= low) & (turned < high)
        if there.any():
            name = f"… turned by {low}° to {high}°" if np.isfinite(high) else f"… turned by more than {low}°"
            rows.append(_row(name, motion.landmark_distance(marks[there], truth[there]), "% inter-ocular"))
    rows += [_row(f"… {n}", float(np.mean(errors)), "% inter-ocular") for n, errors in spoilt.items()]
    everything = np.linalg.norm(seen["keypoints"][..., :2] - true["keypoints"][..., :2], axis=-1).mean(1)
    rows.append(_row("all keypoints", float(100 * (everything / motion.inter_ocular(truth)).mean()), "% inter-ocular"))
    pose = motion.pose_error(seen["pose"], true["pose"][:, :3])
    rows += [_row(n, float(e), "°") for n, e in zip(("yaw", "pitch", "roll"), pose, strict=True)]
    opened = true["openness"] > 30  # the iris of a closed eye is not to be seen
    rows.append(_row("gaze, open eyes", motion.gaze_error(seen["gaze"][opened], true["gaze"][opened]), "°"))
    rows.append(
        _row("gaze, always straight ahead", motion.gaze_error(0 * true["gaze"][opened], true["gaze"][opened]), "°")
    )
    rows.append(_row("eye openness", motion.openness_error(seen["openness"], true["openness"]), "% points"))
    typical = np.broadcast_to(np.median(true["openness"]), true["openness"].shape)
    rows.append(_row("eye openness, always the median", motion.openness_error(typical, true["openness"]), "% points"))
    units = motion.action_unit_error(seen["coefficients"], true["coefficients"])
    rows.append(_row("action units, mean of 23", float(units.mean()), "0–5"))
    zero = motion.action_unit_error(0 * true["coefficients"], true["coefficients"])
    rows.append(_row("action units, always zero", float(zero.mean()), "0–5"))
    agreement = unit_correlation(seen["coefficients"], true["coefficients"])
    rows.append(_row("action units, correlation, mean of 23", _mean(agreement), "Pearson’s r"))
    for n, e in zip(ACTION_UNITS, units, strict=True):
        rows.append(_row(f"… AU{n} {ACTION_UNITS[n][0].lower()}", float(e), "0–5"))
    rows.append(_row("taken for a face", float(100 * (seen["face"] >= 0.5).mean()), "% of faces"))
    return Report(
        "analyser", "The analyser on held-out renders", rows,
        f"Mean absolute errors over {len(marks)} renders of {identities} people that no training saw, in independent "
        "states, each found from a square that is off by about 8 % in place and 12 % in size, by two looks.",
        {"size": SIZE},
    )  # fmt: skip


def unit_correlation(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pearson's r of each action unit over coefficients [N 57], [23]: most faces show few units, so a mean error says
    little. NaN for a unit that does not vary."""
    out = []
    for a, b in zip(motion.action_units(predicted).T, motion.action_units(true).T, strict=True):
        varies = a.std() > 1e-6 and b.std() > 1e-6
        out.append(float(np.corrcoef(a, b)[0, 1]) if varies else float("nan"))
    return np.array(out)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _row(what: str, value: float, unit: str) -> dict:
    return {"what": what, "error": round(value, 4), "unit": unit}
