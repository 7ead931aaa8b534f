"""Unseen people who speak, driven by themselves: lips by the voice, all else by the clip. Methods side by side.

The first frame is the photo. Rows: the photo as it is ("copy"), each method, the true frames (the measures' errors).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.linalg
import torch

from thgen import controls
from thgen.analyser.network import Analyser, to_input
from thgen.errors import ControlError
from thgen.evaluation.metrics import motion
from thgen.evaluation.report import Report, Value
from thgen.evaluation.reports.reenact import read
from thgen.evaluation.scenes.held_out import FIRST_IDENTITY, PARTNER, spoken
from thgen.face.crop import ANALYSER, ANALYSER_SIZE, landmark_square, sample_square
from thgen.face.look import Looker
from thgen.methods.base import Factors, Identity, Method
from thgen.nn.coefficients import pick
from thgen.schema import EXPRESSION_COEFFICIENTS, FACTORS, FPS, Controls
from thgen.synth.clip import ClipSource, ClipTruth
from thgen.synth.head.facekit import HeadMesh, load_facekit
from thgen.synth.motion import track_states
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice import speech

EVERY = 3  # of the frames are measured
COPY, TRUE = "copy the source", "the true frames"
SETTINGS = Controls(motion="absolute", live={"pose": False, "gaze": False, "blink": False})
UPPER, LOWER = (61, 62, 63), (67, 66, 65)  # landmarks of the inner lips


@dataclass(frozen=True)
class Talk:
    """One person's clip and what is said in it: float32 [L] at 16 kHz, as long as the clip."""

    clip: ClipTruth
    voice: np.ndarray


def talks(count: int, frames: int, size: int, mesh: HeadMesh | None = None, voices: str = "espeak") -> Iterator[Talk]:
    """Always the same ones of a set of voices (one of voice_sets.VOICE_SETS). Raises AssetError."""
    cv2.setNumThreads(1)
    source = ClipSource(mesh or load_facekit(), size, size, imaging=False)
    for i in range(count):
        rng = np.random.default_rng((FIRST_IDENTITY, 9, i))
        states, said, _ = track_states(rng, frames, voices)
        clip = source.clip(source.performer(FIRST_IDENTITY + 2 * PARTNER + i), states, rng)
        yield Talk(clip, spoken(said, frames))


def self_driven(method: Method, talk: Talk, held: tuple[str, ...] = ()) -> np.ndarray:
    """Every EVERY-th frame as the method makes it, uint8 [T S S 3]. held: factors that stay as the first frame has them
    (the paper holds the expression: what is told apart from the lips leaves them alone)."""
    identity = method.encode_photo(talk.clip.frames[0])
    tracks = method.encode_clip(list(talk.clip.frames))
    tracks |= method.encode_audio(talk.voice, len(talk.clip.frames))
    tracks |= {name: tracks[name][:1].expand(len(talk.clip.frames), -1) for name in held}
    target = targets(method, identity, tracks, len(talk.clip.frames))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(talk.clip.frames), 4 * EVERY):
            few = {name: values[start : start + 4 * EVERY : EVERY] for name, values in target.items()}
            parts.append(method.decode(identity, few).images())
    return np.concatenate(parts)


def targets(method: Method, identity: Identity, tracks: Factors, frames: int) -> Factors:
    """What the page would ask of the method with this clip in every place but the lips'."""
    return controls.targets(method.canonical, identity.own, tracks, SETTINGS, 0, frames, voiced=("lip",))


@dataclass
class Seen:
    """What one row's frames look like, over all people: numbers per frame, features per frame, openings per clip."""

    numbers: dict[str, list[float]]
    features: list[np.ndarray]
    openings: list[tuple[np.ndarray, np.ndarray]]

    def row(self, name: str, true: list[np.ndarray]) -> dict[str, Value]:
        """Means; FD of features against `true`."""
        # A photo does not move: what varies there is where the analyser looks.
        moving = self.openings if name != COPY else []
        together = [np.corrcoef(a, b)[0, 1] for a, b in moving if min(np.std(a), np.std(b)) > 0]
        return {
            "": name, "FD": frechet(np.concatenate(self.features), np.concatenate(true)),
            **{key: float(np.mean(values)) for key, values in self.numbers.items()},
            "lips r": float(np.mean(together)) if together else None,
        }  # fmt: skip


def opening(landmarks: np.ndarray) -> np.ndarray:
    """Mean gap between the inner lips of landmarks [T 68 2+], % of the inter-ocular distance, [T]."""
    gap = np.linalg.norm(landmarks[:, UPPER, :2] - landmarks[:, LOWER, :2], axis=-1).mean(1)
    return 100 * gap / motion.inter_ocular(landmarks)


def look_at(seen: Seen, images: np.ndarray, talk: Talk, looker: Looker) -> None:
    """Measure images uint8 [T S S 3] against every EVERY-th frame of the clip."""
    chosen = np.arange(0, len(talk.clip.frames), EVERY)
    true, size = talk.clip.keypoints[chosen, :68], images.shape[1]
    looks = [read(looker, image, where) for image, where in zip(images, true, strict=True)]
    found = np.stack([look.keypoints[:68] for look in looks]) / size * 2 - [1, 1, 0]
    # Each unit of expression against the truth, in % of its full shape; what moves is what counts.
    said = torch.cat([look.analysis.coefficients for look in looks]).float()
    wanted = torch.from_numpy(talk.clip.coefficients[chosen]).float()
    expression = 100 * (pick(said, EXPRESSION_COEFFICIENTS) - pick(wanted, EXPRESSION_COEFFICIENTS)).abs().mean(1)
    pose = torch.cat([look.analysis.pose for look in looks]).numpy()
    for t in range(len(chosen)):
        one = slice(t, t + 1)
        seen.numbers["LMD %"].append(motion.landmark_distance(found[one], true[one]))
        seen.numbers["LMD mouth %"].append(motion.mouth_distance(found[one], true[one]))
        seen.numbers["pose °"].append(float(motion.pose_error(pose[one], talk.clip.pose[chosen[one], :3]).mean()))
        seen.numbers["expression %"].append(float(expression[t]))
    seen.openings.append((opening(found), opening(true)))
    seen.features.append(features(looker, images, true))


@torch.inference_mode()
def features(looker: Looker, images: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """What the analyser's trunk makes of faces: means of its two coarsest maps, float64 [T D]."""
    squares = [landmark_square((where[:, :2] + 1) / 2 * images.shape[1], ANALYSER) for where in landmarks]
    views = np.stack([sample_square(i, s, ANALYSER_SIZE) for i, s in zip(images, squares, strict=True)])
    assert isinstance(looker.analyser, Analyser)
    maps = looker.analyser.features(to_input(torch.from_numpy(views)).to(looker.device))
    return torch.cat([m.float().mean((2, 3)) for m in maps[-2:]], 1).double().cpu().numpy()


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features [N D] taken for Gaussians (Heusel et al. 2017, eq. 6)."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second)
    gap = float(np.square(a.mean(0) - b.mean(0)).sum())
    return max(gap + float(np.trace(first + second - 2 * np.real(root))), 0.0)


def measure(
    methods: list[Method], looker: Looker, identities: int, frames: int, size: int, held: tuple[str, ...] = (),
    mesh: HeadMesh | None = None, voices: str = "espeak",
) -> Report:  # fmt: skip
    """The table: one row per method between those of the photo and of the true frames."""
    names = [COPY, *(method.name for method in methods), TRUE]
    rows = {name: Seen(defaultdict(list), [], []) for name in names}
    for talk in talks(identities, frames, size, mesh, voices):
        true = talk.clip.frames[::EVERY]
        look_at(rows[COPY], np.repeat(true[:1], len(true), 0), talk, looker)
        look_at(rows[TRUE], true, talk, looker)
        for method in methods:
            look_at(rows[method.name], self_driven(method, talk, held), talk, looker)
    return Report(
        "talk", "People who speak, driven by themselves", [rows[n].row(n, rows[TRUE].features) for n in names],
        f"{identities} unseen rendered people, {frames / FPS:.1f} s each, one frame of {EVERY} measured. The first "
        f"frame is the photo; lips follow the voice, all else the clip, absolutely{_but(held)}. FD: Fréchet distance "
        "to the true frames on the features of our own analyser, which no published FID compares with. LMD: 68 points, "
        "% of the inter-ocular distance; LMD mouth: its 20, moved to one centre. Expression: mean error of its shapes, "
        "% of a full one. Lips r: correlation of the inner lips' opening with the true one, per clip.",
        {"size": size, "held": ", ".join(held), "frames": identities * len(range(0, frames, EVERY)),
         "voices": voices},
    )  # fmt: skip


def _but(held: tuple[str, ...]) -> str:
    return f", but {' and '.join(held)}, held as the first frame has them" if held else ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", default="", help="names, comma separated (default: all)")
    parser.add_argument("--identities", type=int, default=50, help="unseen people to render (default: 50)")
    parser.add_argument("--frames", type=int, default=60, help="of each clip (default: 60)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")
    parser.add_argument("--held", default="", help="factors that stay as in the first frame, comma separated")
    voice_sets.add_argument(parser, "who speaks")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, MethodError, WeightsError."""
    from thgen.pipeline import available_methods, method_class
    from thgen.weights import hub

    device = torch.device(args.device)
    names, held = ([n.strip() for n in text.split(",") if n.strip()] for text in (args.methods, args.held))
    if wrong := [name for name in held if name not in FACTORS]:
        raise ControlError(f"There is no factor {wrong[0]!r}; choose one of: {', '.join(FACTORS)}.")
    speech.require(args.voices)
    looker = Looker(hub.load_network("analyser", device), device)
    methods = [method_class(name).load(device) for name in names or available_methods()]
    return measure(methods, looker, args.identities, args.frames, args.size, tuple(held), voices=args.voices)
