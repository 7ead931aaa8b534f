"""Unseen people who speak, driven by their own clips. The voice drives its factors, the clip all others.

The table compares the methods. The first frame is the photo. Rows: the photo, unchanged; each method; the true
frames (the errors of the measures).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch

from thgen.evaluation.metrics import motion
from thgen.evaluation.metrics.features import face_features, frechet_distance
from thgen.evaluation.metrics.readings import in_crop, read_at
from thgen.evaluation.metrics.statistics import correlation, finite_mean
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.speakers import Talk, talks
from thgen.evaluation.subject import Subject, load, without_idle
from thgen.face.observe import Observer
from thgen.nn.coefficients import pick
from thgen.pipeline import available_methods, targets
from thgen.schema import EXPRESSION_COEFFICIENTS, FPS
from thgen.synth.head.facekit import HeadMesh
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice import speech

EVERY = 3  # every third frame is measured
COPY, TRUE = "copy the source", "the true frames"


def self_driven(subject: Subject, talk: Talk, held: tuple[str, ...] = ()) -> np.ndarray:
    """Every EVERY-th frame of the method's result, uint8 [N S S 3].

    held: factors that keep their value of the first frame. PD-FGC's paper holds the expression: if it is separate from
    the lips, the lips stay correct without it.
    """
    frames = len(talk.clip.frames)
    identity = subject.photo(talk.clip.frames[0])
    voice = subject.method.encode_audio(talk.voice, frames)
    driven = subject.clip(talk.clip.frames) | voice
    driven |= {name: driven[name][:1].expand(frames, -1) for name in held}
    controls = without_idle(subject.method.declaration, "absolute")
    target = targets(subject.method, identity, controls, frames=frames, driven=driven, voiced=tuple(voice))
    return subject.pictures(identity, target, EVERY)


@dataclass
class Row:
    """The measures of one row over all people: numbers and features per frame, lip gaps (result, truth) per clip."""

    numbers: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    features: list[np.ndarray] = field(default_factory=list)
    lip_gaps: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, images: np.ndarray, talk: Talk, observer: Observer) -> None:
        """Measure images uint8 [N S S 3] against every EVERY-th frame of the clip."""
        chosen = np.arange(0, len(talk.clip.frames), EVERY)
        true, size = talk.clip.keypoints[chosen, :68], images.shape[1]
        observations = [read_at(observer, image, points) for image, points in zip(images, true, strict=True)]
        read = np.stack([in_crop(observation, size)[:68] for observation in observations])
        coefficients = torch.cat([observation.analysis.coefficients for observation in observations]).float()
        wanted = torch.from_numpy(talk.clip.coefficients[chosen]).float()
        shapes, true_shapes = (pick(c, EXPRESSION_COEFFICIENTS) for c in (coefficients, wanted))
        expression = 100 * (shapes - true_shapes).abs().mean(1)
        pose = torch.cat([observation.analysis.pose for observation in observations]).numpy()
        for t, frame in enumerate(chosen):
            one = slice(t, t + 1)
            angle = motion.pose_error(pose[one], talk.clip.pose[frame : frame + 1, :3]).mean()
            self.numbers["LMD %"].append(motion.landmark_distance(read[one], true[one]))
            self.numbers["LMD mouth %"].append(motion.mouth_distance(read[one], true[one]))
            self.numbers["pose °"].append(float(angle))
            self.numbers["expression %"].append(float(expression[t]))
        self.lip_gaps.append((motion.lip_gap(read), motion.lip_gap(true)))
        self.features.append(face_features(observer, images, true))

    def means(self, name: str, true: Row) -> dict[str, Value]:
        """The row of the table. true: the row of the true frames, from whose features FD counts."""
        # The photo's lips do not move. Its readings vary only because the analyser's square moves.
        together = [correlation(a, b) for a, b in self.lip_gaps] if name != COPY else []
        features, wanted = (np.concatenate(row.features) for row in (self, true))
        lips = finite_mean(together)
        return {
            "": name, "FD": frechet_distance(features, wanted),
            **{key: float(np.mean(values)) for key, values in self.numbers.items()},
            "lips r": lips if np.isfinite(lips) else None,
        }  # fmt: skip


def measure(
    subjects: list[Subject], observer: Observer, identities: int, frames: int, size: int, held: tuple[str, ...] = (),
    mesh: HeadMesh | None = None, voices: str = "espeak",
) -> Report:  # fmt: skip
    """One row per method, between the photo's and that of the true frames. Raises AssetError, ControlError."""
    for subject in subjects:
        for name in held:
            subject.method.declaration.factor(name)
    names = [COPY, *(subject.name for subject in subjects), TRUE]
    rows = {name: Row() for name in names}
    for talk in talks(identities, frames, size, mesh, voices):
        true = talk.clip.frames[::EVERY]
        rows[COPY].add(np.repeat(true[:1], len(true), 0), talk, observer)
        rows[TRUE].add(true, talk, observer)
        for subject in subjects:
            rows[subject.name].add(self_driven(subject, talk, held), talk, observer)
    name = "_".join(("talk", *(("held", *held) if held else ())))
    return Report(
        name, "People who speak, driven by themselves" + _but(held), [rows[n].means(n, rows[TRUE]) for n in names],
        f"{identities} unseen rendered people, {frames / FPS:.1f} s each, one frame of {EVERY} measured. The first "
        "frame is the photo. The voice drives the lips, the clip drives all else, by its values. FD: Fréchet distance "
        "to the true frames on features of our own analyser; no published FID can be compared with it. LMD: distance "
        "of 68 landmarks, % of the inter-ocular distance; LMD mouth: of the mouth's 20, after moving both mouths to "
        "one centre. Expression: mean error of its shapes, % of a full one. Lips r: correlation of the gap between the "
        "inner lips with the true one, per clip.",
        {"size": size, "held": ", ".join(held), "frames": identities * len(range(0, frames, EVERY)), "voices": voices},
        weights=tuple(dict.fromkeys(w for subject in subjects for w in subject.weights)),
    )  # fmt: skip


def _but(held: tuple[str, ...]) -> str:
    return f", {' and '.join(held)} held as in the first frame" if held else ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", default="", help="names, comma separated (default: all)")
    parser.add_argument("--identities", type=int, default=50, help="unseen people to render (default: 50)")
    parser.add_argument("--frames", type=int, default=60, help="of each clip (default: 60)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")
    parser.add_argument("--held", default="", help="factors that stay as in the first frame, comma separated")
    voice_sets.add_argument(parser, "who speaks")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, ControlError, MethodError, WeightsError."""
    names, held = ([n.strip() for n in text.split(",") if n.strip()] for text in (args.methods, args.held))
    speech.require(args.voices)
    subjects = load(names or available_methods(), args.device)
    return measure(subjects, subjects[0].observer, args.identities, args.frames, args.size, tuple(held),
                   voices=args.voices)  # fmt: skip
