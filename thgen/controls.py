"""Factors x Controls -> Factors: the target values of each frame, a pure function of the drivers and the sliders.

For a factor with a unit, in this order:
1. Driver. Motion "relative" adds the driver's change to the photo's own value; "absolute" takes the driver's values.
   The change is relative to the driver's rest (Factor.rest):
       lip, expression, gaze  a closed mouth, a neutral face, a look straight ahead: 0
       blink                  the open eye, 100 %; lids are scaled by driver / rest
       pose, latents          its start (median of the first 5 frames); for the pose of a still picture: 0
   Methods remove from these units what belongs to the driving person (methods.base.Method.encode_clip).
   The head's translation is always relative, because a driver's place in its own picture has no meaning in the photo.
2. Lips. The motion starts from a closed mouth. The more the photo's mouth is open, the more of its shape is removed, so
   that an open smile can speak and closes on b, m and p. A nearly closed mouth keeps its shape. Smile and cheeks are
   part of the expression and stay.
3. Strength. It scales the motion: 0 is the photo's own value, 1 the driver, 2 twice as far.
4. Idle motion (thgen.idle_motion). It moves a factor without a driver, unless it is off. Strength scales it too.
5. Two sources. The result is blended between those of the two sources; `Controls.blend` is the weight over time.
6. Offsets. The common sliders add degrees or shape weights (action units, emotions), or multiply the openness.
A latent of a method (no unit) has no limits, no offsets and no idle motion here. Strength interpolates from the photo's
own latent (0) to the driver's (1) and extrapolates beyond. If the method declares relative motion, the driver's change
is added to the photo's own latent. With "undriven: zero" the canonical position replaces the photo's own latent, with
or without a driver.
A driver that is shorter than the video plays forwards and backwards in turn, without a jump. A longer one is cut.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thgen import facs, idle_motion
from thgen.declare import Factor
from thgen.errors import ControlError
from thgen.methods.base import Factors
from thgen.schema import ACTION_UNITS, AU_MAX, EMOTIONS, FACTORS, FPS, SLIDERS, au_factor, stem_of
from thgen.settings import Controls

START_FRAMES = 5  # first frames of a driver whose median is its rest
# Shape weights that open a mouth. It counts as closed below the first limit, which is above the analyser's noise, and
# as open above the second.
OPENING = ("jawOpen", "mouthFunnel", "mouthLowerDown_L", "mouthLowerDown_R", "mouthUpperUp_L", "mouthUpperUp_R")
NEARLY_CLOSED, CLEARLY_OPEN = 0.08, 0.30


def targets(factors: Sequence[Factor], own: Factors, driven: Factors, controls: Controls, seed: int, frames: int, *,
            start: int = 0, voiced: Collection[str] = (), second: Factors | None = None) -> Factors:  # fmt: skip
    """Target values for frames [start, start + frames) of a video.

    factors: as the method declares them; those that `own` lacks are left out
    own:     the photo's values, each [1 D]
    driven:  values of the drivers, each [N D] at 25 fps, from the video's first frame on; not every factor has one
    voiced:  driven factors that come from a voice; their values are relative to the closed mouth
    second:  values of the second sources, each [N D]. The first source's result (or the photo's value) is blended with
             the second's; `controls.blend` is the weight over time
    Returns each factor as float32 [frames D]. Raises ControlError for a driver of a factor that the method lacks.
    """
    second = second or {}
    known = [factor for factor in factors if factor.name in own]
    names = {factor.name for factor in known}
    if unknown := [name for track in (driven, second) for name in track if name not in names]:
        raise ControlError(f"This method has no factor {unknown[0]!r}; it has {', '.join(own)}.")
    span = _Span(start, frames, seed)
    return {
        f.name: (_latent_target if f.latent else _unit_target)(
            f, own[f.name].float(), driven.get(f.name), second.get(f.name), controls, span, f.name in voiced)
        for f in known
    }  # fmt: skip


@dataclass(frozen=True)
class _Span:
    """Frames [start, start + count) of a video, and the seed of the idle motion."""

    start: int
    count: int
    seed: int


def _unit_target(factor: Factor, photo: torch.Tensor, track: torch.Tensor | None, second: torch.Tensor | None,
                 controls: Controls, at: _Span, voiced: bool) -> torch.Tensor:  # fmt: skip
    """Target of a factor with a unit. photo [1 D]; track and second [N D] or None. Returns [count D]."""
    base = photo.expand(at.count, -1)
    if track is not None:
        target = _driven(factor, photo, track.to(photo), controls, at, voiced)
    elif controls.is_idle(factor):
        target = _idle(factor.name, base, controls.gain(factor.name), at)
    else:
        target = base
    if second is not None:
        other = _driven(factor, photo, second.to(photo), controls, at, False)
        target = _blended(factor.name, target, other, controls, at)
    target = _offset(factor, target, controls)
    if not factor.limits:
        return target
    low, high = torch.tensor(factor.limits, dtype=torch.float32, device=base.device).T
    return torch.maximum(torch.minimum(target, torch.maximum(high, base)), torch.minimum(low, base))


def _latent_target(factor: Factor, photo: torch.Tensor, track: torch.Tensor | None, second: torch.Tensor | None,
                   controls: Controls, at: _Span, voiced: bool) -> torch.Tensor:  # fmt: skip
    """Target of a latent. photo [1 D]; track and second [N D] or None. Returns [count D]."""
    stays = controls.undriven == "stay" or not factor.zero
    rest = (photo if stays else torch.zeros_like(photo)).expand(at.count, -1)
    relative = factor.relative and controls.motion == "relative" and not voiced

    def toward(source: torch.Tensor | None) -> torch.Tensor:
        if source is None:
            return rest
        source = source.to(rest)
        window = _window(source, at)
        goal = photo + window - _rest(factor, source) if relative else window
        return rest + controls.gain(factor.name) * (goal - rest)

    return toward(track) if second is None else _blended(factor.name, toward(track), toward(second), controls, at)


def _blended(name: str, first: torch.Tensor, second: torch.Tensor, controls: Controls, at: _Span) -> torch.Tensor:
    """Blend of two results [count D]; the factor's path in `controls.blend` is the weight over time."""
    seconds, shares = zip(*controls.path(name), strict=True)
    now = np.arange(at.start, at.start + at.count) / FPS
    return torch.lerp(first, second, torch.from_numpy(np.interp(now, seconds, shares)).to(first)[:, None])


def _window(track: torch.Tensor, at: _Span) -> torch.Tensor:
    """A driver's values [N D] in the frames of a window, [count D]."""
    return track[loop_index(len(track), at.start, at.count).to(track.device)]


def loop_index(length: int, start: int, frames: int) -> torch.Tensor:
    """Frame numbers int64 [frames] of a driver with `length` frames, which plays forwards and backwards in turn."""
    period = max(2 * length - 2, 1)
    index = torch.arange(start, start + frames) % period
    return torch.minimum(index, period - index) if length > 1 else torch.zeros(frames, dtype=torch.int64)


def _driven(factor: Factor, photo: torch.Tensor, track: torch.Tensor, controls: Controls, at: _Span,
            voiced: bool) -> torch.Tensor:  # fmt: skip
    """The driver's result for one window, steps 1 to 3. photo [1 D], track [N D] -> [count D]."""
    name, window, gain = factor.name, _window(track, at), controls.gain(factor.name)
    absolute = (controls.motion == "absolute" or not factor.relative) and not voiced
    if name == "lip" and not absolute:
        return photo + min(gain, 1.0) * (_closed_mouth(photo) - photo) + gain * (window - _rest(factor, track))
    if name == "blink":
        target = window if absolute else photo * window / _rest(factor, track)
        return photo + gain * (target - photo)
    change = window - _rest(factor, track)
    if not absolute:
        return photo + gain * change
    target = window.clone()
    if name == "pose":
        target[:, 3:] = photo[:, 3:] + change[:, 3:]
    return photo + gain * (target - photo)


def _rest(factor: Factor, track: torch.Tensor) -> torch.Tensor:
    """The rest of a driver [N D], from which its change is counted, [1 D]; see the head of this file."""
    if factor.rest is not None:
        return torch.full_like(track[:1], factor.rest)
    if len(track) == 1 and not factor.latent:
        return torch.zeros_like(track)
    # contiguous: torch takes the median of expanded tensors wrongly
    return track[:START_FRAMES].contiguous().median(dim=0, keepdim=True).values


def _closed_mouth(photo: torch.Tensor) -> torch.Tensor:
    """The photo's own lips [1 D], scaled down to 0 the more the mouth is open."""
    names = FACTORS["lip"].dims
    opening = photo[:, [names.index(n) for n in OPENING]].amax()
    share = ((opening - NEARLY_CLOSED) / (CLEARLY_OPEN - NEARLY_CLOSED)).clamp(0, 1)
    return photo * (1 - share)


def _idle(name: str, base: torch.Tensor, gain: float, at: _Span) -> torch.Tensor:
    """The photo's own value [count D] with idle motion."""
    frames = at.seed, at.start, at.start + at.count
    if name == "blink":
        opened = torch.from_numpy(idle_motion.blinks(*frames)).to(base)
        return base * (1 + min(gain, 1.0) * (opened - 1))  # a lid cannot close further than closed
    track = torch.from_numpy({"gaze": idle_motion.saccades, "pose": idle_motion.idle_pose}[name](*frames)).to(base)
    return base + gain * track.repeat(1, base.shape[1] // track.shape[1])  # both eyes look to the same place


def _offset(factor: Factor, target: torch.Tensor, controls: Controls) -> torch.Tensor:
    """Target of one factor with the common sliders applied. Neutral sliders return `target` itself."""
    name, dims = factor.name, factor.dims
    if name == "blink":
        return target * (slider(controls, "blink.openness") / 100)
    if name in ("pose", "gaze"):
        keys = [f"{name}.{stem_of(entry)}" for entry in dims]
        steps = [slider(controls, key) if key in SLIDERS else 0.0 for key in keys]
        return target + torch.tensor(steps).to(target) if any(steps) else target
    weights = au_weights(name, controls) if name in ("lip", "expression") else []
    if not any(weights):
        return target
    added = torch.tensor(weights).to(target)
    # A slider raises a weight up to 1 and never lowers it, because the analyser may return a little more than 1.
    return torch.maximum(target, torch.where(added > 0, (target + added).clamp(max=1.0), target))


def slider(controls: Controls, key: str) -> float:
    """Value of a common slider; its neutral value if it is not set."""
    return float(controls.values.get(key, SLIDERS[key].neutral))


def au_weights(factor: str, controls: Controls) -> list[float]:
    """Shape weights, 0 or more, that emotions and action units add to the entries of `factor`."""
    intensity: dict[int, float] = {}
    for emotion, recipe in EMOTIONS.items():
        amount = slider(controls, f"expression.{emotion}") if recipe else 0.0
        for au, value in recipe.items():
            intensity[au] = intensity.get(au, 0.0) + amount * value
    for au in ACTION_UNITS:
        if f"au.{au}" in SLIDERS:
            intensity[au] = intensity.get(au, 0.0) + slider(controls, f"au.{au}")
    own = {au: value for au, value in intensity.items() if value and au_factor(au) == factor}
    weights = dict.fromkeys(FACTORS[factor].dims, 0.0)
    for au, value in own.items():
        for name in facs.unit_coefficients(au):
            if name in weights:
                weights[name] += value / AU_MAX
    return list(weights.values())
