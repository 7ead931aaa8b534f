"""How far each factor moves when one of them is driven: PD-FGC's table VI (eq. I), for any method, against the truth.

Unseen rendered people are driven by others' performances, one factor at a time. The same people are also *rendered*
with that one factor taken from the performance: what the analyser sees vary there beside it is the analyser's fault.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from thgen import controls
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.held_out import FIRST_IDENTITY, PARTNER, spoken
from thgen.face.crop import ANALYSER, landmark_square
from thgen.face.look import Looker
from thgen.methods.base import Factors, Identity, Method
from thgen.methods.pd_fgc.equations import variance
from thgen.nn.coefficients import pick
from thgen.schema import (
    BLINK_COEFFICIENTS,
    COEFFICIENT_INDEX,
    EXPRESSION_COEFFICIENTS,
    FPS,
    LIP_COEFFICIENTS,
    OTHERS,
    Controls,
)
from thgen.synth.clip import ClipSource
from thgen.synth.head.facekit import HeadMesh, load_facekit
from thgen.synth.head.model import State
from thgen.synth.motion import track_states
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice import speech
from thgen.synth.voice.speech import Speech

FACTORS = ("lip", "pose", "blink", "gaze", "expression")
MEASURED = {"lip": "mouth", "pose": "head pose, °", "blink": "lids, %", "gaze": "gaze, °", "expression": "expression"}
STILL = {"pose": False, "gaze": False, "blink": False}
EVERY = 4  # of the result's frames are measured


@dataclass(frozen=True)
class Performance:
    """One unseen person to be driven. photo uint8 [S S 3]; landmarks [68 2+] of it in crop coordinates; driver frames
    uint8 [T S S 3] and speech of another; alone: factor -> the person rendered with that factor alone from the driver,
    every EVERY-th frame."""

    photo: np.ndarray
    landmarks: np.ndarray
    driver: np.ndarray
    speech: Speech
    alone: dict[str, np.ndarray]


def only(factor: str, still: State, moved: State) -> State:
    """`still` with one factor of `moved`."""
    if factor == "pose":
        return replace(still, pose=moved.pose)
    if factor == "gaze":
        return replace(still, gaze=moved.gaze)
    names = {"lip": LIP_COEFFICIENTS, "blink": BLINK_COEFFICIENTS, "expression": EXPRESSION_COEFFICIENTS}[factor]
    own = [COEFFICIENT_INDEX[name] for name in names]
    coefficients = still.coefficients.copy()
    coefficients[own] = moved.coefficients[own]
    return replace(still, coefficients=coefficients)


def performances(
    count: int, frames: int, size: int, mesh: HeadMesh | None = None, voices: str = "espeak"
) -> Iterator[Performance]:
    """Always the same ones of a set of voices (one of voice_sets.VOICE_SETS). Raises AssetError."""
    cv2.setNumThreads(1)
    source = ClipSource(mesh or load_facekit(), size, size, imaging=False)
    for i in range(count):
        rng = np.random.default_rng((FIRST_IDENTITY, 7, i))
        states, said, _ = track_states(rng, frames, voices)
        person = source.performer(FIRST_IDENTITY + i)
        still = State.neutral()
        seed = (FIRST_IDENTITY, 8, i)  # one camera for everything that is rendered of this person
        alone = {
            f: source.clip(person, [still, *(only(f, still, s) for s in states[::EVERY])], np.random.default_rng(seed))
            for f in FACTORS
        }
        driver = source.clip(source.performer(FIRST_IDENTITY + PARTNER + i), states, rng)
        first = alone["lip"]
        yield Performance(
            first.frames[0], first.keypoints[0, :68], driver.frames, said,
            {f: clip.frames[1:] for f, clip in alone.items()},
        )  # fmt: skip


def driven(method: Method, identity: Identity, factor: str, tracks: Factors, others: str) -> Factors:
    """Target factors of all frames when one of them is driven alone."""
    frames, chosen = len(tracks[factor]), {factor: tracks[factor]}
    settings = Controls(live=STILL, others=others)
    return controls.targets(method.canonical, identity.own, chosen, settings, 0, frames, voiced=("lip",))


def measured(looker: Looker, frames: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """What the analyser sees vary in frames uint8 [T S S 3], per factor [T D], looking where the photo's face is."""
    square = landmark_square((landmarks[:, :2] + 1) / 2 * frames.shape[1], ANALYSER)
    looks = [looker.looks(frame, [square])[0].analysis for frame in frames]
    coefficients = torch.cat([a.coefficients for a in looks])
    rows = {
        "lip": pick(coefficients, LIP_COEFFICIENTS), "pose": torch.cat([a.pose for a in looks]),
        "blink": torch.cat([a.openness for a in looks]), "gaze": torch.cat([a.gaze.mean(1) for a in looks]),
        "expression": pick(coefficients, EXPRESSION_COEFFICIENTS),
    }  # fmt: skip
    return {name: values.float().numpy() for name, values in rows.items()}


@torch.inference_mode()
def shown(method: Method, identity: Identity, target: Factors, every: int = EVERY) -> np.ndarray:
    """Every so manieth frame, uint8 [T S S 3]."""
    few = {name: values[::every] for name, values in target.items()}
    return method.decode(identity, few).images()


def measure(
    method: Method, looker: Looker, identities: int, frames: int, size: int, others: str, mesh: HeadMesh | None = None,
    voices: str = "espeak",
) -> Report:  # fmt: skip
    """Both tables, the method's and the renderer's."""
    found: dict[tuple[str, str, str], list[np.ndarray]] = defaultdict(list)
    for act in performances(identities, frames, size, mesh, voices):
        identity = method.encode_photo(act.photo)
        tracks = method.encode_clip(list(act.driver))
        tracks |= method.encode_audio(spoken(act.speech, frames), frames)
        for factor in FACTORS:
            results = {
                "method": shown(method, identity, driven(method, identity, factor, tracks, others)),
                "renders": act.alone[factor],
            }
            for kind, pictures in results.items():
                for name, values in measured(looker, pictures, act.landmarks).items():
                    found[kind, name, factor].append(values)
    rows = [row for kind in ("method", "renders") for row in _rows(found, kind, method.name)]
    return Report(
        f"variance_{method.name}", f"Method {method.name}: one factor driven, the others {others}", rows,
        f"{identities} unseen rendered people, each driven by {frames / FPS:.1f} s of another's performance (lips by "
        "the voice), one factor at a time. Eq. I of PD-FGC: mean distance of a factor, as the analyser sees it, from "
        "its mean over the clip. Rows compare only within themselves. Own : leak is the driven factor's entry over the "
        "largest of the others in its row. Renders: the same people rendered with that factor alone, which shows what "
        "the analyser itself mixes up.",
        {"size": size, "frames": identities * len(range(0, frames, EVERY)), "others": others, "voices": voices},
    )  # fmt: skip


def _rows(found: dict[tuple[str, str, str], list[np.ndarray]], kind: str, name: str) -> list[dict[str, Value]]:
    out: list[dict[str, Value]] = []
    for row in FACTORS:
        values = {f: variance(found[kind, row, f]) for f in FACTORS}
        leak = max(v for f, v in values.items() if f != row)
        label = f"{name if kind == 'method' else kind}: {MEASURED[row]}"
        out.append(
            {"": label, **{f"drives {f}": v for f, v in values.items()}, "own : leak": values[row] / max(leak, 1e-9)}
        )
    return out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", default="rig")
    parser.add_argument("--identities", type=int, default=12, help="unseen people to render (default: 12)")
    parser.add_argument("--frames", type=int, default=100, help="of each performance (default: 100)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")
    parser.add_argument("--others", choices=OTHERS, default="stay", help="what the other factors do (default: stay)")
    voice_sets.add_argument(parser, "who speaks")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, MethodError, WeightsError."""
    from thgen.pipeline import method_class
    from thgen.weights import hub

    speech.require(args.voices)
    device = torch.device(args.device)
    method = method_class(args.method).load(device)
    looker = Looker(hub.load_network("analyser", device), device)
    return measure(method, looker, args.identities, args.frames, args.size, args.others, voices=args.voices)
