"""Ablations of a method as data: one stage of its config, trained again with a few settings changed, for several seeds.

    ablations:
      stage: "3"
      seeds: [0, 1]
      variants: {<name>: {losses.ortho: 0}, ...}     # dotted keys, as of --set

Seeds tell a difference between variants from luck. Each run `<variant>-<seed>` lies beside the stages, from which it
starts as its stage does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from thgen.errors import TrainingError
from thgen.training.config import StageConfig, load_stage, read_config

KEYS = ("stage", "seeds", "variants")


def load_ablations(
    method: str, file: Path | None = None, overrides: Mapping[str, Any] | None = None, smoke: bool = False
) -> dict[str, StageConfig]:
    """Name of each run -> its config. overrides: for all of them, except what a variant sets. Raises TrainingError."""
    raw, where = read_config(method, file).get("ablations"), f"ablations of {method!r}"
    if raw is None:
        raise TrainingError(f"{method!r} has no ablations; change a setting with --set instead.")
    if not isinstance(raw, dict) or sorted(raw) != sorted(KEYS):
        raise TrainingError(f"The {where} must be a mapping with {', '.join(KEYS)}.")
    seeds, variants = raw["seeds"], raw["variants"]
    if not isinstance(variants, dict) or not all(isinstance(v, dict) for v in variants.values()):
        raise TrainingError(f"variants of the {where} must map a name to settings, not {variants!r}.")
    if not isinstance(seeds, list) or not all(isinstance(seed, int) for seed in seeds):
        raise TrainingError(f"seeds of the {where} must be a list of whole numbers, not {seeds!r}.")
    found = {}
    for variant, settings in variants.items():
        for seed in seeds:
            name = f"{variant}-{seed}"
            chosen = {**(overrides or {}), **settings, "seed": seed}
            found[name] = replace(load_stage(method, str(raw["stage"]), file, chosen, smoke), name=name)
    return found
