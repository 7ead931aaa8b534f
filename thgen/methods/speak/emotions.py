"""Emotions by name, strength and mix: values of the method's own controls -> a change of the emotion code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from thgen.errors import ControlError
from thgen.methods.speak.declaration import NAME, OWN, STRENGTH, STRONGEST, mix_key
from thgen.schema import EMOTIONS

ROUNDING = 1e-6  # by which shares may add to more than 1


def shares(values: Mapping[str, Any]) -> dict[str, float]:
    """Values of the controls by key -> emotion -> its share, above 0 and together at most 1.

    The strength of the named one is clamped to STRONGEST. Raises ControlError for a mix of more than 1.
    """
    found, keys = dict[str, float](), list[str]()
    name = values.get(NAME, OWN)
    strength = min(max(float(values.get(STRENGTH, STRONGEST)), 0.0), STRONGEST)
    if name != OWN and strength:
        found[name] = strength
        keys.append(f"{NAME}={name} with {STRENGTH}={strength:g}")
    for emotion in EMOTIONS:
        if share := float(values.get(mix_key(emotion), 0.0)):
            found[emotion] = found.get(emotion, 0.0) + share
            keys.append(f"{mix_key(emotion)}={share:g}")
    total = sum(found.values())
    if total > 1 + ROUNDING:
        raise ControlError(f"The emotions add to {total:.2f} ({', '.join(keys)}); lower them to 1 or less in total.")
    return found


def change(chosen: Mapping[str, float], own: Tensor, centres: Tensor, seen: Tensor) -> Tensor:
    """sum of share * (centre of the emotion - own code), [1 D]: what a share of 1 turns into the centre.

    chosen: of `shares`. own [1 D]; centres [8 D] and seen [8] of `EmotionEncoder`. Raises ControlError for an emotion
    that the weights have never seen.
    """
    order = list(EMOTIONS)
    known = [name for name in order if seen[order.index(name)] > 0]
    if unseen := [name for name in chosen if name not in known]:
        raise ControlError(
            f"The weights were trained without the emotion {unseen[0]}; choose one of: {', '.join(known) or 'none'}."
        )
    offset = own.new_zeros(own.shape)
    for name, share in chosen.items():
        offset = offset + share * (centres[order.index(name)].to(own) - own)
    return offset
