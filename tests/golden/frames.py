"""Golden frames of the bundled weights: how they are made, and how far another one may be from them.

`python -m tests.golden` writes the files beside this one; tests/test_golden.py compares. Write them again only when the
weights, the examples or the intended picture changed, and look at every file before it is committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
import torch
from PIL import Image

import thgen
from thgen.methods import declaration_of
from thgen.schema import SAMPLE_RATE

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = Path(__file__).parent
METHODS = ("rig", "pd_fgc", "fc_tfg")
# The face in the examples' portraits, px: left, upper, right, lower. Four of its pixels by four become one.
FACE, SIDE = (128, 216, 640, 728), 128
VOICE = "voice_1.wav"
SAID_FROM, SAID = 0.5, 0.64  # s: where the first word of VOICE begins, and how long it lasts
# Mean difference, levels of 255: a frame of another machine is nearer than this. Measured on the six frames: at most
# 0.009 with another number of threads, 0.034 with the instructions of a processor without AVX. Noise of 1 % of the
# standard deviation on all weights makes 0.19 to 0.85; 30 % on the least of the networks alone makes 0.12 to 0.23.
TOLERANCE = 0.08
SLIDERS = {"pose.yaw": 12.0, "gaze.yaw": -10.0, "blink.openness": 60.0, "au.12": 3.0}


@dataclass(frozen=True)
class Case:
    """One frame of a short video, by its number. In frame 10 the mouth is open, in frame 2 it is still shut."""

    portrait: str
    frame: int
    controls: dict[str, float] = field(default_factory=dict)


CASES = {
    "voice": Case("portrait_1.png", 10),
    "sliders": Case("portrait_2.png", 2, SLIDERS),
    "both": Case("portrait_3.png", 10, SLIDERS),
}


def cases_of(method: str) -> list[str]:
    """Those cases whose controls the method has."""
    known = {control.key for control in declaration_of(method).controls}
    return [name for name, case in CASES.items() if known.issuperset(case.controls)]


def golden(method: str, case: str) -> Path:
    return FOLDER / f"{method}_{case}.png"


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def made(method: str, case: str, session: object) -> np.ndarray:
    """The face in the case's frame, uint8 [SIDE SIDE 3]. session: from `thgen.load`."""
    chosen = CASES[case]
    samples, _ = soundfile.read(EXAMPLES / VOICE, start=round(SAID_FROM * SAMPLE_RATE),
                                frames=round(SAID * SAMPLE_RATE), dtype="float32")  # fmt: skip
    windows = thgen.generate(
        EXAMPLES / chosen.portrait, samples, controls=chosen.controls, method=method, session=session
    )
    frames = (frame for window in windows for frame in window.frames)
    face = Image.fromarray(next(islice(frames, chosen.frame, None))).crop(FACE)
    return np.asarray(face.resize((SIDE, SIDE), Image.Resampling.BOX))


def networks(thing: object, seen: set[int] | None = None) -> Iterator[torch.nn.Module]:
    """Every outermost network that an object holds, in attributes, lists and dictionaries, however deep."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, torch.nn.Module):
        yield thing
    elif isinstance(thing, dict | list | tuple):
        for part in thing.values() if isinstance(thing, dict) else thing:
            yield from networks(part, seen)
    elif type(thing).__module__.partition(".")[0] == "thgen" and hasattr(thing, "__dict__"):
        yield from networks(vars(thing), seen)


@contextmanager
def perturbed(modules: list[torch.nn.Module], share: float) -> Iterator[None]:
    """Noise of `share` of each parameter's own standard deviation on all parameters, until the end of the block."""
    parameters = {id(p): p for module in modules for p in module.parameters() if p.is_floating_point()}
    before = [p.detach().clone() for p in parameters.values()]
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in parameters.values():
            spread = p.std() if p.numel() > 1 else p.abs().mean()
            p.add_(share * spread * torch.randn(p.shape, generator=random).to(p.device))
    try:
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(parameters.values(), before, strict=True):
                p.copy_(old)


def difference(frame: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of two pictures, levels of 255."""
    return float(np.abs(frame.astype(int) - other).mean())


def write() -> None:
    """Make all golden frames anew."""
    for method in METHODS:
        session = thgen.load(method, device="cpu")
        for case in cases_of(method):
            frame, path = made(method, case, session), golden(method, case)
            Image.fromarray(frame).save(path, optimize=True)
            print(f"{path}: {path.stat().st_size} bytes")
