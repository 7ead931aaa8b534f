"""People who speak, driven by their own clip and voice: pictures, landmarks, lips and pose against the true frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from thgen.evaluation.groups.store import Arrays
from thgen.evaluation.metrics import motion
from thgen.evaluation.metrics.appearance import MS_SSIM_SIDE, ms_ssim, psnr, ssim
from thgen.evaluation.metrics.features import face_features, frechet_distance
from thgen.evaluation.metrics.readings import in_crop, read_at
from thgen.evaluation.metrics.statistics import correlation, finite_mean
from thgen.evaluation.report import Value
from thgen.evaluation.scenes.speakers import Talk
from thgen.evaluation.subject import Subject, without_idle
from thgen.face.observe import Observer
from thgen.nn.coefficients import pick
from thgen.pipeline import targets
from thgen.schema import EXPRESSION_COEFFICIENTS

EVERY = 3  # every third frame is measured, without frame 0, which is the photo
COPY, TRUE = "copy the source", "the true frames"  # rows of no method: the photo held still; the errors of the measures
LIPS, FEATURES, DISTANCE = "lips r", "features", "FD"
# Measures of each frame, in the order of the columns; the names state the units.
FRAMES = ("SSIM", "MS-SSIM", "PSNR dB", "LMD px", "LMD %", "LMD mouth px", "LMD mouth %", "pose °", "expression %")
PROTOCOL = (
    f"One frame of {EVERY} is measured. The first frame is the photo. The voice drives the lips, the clip drives all "
    "else, by its values. LMD: distance of 68 landmarks, in px and in % of the inter-ocular distance; LMD mouth: of "
    "the mouth's 20, after moving both mouths to one centre. Expression: mean error of its shapes, % of a full one. "
    "Lips r, which stands in for the scores of a SyncNet: correlation of the gap between the inner lips with the true "
    "one, per clip. FD: Fréchet distance to the true frames on features of our own analyser; no published FID can be "
    "compared with it. The analyser reads landmarks, pose, expression and lips in all rows."
)


def measured(frames: int) -> range:
    """The measured ones of so many frames."""
    return range(EVERY, frames, EVERY)


def self_driven(subject: Subject, talk: Talk, held: tuple[str, ...] = ()) -> np.ndarray:
    """The measured frames of the method's result, uint8 [N S S 3].

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
    return subject.pictures(identity, target.part(EVERY, frames), EVERY)


def measure(row: str, subject: Subject | None, talk: Talk, observer: Observer, held: tuple[str, ...] = ()) -> Arrays:
    """The `scores` of one person. row: a method's name with its subject, or COPY or TRUE without one."""
    if subject is not None:
        return scores(self_driven(subject, talk, held), talk, observer)
    true = talk.clip.frames[measured(len(talk.clip.frames))]
    if row == TRUE:
        return scores(true, talk, observer)
    # The photo's lips do not move. Its readings vary only because the analyser's square moves.
    return scores(np.repeat(talk.clip.frames[:1], len(true), 0), talk, observer) | {LIPS: np.array([np.nan])}


def scores(images: np.ndarray, talk: Talk, observer: Observer) -> Arrays:
    """Images uint8 [N S S 3] against the measured frames of the clip.

    FRAMES -> [N], NaN where it cannot be measured; LIPS -> [1]; FEATURES -> [N D].
    """
    chosen, size = measured(len(talk.clip.frames)), images.shape[1]
    frames, true = talk.clip.frames[chosen], talk.clip.keypoints[chosen, :68]
    observations = [read_at(observer, image, points) for image, points in zip(images, true, strict=True)]
    read = np.stack([in_crop(observation, size)[:68] for observation in observations])
    pose = torch.cat([observation.analysis.pose for observation in observations]).numpy()
    coefficients = torch.cat([observation.analysis.coefficients for observation in observations]).float()
    wanted = torch.from_numpy(talk.clip.coefficients[chosen]).float()
    shapes, true_shapes = (pick(c, EXPRESSION_COEFFICIENTS) for c in (coefficients, wanted))
    numbers: dict[str, list[float]] = defaultdict(list)
    for t, (image, frame) in enumerate(zip(images, frames, strict=True)):
        one = slice(t, t + 1)
        pair = read[one], true[one]
        numbers["SSIM"].append(ssim(image, frame))
        numbers["MS-SSIM"].append(ms_ssim(image, frame) if size >= MS_SSIM_SIDE else float("nan"))
        numbers["PSNR dB"].append(psnr(image, frame))
        numbers["LMD px"].append(motion.landmark_distance(*pair, size=size))
        numbers["LMD %"].append(motion.landmark_distance(*pair))
        numbers["LMD mouth px"].append(motion.mouth_distance(*pair, size=size))
        numbers["LMD mouth %"].append(motion.mouth_distance(*pair))
        numbers["pose °"].append(
            float(motion.pose_error(pose[one], talk.clip.pose[chosen[t] : chosen[t] + 1, :3]).mean())
        )
    return {
        **{name: np.array(values) for name, values in numbers.items()},
        "expression %": (100 * (shapes - true_shapes).abs().mean(1)).numpy().astype(np.float64),
        LIPS: np.array([correlation(motion.lip_gap(read), motion.lip_gap(true))]),
        FEATURES: face_features(observer, images, true),
    }


def rows(results: Mapping[str, Sequence[Arrays]]) -> list[dict[str, Value]]:
    """A row of means for each key of the results, whose values hold the `scores` of each person. TRUE must be there."""
    wanted = np.concatenate([person[FEATURES] for person in results[TRUE]])
    return [_row(name, people, wanted) for name, people in results.items()]


def _row(name: str, people: Sequence[Arrays], wanted: np.ndarray) -> dict[str, Value]:
    """wanted: features of the true frames [N D], from which FD counts."""
    lips = finite_mean(np.concatenate([person[LIPS] for person in people]))
    return {
        "": name,
        **{key: finite_mean(np.concatenate([person[key] for person in people])) for key in FRAMES},
        LIPS: lips if np.isfinite(lips) else None,
        DISTANCE: frechet_distance(np.concatenate([person[FEATURES] for person in people]), wanted),
    }
