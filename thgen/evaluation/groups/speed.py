"""Speed of a method's own parts, and memory of the whole path. `evaluate benchmark` has seconds per second of video."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from thgen.evaluation import cost
from thgen.evaluation.groups.store import Arrays
from thgen.evaluation.report import Value, machine
from thgen.evaluation.scenes.crops import clip_crops, photo_crop
from thgen.evaluation.scenes.speakers import Talk
from thgen.evaluation.subject import Subject, without_idle
from thgen.face.observe import Observer
from thgen.pipeline import targets

T = TypeVar("T")
PEOPLE = 5  # on whom speed is measured
FRAMES = 8  # that are drawn and read: a window of the pipeline
REPEATS = 3  # of which the fastest counts, as other work on the machine only slows
MEMORY_SECONDS = 5.0  # of the video whose making shows the memory
REFERENCE = "rig"  # the method to which ratios refer
DRAWN, PHOTO, FRAME, MEMORY = "frames/s drawn", "ms per photo", "ms per clip frame", "peak MiB"
COLUMNS = (DRAWN, PHOTO, FRAME, MEMORY)
PROTOCOL = (
    f"The fastest of {REPEATS} tries for each person, median over people. Drawn: `decode` of {FRAMES} frames. Photo "
    "and clip frame: the method's own encoders, without the search for the face and its analysis. Peak: a process "
    f"that makes {MEMORY_SECONDS:g} s of video at 256 px, whole. The columns with × are ratios to the rig's row: they "
    "depend less on the machine."
)


def measure(row: str, subject: Subject | None, talk: Talk, observer: Observer) -> Arrays:
    """COLUMNS but MEMORY -> [1] for one person: the voice and the clip drive as in self_driving. row: for symmetry."""
    assert subject is not None, "there is no row without a method"
    method, clip = subject.method, talk.clip.frames[:FRAMES]
    photo = photo_crop(observer, clip[0])
    crops = list(clip_crops(observer, clip, method.declaration.clip_size))
    identity, read = best(lambda: method.encode_photos([photo]))
    driven, encoded = best(lambda: method.encode_clip(crops))
    target = targets(method, identity, without_idle(method.declaration, "absolute"), frames=len(clip), driven=driven)
    _, drawn = best(lambda: subject.pictures(identity, target))
    return {DRAWN: np.array([len(clip) / drawn]), PHOTO: np.array([1000 * read]),
            FRAME: np.array([1000 * encoded / len(clip)])}  # fmt: skip


def best(work: Callable[[], T]) -> tuple[T, float]:
    """The result of the work, and the shortest of REPEATS times in s. The first call may load things, so it is none of
    them."""
    result = work()
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return result, min(taken)


def peak_memory(method: str, device: str) -> Arrays:
    """MEMORY -> [1]: of a process that makes a video. Raises OutputError where it fails."""
    with tempfile.TemporaryDirectory(prefix="thgen-memory-") as folder:
        command = [
            sys.executable, "-m", "thgen", "generate", "--photo", str(cost.photo_file(Path(folder))), "--audio",
            str(cost.voice_file(Path(folder) / "voice.wav", MEMORY_SECONDS, None)), "--method", method, "--size", "256",
            "--device", device, "--out", f"{folder}/out.mp4",
        ]  # fmt: skip
        return {MEMORY: np.array([cost.measured(command, torch.get_num_threads()).peak])}


def place() -> str:
    """Where speed is measured, in words."""
    return f"{machine()}, {torch.get_num_threads()} threads"


def rows(results: Mapping[str, Sequence[Arrays]]) -> list[dict[str, Value]]:
    """A row of medians for each method, with ratios to the REFERENCE, None where that is not among them."""
    medians = {name: _medians(people) for name, people in results.items()}
    first = medians.get(REFERENCE)
    out: list[dict[str, Value]] = []
    for name, values in medians.items():
        ratios = {f"{c} × {REFERENCE}": value / first[c] if first else None for c, value in values.items()}
        out.append({"": name, **values, **ratios})
    return out


def _medians(people: Sequence[Arrays]) -> dict[str, float]:
    known = {c: [person[c] for person in people if c in person] for c in COLUMNS}
    return {column: float(np.median(np.concatenate(values))) for column, values in known.items() if values}
