"""How well the analyser reads unseen faces: landmarks, pose, gaze, lids, action units, face or not."""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

from thgen.evaluation.metrics import motion
from thgen.evaluation.metrics.readings import in_crop, square_of
from thgen.evaluation.metrics.statistics import finite_mean
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.conditions import CONDITIONS
from thgen.evaluation.scenes.held_out import held_out
from thgen.evaluation.subject import load_observer
from thgen.face.crop import Square
from thgen.face.observe import Observation, Observer
from thgen.schema import ACTION_UNITS
from thgen.synth.head.facekit import HeadMesh

YAWS = (0, 15, 30)  # degrees: limits of the groups by yaw, for which landmark errors are also reported
SIZE = 320  # px of the renders; the analyser's own crop of them has about 250
OBSERVATIONS = 3  # number of passes; each uses the square around the landmarks of the pass before
PLACE_SPREAD, SIZE_SPREAD = 0.08, 0.12  # of the first square: standard deviations, of its side and as a logarithm
PARTS = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}
LANDMARK_UNIT, ANGLE, POINTS, INTENSITY = "% inter-ocular", "°", "% points", "0–5"
Arrays = dict[str, np.ndarray]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--identities", type=int, default=60, help="unseen people to render (default: 60)")
    parser.add_argument("--frames", type=int, default=5, help="states of each (default: 5)")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, WeightsError."""
    return measure(load_observer(args.device), args.identities, args.frames)


def measure(observer: Observer, identities: int, frames: int, mesh: HeadMesh | None = None) -> Report:
    """Analyse each render like a photo: start with a rough square, make OBSERVATIONS passes, and score the last one."""
    rng = np.random.default_rng(0)
    names = ("keypoints", "pose", "gaze", "openness", "coefficients")
    read: dict[str, list[np.ndarray]] = {name: [] for name in (*names, "face")}
    true: dict[str, list[np.ndarray]] = {name: [] for name in names}
    spoilt: dict[str, list[float]] = {name: [] for name in CONDITIONS}
    for person in held_out(identities, frames - 1, SIZE, SIZE // 4, drivers=False, mesh=mesh):
        clip = person.clip
        for t, image in enumerate(clip.frames):
            square = square_of(clip.keypoints[t], SIZE)
            dx, dy = rng.normal(0, PLACE_SPREAD, 2) * square.side
            rough = Square(square.x + dx, square.y + dy, square.side * float(np.exp(rng.normal(0, SIZE_SPREAD))))
            observation = _settled(observer, image, rough)
            read["keypoints"].append(in_crop(observation, SIZE))
            read["face"].append(np.array(observation.score))
            true["keypoints"].append(clip.keypoints[t])
            for name in names[1:]:
                read[name].append(getattr(observation.analysis, name)[0].numpy())
                true[name].append(getattr(clip, name)[t])
            for name, spoil in CONDITIONS.items():
                bad = in_crop(_settled(observer, spoil(image, rng), rough), SIZE)
                spoilt[name].append(motion.landmark_distance(bad[None, :68], clip.keypoints[t][None, :68]))
    return report_of(
        {k: np.stack(v) for k, v in read.items()}, {k: np.stack(v) for k, v in true.items()}, spoilt, identities
    )


def _settled(observer: Observer, image: np.ndarray, square: Square) -> Observation:
    """The last of OBSERVATIONS observations."""
    for _ in range(OBSERVATIONS):
        observation = observer.observe(image, [square])[0]
        square = observation.next_square
    return observation


def report_of(read: Arrays, true: Arrays, spoilt: dict[str, list[float]], identities: int) -> Report:
    """The table of N readings beside their truth; arrays [N ...] as in ClipTruth, `face` [N] in [0, 1]."""
    rows = _landmark_rows(read, true, spoilt) + _pose_rows(read, true) + _unit_rows(read, true)
    rows.append(_row("taken for a face", float(100 * (read["face"] >= 0.5).mean()), "% of faces"))
    return Report(
        "analyser", "The analyser on held-out renders", rows,
        f"Mean absolute errors over {len(true['pose'])} renders of {identities} people that no training used, in "
        f"independent states. The first square is off by {100 * PLACE_SPREAD:.0f} % of its side in place and by "
        f"{100 * SIZE_SPREAD:.0f} % in size (standard deviations); {OBSERVATIONS - 1} looks correct it.",
        {"size": SIZE}, weights=("analyser",),
    )  # fmt: skip


def _landmark_rows(read: Arrays, true: Arrays, spoilt: dict[str, list[float]]) -> list[dict[str, Value]]:
    marks, truth = read["keypoints"][:, :68], true["keypoints"][:, :68]
    errors = {"landmarks (68)": motion.landmark_distance(marks, truth)}
    errors |= {f"… {name}": motion.landmark_distance(marks, truth, part) for name, part in PARTS.items()}
    turned = np.abs(true["pose"][:, 0])
    for low, high in pairwise((*YAWS, np.inf)):
        chosen = (turned >= low) & (turned < high)
        if chosen.any():
            name = f"… turned by {low}° to {high}°" if np.isfinite(high) else f"… turned by more than {low}°"
            errors[name] = motion.landmark_distance(marks[chosen], truth[chosen])
    errors |= {f"… {name}": float(np.mean(values)) for name, values in spoilt.items()}
    everything = np.linalg.norm(read["keypoints"][..., :2] - true["keypoints"][..., :2], axis=-1).mean(1)
    errors["all keypoints"] = float(100 * (everything / motion.inter_ocular(truth)).mean())
    return [_row(name, error, LANDMARK_UNIT) for name, error in errors.items()]


def _pose_rows(read: Arrays, true: Arrays) -> list[dict[str, Value]]:
    """Rows of pose, gaze and lids. For gaze and lids also the error of a constant estimate."""
    pose = motion.pose_error(read["pose"], true["pose"][:, :3])
    rows = [_row(name, float(error), ANGLE) for name, error in zip(("yaw", "pitch", "roll"), pose, strict=True)]
    opened = true["openness"] > motion.OPEN_EYE
    gaze = true["gaze"][opened]
    rows.append(_row("gaze, open eyes", motion.gaze_error(read["gaze"][opened], gaze), ANGLE))
    rows.append(_row("gaze, always straight ahead", motion.gaze_error(0 * gaze, gaze), ANGLE))
    rows.append(_row("eye openness", motion.openness_error(read["openness"], true["openness"]), POINTS))
    typical = np.broadcast_to(np.median(true["openness"]), true["openness"].shape)
    rows.append(_row("eye openness, always the median", motion.openness_error(typical, true["openness"]), POINTS))
    return rows


def _unit_rows(read: Arrays, true: Arrays) -> list[dict[str, Value]]:
    """Action units: mean error beside that of zero, mean correlation, and the error of each unit."""
    errors = motion.action_unit_error(read["coefficients"], true["coefficients"])
    zero = motion.action_unit_error(0 * true["coefficients"], true["coefficients"])
    agreement = motion.action_unit_correlation(read["coefficients"], true["coefficients"])
    rows = [
        _row("action units, mean of 23", float(errors.mean()), INTENSITY),
        _row("action units, always zero", float(zero.mean()), INTENSITY),
        _row("action units, correlation, mean of 23", finite_mean(agreement), "Pearson’s r"),
    ]
    names = (f"… AU{unit} {about[0].lower()}" for unit, about in ACTION_UNITS.items())
    return rows + [_row(name, float(error), INTENSITY) for name, error in zip(names, errors, strict=True)]


def _row(what: str, value: float, unit: str) -> dict[str, Value]:
    return {"what": what, "error": round(value, 4), "unit": unit}
