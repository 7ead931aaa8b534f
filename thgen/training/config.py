"""A training stage as data: thgen/methods/<method>/<preset>.yaml -> StageConfig, checked before anything is built.

    defaults: {...}                     # optional, shared by all stages of the file
    stages:
      <name>: {task: "package.module:Class", steps: 1000, batch_size: 8, lr: 1.0e-4, losses: {term: weight}, ...}

A stage may hold `smoke: {data.clips: 4}`: settings of `--smoke` (two steps on a few clips) beyond SMOKE below.
An ablation is a few settings: `--set losses.edges=0 --set lr=3e-4`. Named ones: `thgen.training.ablations`.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from thgen.errors import TrainingError

LOG = logging.getLogger(__name__)
METHODS_FOLDER = Path(__file__).resolve().parents[1] / "methods"
ONLY_CONFIG = "config"  # name of the file of a method without presets
PRECISIONS = ("bf16", "no")
# validate_every is 0 because a run validates at its end.
SMOKE = {"steps": 2, "batch_size": 2, "warmup": 0, "validate_every": 0} | dict.fromkeys(
    ("log_every", "image_every", "save_every"), 1
)
SCHEDULES = ("cosine", "linear", "constant", "constant_with_warmup", "polynomial")
# Old names of settings -> today's. The old ones still work, in a config file and with --set; each use is logged.
RENAMED = {
    "data.apart": "data.min_gap",
    "data.keep": "data.cached_views",
    "data.kept": "data.cache_folder",
    "data.seen": "data.lip_from_video_share",
    "losses.apart": "losses.eye_decorrelation",
    "losses.looks": "losses.gaze",
    "losses.plain": "losses.coefficient_l2",
    "losses.steady": "losses.swap_consistency",
}


@dataclass(frozen=True)
class LossWeight:
    """Weight of a loss term from step `start` on. Before that, and at weight 0, the term is logged and not trained."""

    weight: float
    start: int = 0

    def at(self, step: int) -> float:
        return self.weight if step >= self.start else 0.0


@dataclass(frozen=True)
class StageConfig:
    """Everything that decides what a stage computes. Two runs with equal configs take the same steps.

    lr:         one learning rate, or optimizer -> rate; "optimizer.module" -> rate of one of its modules
    schedule:   one of SCHEDULES (of diffusers), or {every, factor}: every `every` steps the rate is multiplied by
                `factor`
    warmup:     steps over which the rate rises from 0
    clip:       largest gradient norm per optimizer; 0 = no clipping
    ema:        decay of the averaged weights, which are validated and exported; 0 = no averages
    precision:  "bf16" = autocast in the losses (parameters stay float32), or "no"
    about:      the training data in words, for the manifest
    init:       what the modules start from. An earlier stage of this file: its averaged weights, by the names of the
                modules. Several stages, each later one with the modules that it gives ("2a + 2b:eye + 2c:pose").
                "bundled": the networks that this run exported last, or else the bundled ones
    losses:     term -> weight, or {weight, start}
    data, model: settings that the task declares and checks (training/settings.py)
    weights:    folder of this run's exports, in which bundled networks are looked for first; "" = none. No key of the
                file: the loop sets it
    *_every:    in steps; 0 = never. A checkpoint is always written at the end
    """

    method: str
    name: str
    task: str
    steps: int
    batch_size: int
    lr: float | dict[str, float]
    losses: dict[str, LossWeight]
    warmup: int = 0
    schedule: str | dict[str, float] = "cosine"
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.999
    precision: str = "bf16"
    channels_last: bool = True
    seed: int = 0
    workers: int = 0
    init: str = ""
    about: str = ""
    log_every: int = 50
    image_every: int = 500
    validate_every: int = 1000
    save_every: int = 1000
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    weights: str = ""

    def rate(self, optimizer: str) -> float:
        """Learning rate of an optimizer, or of "optimizer.module". Raises TrainingError if `lr` does not give it."""
        if not isinstance(self.lr, dict):
            return self.lr
        if optimizer not in self.lr and "." in optimizer:
            return self.rate(optimizer.partition(".")[0])
        if optimizer not in self.lr:
            raise TrainingError(
                f"{self.where}: lr names {', '.join(self.lr)} but not the optimizer {optimizer!r}; add it."
            )
        return self.lr[optimizer]

    @property
    def where(self) -> str:
        return f"Stage {self.name!r} of {self.method!r}"

    def to_dict(self) -> dict[str, Any]:
        """Plain types only (YAML, JSON)."""
        return {**asdict(self), "betas": list(self.betas)}


def config_files() -> dict[str, Path]:
    """Name of a config -> its file: "rig" is rig/config.yaml, "pd_fgc.compact" is pd_fgc/compact.yaml."""
    files = sorted(METHODS_FOLDER.glob("*/*.yaml"))
    return {p.parent.name if p.stem == ONLY_CONFIG else f"{p.parent.name}.{p.stem}": p for p in files}


def preset_of(method: str, preset: str = "") -> str:
    """Name of a method's config: "rig", or "pd_fgc.compact". preset: "" = the first in alphabetical order.

    Raises TrainingError for an unknown preset.
    """
    known = [name.partition(".")[2] for name in config_files() if name.startswith(f"{method}.")]
    if not preset:
        return f"{method}.{known[0]}" if known else method
    if preset not in known:
        choice = f"choose one of: {', '.join(known)}." if known else "leave --preset out."
        raise TrainingError(f"{method!r} has no preset {preset!r}; {choice}")
    return f"{method}.{preset}"


def read_config(method: str, file: Path | None = None) -> dict[str, Any]:
    """A method's config as its file has it. Raises TrainingError for a file without stages."""
    path = file or config_files().get(method)
    if path is None or not path.is_file():
        known = ", ".join(config_files())
        raise TrainingError(f"There is no training config {path or method}; there are: {known}.")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TrainingError(f"{path} is not valid YAML: {str(error).splitlines()[-1].strip()}.") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("stages"), dict) or not raw["stages"]:
        raise TrainingError(f"{path} needs a mapping 'stages' with at least one stage.")
    if not all(isinstance(s, dict) for s in (raw.get("defaults") or {}, *raw["stages"].values())):
        raise TrainingError(f"{path}: 'defaults' and every stage must be mappings.")
    return raw


def read_stages(method: str, file: Path | None = None) -> dict[str, dict[str, Any]]:
    """Stages of a method's config in the order of the file, unchecked, each with the defaults. Raises TrainingError."""
    raw = read_config(method, file)
    defaults = raw.get("defaults") or {}
    return {str(name): {**defaults, **stage} for name, stage in raw["stages"].items()}


def load_stage(
    method: str,
    stage: str,
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    smoke: bool = False,
) -> StageConfig:
    """One stage, checked. `overrides`: dotted key -> value, e.g. {"losses.edges": 0}. Raises TrainingError."""
    stages = read_stages(method, file)
    if stage not in stages:
        raise TrainingError(f"Method {method!r} has no stage {stage!r}; choose one of: {', '.join(stages)}.")
    where = f"Stage {stage!r} of {method!r}"
    raw = _with_new_names(where, {k: v for k, v in stages[stage].items() if k != "smoke"})
    small = {**SMOKE, **with_new_keys(where, _mapping(where, "smoke", stages[stage].get("smoke")))}
    for key, value in {**(small if smoke else {}), **with_new_keys(where, overrides or {})}.items():
        raw = _with(raw, key.split("."), value)
    return checked(method, stage, raw)


def with_new_keys(where: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value, with today's names in the place of old ones (RENAMED). Raises TrainingError if both are
    given."""
    out = dict(settings)
    for old, new in RENAMED.items():
        if old not in out:
            continue
        if new in out:
            raise TrainingError(f"{where} has both '{new}' and '{old}', its old name; leave the old one out.")
        LOG.warning("%s: '%s' is now called '%s'.", where, old, new)
        out = {new if key == old else key: value for key, value in out.items()}  # the order of losses stays
    return out


def _with_new_names(where: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """As `with_new_keys`, of a stage with its mappings `data` and `losses`. What is no mapping is checked later."""
    out = dict(raw)
    for group in ("data", "losses"):
        if isinstance(out.get(group), dict):
            renamed = with_new_keys(where, {f"{group}.{key}": value for key, value in out[group].items()})
            out[group] = {key.removeprefix(f"{group}."): value for key, value in renamed.items()}
    return out


def _with(raw: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """A copy of `raw` in which the entry at `path` is `value`."""
    if len(path) == 1:
        return {**raw, path[0]: value}
    inner = raw.get(path[0])
    return {**raw, path[0]: _with(inner if isinstance(inner, dict) else {}, path[1:], value)}


def checked(method: str, name: str, raw: Mapping[str, Any]) -> StageConfig:
    """A stage as the file has it -> StageConfig. Raises TrainingError, which names the wrong key."""
    where = f"Stage {name!r} of {method!r}"
    known = [f.name for f in fields(StageConfig) if f.name not in ("method", "name", "weights")]
    for key in raw:
        if key not in known:
            raise TrainingError(unknown_key(where, str(key), known))
    missing = [k for k in ("task", "steps", "batch_size", "lr", "losses") if k not in raw]
    if missing:
        raise TrainingError(f"{where} lacks: {', '.join(missing)}.")
    task = raw["task"]
    if not isinstance(task, str) or task.count(":") != 1 or not all(task.split(":")):
        raise TrainingError(f"{where}: task must be 'package.module:Class', not {task!r}.")
    values: dict[str, Any] = {"task": task}
    bounds: dict[str, tuple[float, float]] = {"steps": (1, 10**9), "batch_size": (1, 10**6)}
    whole = ("warmup", "seed", "workers", "log_every", "image_every", "validate_every", "save_every")
    bounds |= dict.fromkeys(whole, (0, 10**9))
    for key in bounds:
        if key in raw:
            values[key] = int(_number(where, key, raw[key], *bounds[key], whole=True))
    for key, low, high in (("weight_decay", 0, 10), ("clip", 0, 1e9), ("ema", 0, 0.999999)):
        if key in raw:
            values[key] = _number(where, key, raw[key], low, high)
    if isinstance(raw.get("schedule"), dict):
        values["schedule"] = _steps(where, raw["schedule"])
    for key, choices in (("precision", PRECISIONS), ("schedule", SCHEDULES), ("channels_last", (True, False))):
        if key in raw and key not in values:
            # YAML 1.1 reads a bare `no` as False; here it means the word.
            value = "no" if key == "precision" and raw[key] is False else raw[key]
            if value not in choices:
                raise TrainingError(f"{where}: {key} must be one of {', '.join(map(str, choices))}, not {value!r}.")
            values[key] = value
    for key in ("data", "model"):
        values[key] = _mapping(where, key, raw.get(key))
    for key in ("init", "about"):
        values[key] = raw.get(key) or ""
        if not isinstance(values[key], str):
            raise TrainingError(f"{where}: {key} must be text, not {raw[key]!r}.")
    if "betas" in raw:
        if not isinstance(raw["betas"], (list, tuple)) or len(raw["betas"]) != 2:
            raise TrainingError(f"{where}: betas must be two numbers, not {raw['betas']!r}.")
        values["betas"] = tuple(_number(where, "betas", b, 0, 0.999999) for b in raw["betas"])
    values["lr"] = (
        {str(p): _number(where, f"lr.{p}", r, 0, 10) for p, r in raw["lr"].items()}
        if isinstance(raw["lr"], dict)
        else _number(where, "lr", raw["lr"], 0, 10)
    )
    values["losses"] = {str(t): _loss(where, t, w) for t, w in _mapping(where, "losses", raw["losses"]).items()}
    return StageConfig(method=method, name=name, **values)


def unknown_key(where: str, key: str, known: list[str], prefix: str = "") -> str:
    """The error message about an unknown key. known: keys that are possible there; prefix: of all of them ("data.")."""
    near = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean '{prefix}{near[0]}'?" if near else f"known keys: {', '.join(known) or 'none'}."
    return f"{where} has the unknown key '{prefix}{key}'; {hint}"


def _steps(where: str, value: dict[str, Any]) -> dict[str, float]:
    if set(value) != {"every", "factor"}:
        raise TrainingError(f"{where}: a schedule in steps takes {{every, factor}}, not {value!r}.")
    every = _number(where, "schedule.every", value["every"], 1, 1e9, whole=True)
    return {"every": every, "factor": _number(where, "schedule.factor", value["factor"], 0, 1)}


def _number(where: str, key: str, value: Any, low: float, high: float, whole: bool = False) -> float:
    kind = "a whole number" if whole else "a number"
    if isinstance(value, str):  # YAML 1.1 reads 1e-4 (no dot) as text
        with contextlib.suppress(ValueError):
            value = float(value)
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    if not good or (whole and value != int(value)):
        raise TrainingError(f"{where}: {key} must be {kind} from {low:g} to {high:g}, not {value!r}.")
    return float(value)


def _mapping(where: str, key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TrainingError(f"{where}: {key} must be a mapping, not {value!r}.")
    return {str(k): v for k, v in value.items()}


def _loss(where: str, term: str, value: Any) -> LossWeight:
    if isinstance(value, dict):
        if not {"weight"} <= set(value) <= {"weight", "start"}:
            raise TrainingError(f"{where}: losses.{term} takes a weight or {{weight, start}}, not {value!r}.")
        start = _number(where, f"losses.{term}.start", value.get("start", 0), 0, 10**9, whole=True)
        return LossWeight(_number(where, f"losses.{term}.weight", value["weight"], 0, 1e9), int(start))
    return LossWeight(_number(where, f"losses.{term}", value, 0, 1e9))
