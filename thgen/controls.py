"""Factors x Controls -> Factors: what each frame shall show, as a pure function of the drivers and the sliders.

Per factor, in this order:
1. The *driver's change* is added to the photo's own value (motion "relative"), or the driver's values are taken as they
   are ("absolute"). The change is counted from the driver's rest:
       pose, gaze          its start (median of the first 5 frames)
       blink               its open eye (90th percentile); lids are scaled by driver / rest
       lip, expression     its resting face (10th percentile of each shape weight); from a voice: the closed mouth
   A still has no rest of its own: it is counted from a face at rest that looks straight ahead.
   The head's translation is always relative: where a driver sat in its own picture says nothing about the photo.
2. *Lips* start from a closed mouth: as far as the photo's own is open it fades out, so that an open smile speaks and
   still closes on b, m and p. An almost closed mouth keeps its own shape. Smile and cheeks belong to the expression and
   stay.
3. The *strength* scales all of this: 0 is the photo's own value, 1 the driver, 2 twice as far.
4. A factor that nothing drives *lives* (thgen.idle_motion), unless switched off; strength scales that too.
5. A factor with *two sources* lies between what either makes of the photo, along the path of `Controls.blend`.
6. *Offsets* of the sliders are added (degrees; action units and emotions as shape weights) or multiplied (openness).
Methods whose factors are *latents* of their own (no units) take a driver's values as they are: strength leads from the
photo's own latent (0) through the driver's (1) and beyond; "others: zero" puts the canonical position in the photo's
place, for driven factors and for those that nothing drives. Sliders and life, which have units, are added beside them.
A driver that is shorter than the video plays forwards and backwards in turn (no jump); a longer one is cut.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from thgen import idle_motion as live
from thgen.errors import ControlError
from thgen.methods.base import Factors
from thgen.schema import (
    ACTION_UNITS,
    AU_MAX,
    CONTROLS,
    EMOTIONS,
    FACTORS,
    FPS,
    Controls,
    au_factor,
)

START_FRAMES = 5
OPEN = 100.0  # % of the open eye
# Shape weights that tell how far a mouth is open, and up to where it still counts as closed (analyser noise and all).
OPENING = ("jawOpen", "mouthFunnel", "mouthLowerDown_L", "mouthLowerDown_R", "mouthUpperUp_L", "mouthUpperUp_R")
NEARLY_CLOSED, CLEARLY_OPEN = 0.08, 0.30
# What no driver and no slider may exceed, per factor: (low, high) per entry. The photo's own value is always allowed.
LIMITS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "pose": ((-60, -45, -45, -1, -1, -1), (60, 45, 45, 1, 1, 1)),
    "gaze": ((-40, -35), (40, 35)),
    "blink": ((0, 0), (140, 140)),
    "lip": ((0,) * FACTORS["lip"].size, (1,) * FACTORS["lip"].size),
    "expression": ((0,) * FACTORS["expression"].size, (1,) * FACTORS["expression"].size),
}


def apply(own: Factors, driven: Factors, controls: Controls, seed: int, frames: int, *, start: int = 0,
          voiced: Collection[str] = (), toward: Factors | None = None) -> Factors:  # fmt: skip
    """Target values for frames [start, start + frames) of a video.

    own:    the photo's values, each [1 D]; the result has the same factors
    driven: a subset, each [N D] at 25 fps from the video's first frame on
    voiced: the driven factors that came from a voice, whose values count from the closed mouth
    toward: second sources, [N D]: what the first makes of the photo (itself, where there is none) is led towards what
            they make of it, as far as `controls.blend` says
    Returns each factor as float32 [frames D]. Raises ControlError for a driver of a factor that the method lacks.
    """
    _known(own, driven, toward or {})
    result: Factors = {}
    for name, photo in own.items():
        base = photo.float().expand(frames, -1)
        if name in driven:
            target = _driven(name, photo.float(), driven[name].to(photo), controls, start, frames, name in voiced)
        elif controls.is_live(name):
            target = _live(name, base, controls.gain(name), seed, start, frames)
        else:
            target = base
        if toward and name in toward:
            second = _driven(name, photo.float(), toward[name].to(photo), controls, start, frames, False)
            target = _between(name, target, second, controls, start)
        target = _offset(name, target, controls)
        low, high = (torch.as_tensor(limit, dtype=torch.float32, device=base.device) for limit in LIMITS[name])
        result[name] = torch.maximum(torch.minimum(target, torch.maximum(high, base)), torch.minimum(low, base))
    return result


def apply_latents(own: Factors, driven: Factors, controls: Controls, frames: int, *, start: int = 0,
                  toward: Factors | None = None) -> Factors:  # fmt: skip
    """Target latents for frames [start, start + frames); own, driven, toward and errors as of `apply`.

    own: the photo's latents, each [1 D]; driven: a subset, each [N D]. Returns each as float32 [frames D].
    """
    _known(own, driven, toward or {})
    result: Factors = {}
    for name, photo in own.items():
        rest = (photo.float() if controls.others == "stay" else torch.zeros_like(photo.float())).expand(frames, -1)
        led = [
            rest + controls.gain(name) * (_window(tracks[name].to(rest), start, frames) - rest)
            if name in tracks else rest for tracks in (driven, toward or {})
        ]  # fmt: skip
        between = toward is not None and name in toward
        result[name] = _between(name, led[0], led[1], controls, start) if between else led[0]
    return result


def targets(latents: bool, own: Factors, driven: Factors, controls: Controls, seed: int, frames: int, *, start: int = 0,
            voiced: Collection[str] = (), toward: Factors | None = None) -> Factors:  # fmt: skip
    """`apply`, or `apply_latents` for methods whose factors are latents (`Method.canonical`)."""
    if latents:
        return apply_latents(own, driven, controls, frames, start=start, toward=toward)
    return apply(own, driven, controls, seed, frames, start=start, voiced=voiced, toward=toward)


def _known(own: Factors, *tracks: Factors) -> None:
    unknown = [name for track in tracks for name in track if name not in own]
    if unknown:
        raise ControlError(f"This method has no factor {unknown[0]!r}; it has {', '.join(own)}.")


def _between(name: str, first: torch.Tensor, second: torch.Tensor, controls: Controls, start: int) -> torch.Tensor:
    """From one source to another [frames D], along the path of the factor's blend."""
    seconds, shares = zip(*controls.path(name), strict=True)
    now = np.arange(start, start + len(first)) / FPS
    return torch.lerp(first, second, torch.from_numpy(np.interp(now, seconds, shares)).to(first)[:, None])


def _window(track: torch.Tensor, start: int, frames: int) -> torch.Tensor:
    """A driver's values [N D] for frames [start, start + frames)."""
    return track[loop_index(len(track), start, frames).to(track.device)]


def loop_index(length: int, start: int, frames: int) -> torch.Tensor:
    """Frames of a driver of `length` frames for video frames [start, start + frames): there and back again, int64."""
    period = max(2 * length - 2, 1)
    index = torch.arange(start, start + frames) % period
    return torch.minimum(index, period - index) if length > 1 else torch.zeros(frames, dtype=torch.int64)


def _driven(name: str, photo: torch.Tensor, track: torch.Tensor, controls: Controls, start: int, frames: int,
            voiced: bool) -> torch.Tensor:  # fmt: skip
    """The driver's part for one window: photo [1 D], track [N D] -> [frames D]."""
    window = _window(track, start, frames)
    gain = controls.gain(name)
    absolute = controls.motion == "absolute" and not voiced
    if name == "lip" and not absolute:
        rest = torch.zeros_like(photo) if voiced else _rest(name, track)
        return photo + min(gain, 1.0) * (_closed_mouth(photo) - photo) + gain * (window - rest)
    if name == "blink":
        target = window if absolute else photo * window / _rest(name, track).clamp(min=1.0)
        return photo + gain * (target - photo)
    change = window - _rest(name, track)
    if not absolute:
        return photo + gain * change
    target = window.clone()
    if name == "pose":
        target[:, 3:] = photo[:, 3:] + change[:, 3:]
    return photo + gain * (target - photo)


def _rest(name: str, track: torch.Tensor) -> torch.Tensor:
    """The driver's own zero, [1 D]; see the head of this file."""
    if len(track) == 1:
        return torch.full_like(track, OPEN if name == "blink" else 0.0)
    if name in ("pose", "gaze"):
        return track[:START_FRAMES].median(dim=0, keepdim=True).values
    return torch.quantile(track.float(), 0.9 if name == "blink" else 0.1, dim=0, keepdim=True)


def _closed_mouth(photo: torch.Tensor) -> torch.Tensor:
    """The photo's own lips [1 D] with the opening taken out, as far as the mouth is open."""
    names = FACTORS["lip"].dims
    opening = photo[:, [names.index(n) for n in OPENING]].amax()
    share = ((opening - NEARLY_CLOSED) / (CLEARLY_OPEN - NEARLY_CLOSED)).clamp(0, 1)
    return photo * (1 - share)


def _live(name: str, base: torch.Tensor, gain: float, seed: int, start: int, frames: int) -> torch.Tensor:
    """The photo's own value [frames D] with life in it."""
    if name == "blink":
        opened = torch.from_numpy(live.blinks(seed, start, start + frames)).to(base)
        return base * (1 + min(gain, 1.0) * (opened - 1))  # a lid cannot close further than closed
    track = {"gaze": live.saccades, "pose": live.idle_pose}[name](seed, start, start + frames)
    return base + gain * torch.from_numpy(track).to(base)


def _offset(name: str, target: torch.Tensor, controls: Controls) -> torch.Tensor:
    """What the sliders add to one factor; neutral sliders return `target` itself."""
    dims = FACTORS[name].dims
    if name == "blink":
        return target * (controls.value("blink.openness") / 100)
    if name in ("pose", "gaze"):
        steps = [controls.value(f"{name}.{d}") if f"{name}.{d}" in CONTROLS else 0.0 for d in dims]
        return target + torch.tensor(steps).to(target) if any(steps) else target
    weights = au_weights(name, controls)
    if not any(weights):
        return target
    added = torch.tensor(weights).to(target)
    # a slider fills up to the full shape and never takes away: an analyser may already see a little more than 1
    return torch.maximum(target, torch.where(added > 0, (target + added).clamp(max=1.0), target))


def au_weights(factor: str, controls: Controls) -> list[float]:
    """Shape weights that emotions and action units add to the entries of `factor`, each in [0, ...)."""
    intensity: dict[int, float] = {}
    for emotion, recipe in EMOTIONS.items():
        amount = controls.value(f"expression.{emotion}") if recipe else 0.0
        for au, value in recipe.items():
            intensity[au] = intensity.get(au, 0.0) + amount * value
    for au in ACTION_UNITS:
        if f"au.{au}" in CONTROLS:
            intensity[au] = intensity.get(au, 0.0) + controls.value(f"au.{au}")
    weights = dict.fromkeys(FACTORS[factor].dims, 0.0)
    for au, value in intensity.items():
        if value and au_factor(au) == factor:
            for stem in ACTION_UNITS[au][1]:
                for name in (stem, f"{stem}_L", f"{stem}_R"):
                    if name in weights:
                        weights[name] += value / AU_MAX
    return list(weights.values())
