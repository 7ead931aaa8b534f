"""A sheet of what the encoders of GC-AVT see of rendered frames: each input plain, and as the training changes it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from thgen.evaluation.report import Report, Value
from thgen.evaluation.sheets.grid import save_sheet
from thgen.face_parts.background import enlarged
from thgen.face_parts.mouth import LARGEST_TURN
from thgen.methods.gc_avt.inputs import SHIFT, Seen, content_input, expression_input, identity_input, pose_input
from thgen.synth.clip import HEADS, ClipSource, head_mesh
from thgen.synth.head import facekit as fk
from thgen.synth.motion import track_states
from thgen.training.data.pixelwise import Look, Transfer, colours_of, sample_look, transfer

SIZE = 256  # px of a frame
FRAMES = 40  # of the clip from which the frame is chosen
CELL = 144  # px of each picture of the sheet
LABELS = ["frame", "identity", "other moment", "expression", "content", "pose"]
OPENING = (62, 66)  # landmarks (Multi-PIE): inner edges of the lips


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, default=2, help="rendered people, a row each (default: 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--head", choices=list(HEADS), default="facekit")
    parser.add_argument("--sheet", metavar="OUT.jpg", default="out/gc_avt_inputs.jpg")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, OutputError. The first person has a second row: the same inputs as in training."""
    people = [clip_of(args.head, args.seed + number) for number in range(max(1, args.people))]
    chosen = [most_different(clip) for clip in people]
    first, at = people[0], chosen[0]
    lender = people[-1][0] if len(people) > 1 else first[0]
    change = transfer(colours_of(first[at].image, first[at].keep), colours_of(lender.image, lender.keep))
    pictures = [row_of(clip[t], clip[t + SHIFT]) for clip, t in zip(people, chosen, strict=True)]
    pictures.insert(1, row_of(first[at], first[at + SHIFT], np.random.default_rng(args.seed), change))
    path = save_sheet(pictures, LABELS, CELL, Path(args.sheet))
    rows: list[dict[str, Value]] = [{
        "person": number, "frame": t, "opening, % of the crop": opening(clip[t]),
        "of the other moment": opening(clip[t + SHIFT]), "covered, % of the crop": covered(clip[t]),
    } for number, (clip, t) in enumerate(zip(people, chosen, strict=True))]  # fmt: skip
    return Report("inputs", "Inputs of GC-AVT", rows, f"Drawn in {path}. The second row is as in training.")


def clip_of(head: str, seed: int) -> list[Seen]:
    """FRAMES frames of a rendered person who speaks."""
    rng = np.random.default_rng(seed)
    source = ClipSource(head_mesh(head), SIZE, SIZE // 2, imaging=False)
    states = track_states(rng, FRAMES)[0]
    clip = source.clip(source.performer(seed), states, rng)
    keep = clip.segmentation != fk.BACKGROUND
    rows = zip(clip.frames, clip.keypoints[:, :68, :2], keep, strict=True)
    return [Seen(image, points, enlarged(mask, SIZE)) for image, points, mask in rows]


def opening(seen: Seen) -> float:
    """Distance of the lips, % of the crop's side."""
    upper, lower = seen.landmarks[list(OPENING)]
    return 50 * float(np.linalg.norm(lower - upper))


def covered(seen: Seen) -> float:
    """What the pose input changes of the person without background, % of the crop's pixels."""
    return 100 * float((pose_input(seen) != identity_input(seen)).any(2).mean())


def most_different(clip: list[Seen]) -> int:
    """The frame whose mouth differs most from that of SHIFT frames later."""
    gaps = np.array([opening(seen) for seen in clip])
    return int(np.abs(gaps[SHIFT:] - gaps[:-SHIFT]).argmax())


def row_of(
    seen: Seen, other: Seen, rng: np.random.Generator | None = None, change: Transfer | None = None
) -> list[np.ndarray]:
    """The pictures of a row, in the order of LABELS. rng: of turns and looks, None = plain; change: of the colours."""

    def look() -> Look:
        return Look() if rng is None or change is None else sample_look(rng, change)

    turn = 0.0 if rng is None else LARGEST_TURN
    return [
        seen.image, identity_input(seen), other.image, expression_input(seen, other, turn, look()),
        content_input(seen, -turn, look()), pose_input(seen, look=look()),
    ]  # fmt: skip
