"""A method under test: its inputs are cropped as in `thgen.face`, its targets come from `thgen.pipeline`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thgen.declare import Declaration
from thgen.evaluation.scenes.crops import clip_crops, photo_crop
from thgen.face.observe import Observer
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.pipeline import Session, Targets, targets
from thgen.settings import Controls

CHUNK = 4  # frames that are decoded at once
# Frames for which a clip of independent states holds each: wider than any smoothing of a clip, so that the middle one
# is the state itself.
HELD = 9
CLOSED = 30.0  # openness, %, below which the first state's eyes are no measure of the others'


def without_idle(
    method: Declaration,
    motion: str = "relative",
    undriven: str = "stay",
    values: Mapping[str, Any] | None = None,
    strength: Mapping[str, float] | None = None,
    blend: Mapping[str, Any] | None = None,
) -> Controls:
    """Controls without idle motion. Raises ControlError for controls that the method lacks.

    motion: "absolute" is possible for every method. A method without relative motion always moves so.
    """
    idle = {factor.name: False for factor in method.factors if factor.idle}
    motion = motion if method.relative else "relative"
    controls = Controls(
        values=values or {}, strength=strength or {}, idle=idle, blend=blend or {}, motion=motion, undriven=undriven
    )
    return controls.check(method)


def networks_of(method: Declaration) -> tuple[str, ...]:
    """Names of all networks that a measurement of the method runs, the analyser first."""
    return tuple(dict.fromkeys(("analyser", *method.weights)))


@dataclass(frozen=True)
class Subject:
    """A loaded method, and the analyser that crops its inputs and reads its results."""

    method: Method
    observer: Observer

    @property
    def name(self) -> str:
        return self.method.declaration.name

    @property
    def weights(self) -> tuple[str, ...]:
        return networks_of(self.method.declaration)

    def photo(self, image: np.ndarray) -> Identity:
        """A rendered frame uint8 [S S 3] as the person's photo."""
        return self.method.encode_photos([photo_crop(self.observer, image)])

    def clip(self, frames: np.ndarray) -> Factors:
        """Every factor that a clip can drive, each [T D], from rendered frames uint8 [T S S 3]."""
        size = self.method.declaration.clip_size
        return self.method.encode_clip(clip_crops(self.observer, frames, size))

    def latents(self, frames: np.ndarray) -> Factors:
        """Every latent of rendered frames uint8 [T S S 3], by name, each [T D]."""
        size = self.method.declaration.clip_size
        return self.method.latents(clip_crops(self.observer, frames, size))

    def states(self, frames: np.ndarray) -> Factors:
        """Every factor that a clip can drive, each [1 + T, D], of 1 + T independent frames, the first at rest.

        They are encoded as one clip that holds each frame for HELD frames and the first one as long as all others, so
        methods find their rest in the first frame.
        """
        size, rest = self.method.declaration.clip_size, HELD * max(1, len(frames) - 1)
        crops = list(clip_crops(self.observer, frames, size))
        held = [crops[0]] * rest + [crop for crop in crops[1:] for _ in range(HELD)]
        middle = [0, *range(rest + HELD // 2, len(held), HELD)]
        return {name: track[middle] for name, track in self.method.encode_clip(held).items()}

    def reenact(self, identity: Identity, states: Factors, motion: str) -> Targets:
        """Targets of T frames, driven by independent states [1 + T, D]. The first state is the driver at rest.

        Relative motion counts from it. The pipeline finds it in a driver's first frames, so it is repeated there; in
        factors with a declared rest the states are moved so that the first one is this rest.
        """
        driven = {name: torch.cat([track[:1].expand(HELD, -1), track[1:]]) for name, track in states.items()}
        for factor in self.method.declaration.factors:
            if motion == "relative" and factor.rest is not None and factor.name in driven:
                track = driven[factor.name]
                first = track[:1]
                counted = track * (factor.rest / first.clamp_min(CLOSED)) if factor.rest else track - first
                driven[factor.name] = counted
        frames = len(next(iter(driven.values())))
        controls = without_idle(self.method.declaration, motion)
        return targets(self.method, identity, controls, frames=frames, driven=driven).part(HELD, frames)

    def pictures(self, identity: Identity, target: Targets, every: int = 1) -> np.ndarray:
        """Every `every`-th frame of the targets, uint8 [N S S 3]."""
        return np.concatenate([part.images() for part in self._decoded(identity, _every(target, every))])

    def pictures_and_flow(self, identity: Identity, target: Targets, size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Frames uint8 [T S S 3], and their flow to the photo, float32 [T size size 2] in crop half-widths.

        The flow is None for a method without flow, see `Decoded`.
        """
        parts = list(self._decoded(identity, target))
        flows = [_resized(part.flow, size) for part in parts if part.flow is not None]
        return np.concatenate([part.images() for part in parts]), np.concatenate(flows) if flows else None

    def _decoded(self, identity: Identity, target: Targets) -> Iterator[Decoded]:
        """The decoded targets, CHUNK frames at a time."""
        for start in range(0, len(target), CHUNK):
            window = target.part(start, start + CHUNK)
            with torch.inference_mode():
                decoded = self.method.decode(identity, window.factors, window.sliders)
            yield decoded


def _resized(flow: Tensor, size: int) -> np.ndarray:
    """Flow [T 2 h w] in half-widths -> float32 [T size size 2]."""
    out = torch.nn.functional.interpolate(flow.float(), size=size, mode="bilinear", align_corners=False)
    return np.asarray(out.permute(0, 2, 3, 1).cpu().numpy())


def _every(target: Targets, step: int) -> Targets:
    """Every `step`-th frame of the targets."""
    sliders = target.sliders and {name: values[::step] for name, values in target.sliders.items()}
    return Targets({name: values[::step] for name, values in target.factors.items()}, sliders)


def add_arguments(parser: ArgumentParser, identities: int) -> None:
    """Flags of reports on one method and rendered people. identities: their number by default."""
    parser.add_argument("--method", default="rig")
    parser.add_argument(
        "--identities", type=int, default=identities, help=f"unseen people to render (default: {identities})"
    )
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")
    parser.add_argument("--device", default="cpu")


def load(names: list[str], device: str) -> list[Subject]:
    """Methods that share their networks, on one device. Raises MethodError, WeightsError, ControlError."""
    from thgen.weights import hub

    networks = hub.Networks(device)
    observer = Observer(networks.get("analyser"), networks.device)
    return [Subject(Session.load(name, networks=networks).method, observer) for name in names]


def load_observer(device: str) -> Observer:
    """The analyser alone. Raises WeightsError, ControlError."""
    from thgen.weights import hub

    networks = hub.Networks(device)
    return Observer(networks.get("analyser"), networks.device)
