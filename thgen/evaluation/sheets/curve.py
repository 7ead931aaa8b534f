"""Quality against training time, from a run's TensorBoard files, with a forecast for longer training."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from thgen.errors import AssetError, OutputError
from thgen.evaluation.report import Report, Value

PAUSE = 900.0  # s: a longer gap between two records is a pause, not training
FURTHER = (2.0, 5.0, 10.0)  # the forecast is for the training time multiplied by these
LEAST_POINTS = 4  # validations, at least, for a fit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a stage, as runs/rig/generator")
    parser.add_argument("--score", action="append", default=[], help="validation score to show (default: all)")
    parser.add_argument("--sheet", type=Path, help="also draw the curves into this picture")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, OutputError."""
    hours, scores = read(args.run)
    unknown = [name for name in args.score if name not in scores]
    if unknown:
        raise AssetError(f"The run has no score {unknown[0]!r}; it has: {', '.join(scores)}.")
    chosen = {name: values for name, values in scores.items() if not args.score or name in args.score}
    if args.sheet:
        draw(args.sheet, hours, chosen)
    rows: list[dict[str, Value]] = []
    for i, (step, hour) in enumerate(hours.items()):
        rows.append({"when": f"step {step}", "hours": hour, **{n: float(v[i]) for n, v in chosen.items()}})
    spent = np.array(list(hours.values()))
    for times in FURTHER:
        forecasts = {n: forecast(spent, v, times * float(spent[-1])) for n, v in chosen.items()}
        rows.append({"when": f"{times:g} times as long?", "hours": times * float(spent[-1]), **forecasts})
    return Report(
        "curve", f"Quality against training time, {args.run}", rows,
        "Validation scores of the averaged weights. The last rows are a forecast: a power law with a floor, fitted to "
        "the rows above where there are enough of them. It ignores the schedule of the learning rate.",
    )  # fmt: skip


def read(folder: Path) -> tuple[dict[int, float], dict[str, np.ndarray]]:
    """Step -> hours of training until then, and name -> validation scores at these steps. Raises AssetError."""
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise AssetError("Reading curves needs TensorBoard: pip install 'thgen[train]'.") from error
    events = [
        record
        for path in sorted(folder.glob("**/events.out.tfevents.*"))
        for record in _records(path, EventAccumulator)
    ]
    scores: dict[str, dict[int, float]] = {}
    for tag, step, _, value in events:
        if tag.startswith("validation/"):
            scores.setdefault(tag.removeprefix("validation/"), {})[step] = value
    if not scores:
        raise AssetError(f"{folder} holds no validation scores; give the folder of a stage, as runs/rig/generator.")
    steps = sorted(set.intersection(*(set(values) for values in scores.values())))
    spent = _spent([(time, step) for _, step, time, _ in events])
    hours = {step: spent[step] for step in steps}
    return hours, {name: np.array([values[s] for s in steps]) for name, values in scores.items()}


def _records(path: Path, reader: type) -> list[tuple[str, int, float, float]]:
    """(tag, step, wall time in s, value) of every scalar of one file."""
    accumulator = reader(str(path), size_guidance={"scalars": 0})
    accumulator.Reload()
    return [
        (tag, e.step, e.wall_time, e.value) for tag in accumulator.Tags()["scalars"] for e in accumulator.Scalars(tag)
    ]


def _spent(stamps: list[tuple[float, int]]) -> dict[int, float]:
    """Hours of training until each step, without pauses."""
    out, total, before = {}, 0.0, None
    for time, step in sorted(stamps):
        if before is not None and time - before < PAUSE:
            total += time - before
        before = time
        out[step] = total / 3600
    return out


def forecast(hours: np.ndarray, values: np.ndarray, at: float) -> float | None:
    """Value at a later time, in hours, of a power law with a floor that is fitted to (hours, values) [n].

    None with fewer than LEAST_POINTS points, or where no curve fits.
    """
    from scipy.optimize import curve_fit

    known = hours > 0
    if known.sum() < LEAST_POINTS:
        return None
    law = lambda t, floor, size, power: floor + size * t**-power  # noqa: E731
    x, y = hours[known] / hours[-1], values[known]
    try:
        fitted, _ = curve_fit(
            law, x, y, (y[-1], y[0] - y[-1], 0.5), bounds=([-np.inf, -np.inf, 0.05], [np.inf, np.inf, 3])
        )
    except RuntimeError:
        return None
    return float(law(at / hours[-1], *fitted))


def draw(path: Path, hours: dict[int, float], scores: dict[str, np.ndarray]) -> None:
    """One small plot per score into one picture. Raises OutputError."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(4, len(scores))
    figure, axes = pyplot.subplots(
        -(-len(scores) // columns), columns, figsize=(3.2 * columns, 2.4 * -(-len(scores) // columns))
    )
    for axis, (name, values) in zip(np.atleast_1d(axes).flat, scores.items(), strict=False):
        axis.plot(list(hours.values()), values, marker=".")
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("hours", fontsize=8)
    figure.tight_layout()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise OutputError(
            f"The curves cannot be written to {path} ({error.strerror}); choose another --sheet."
        ) from error
    finally:
        pyplot.close(figure)
