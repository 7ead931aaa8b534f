"""Motion of each factor while one factor is driven: PD-FGC's table VI (eq. I), for any method, beside the truth.

Unseen rendered people are driven by the performances of others, one factor at a time. The same people are also
*rendered* with this one factor taken from the performance. Motion that the analyser measures there in other factors is
its own error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from thgen.evaluation.groups.store import Arrays
from thgen.evaluation.metrics.motion import mean_deviation
from thgen.evaluation.metrics.readings import read_factors
from thgen.evaluation.report import Value
from thgen.evaluation.scenes.speakers import STATE_FACTORS, Performance
from thgen.evaluation.subject import Subject, without_idle
from thgen.face.observe import Observer
from thgen.methods.base import Factors, Identity
from thgen.pipeline import Targets, targets

# Factor -> name and unit of the analyser's measurement, in the order of the rows.
READ = {"lip": "mouth", "pose": "head pose, °", "blink": "lids, %", "gaze": "gaze, °", "expression": "expression"}
PEOPLE = 20  # who are enough for a table of all methods: each is drawn once for every factor
EVERY = 4  # every fourth frame is measured
RENDERS = "renders"  # the row of no method
DRIVES, RATIO = "drives ", "own : leak"
PROTOCOL = (
    "Each person is driven by another's performance (lips by the voice), one factor at a time. Eq. I of PD-FGC: mean "
    "distance of a factor, as the analyser reads it, from its mean over the clip. Numbers can be compared within a row "
    "only. Own : leak is the entry of the driven factor over the largest other entry of its row. Renders: the same "
    "people rendered with this factor alone; they show what the analyser itself confuses."
)


def driven_alone(subject: Subject, identity: Identity, factor: str, clip: Factors, voice: Factors,
                 undriven: str) -> Targets:  # fmt: skip
    """Targets of all frames when one factor is driven alone, by the voice where a voice can drive it."""
    track = voice.get(factor, clip.get(factor))
    assert track is not None
    controls = without_idle(subject.method.declaration, undriven=undriven)
    return targets(subject.method, identity, controls, frames=len(track), driven={factor: track}, voiced=tuple(voice))


def measure(row: str, subject: Subject | None, act: Performance, observer: Observer, undriven: str = "stay") -> Arrays:
    """How far each factor of READ moves in one person, [5], while one factor is driven: "drives <factor>" -> [5].

    row: a method's name with its subject, or RENDERS without one. undriven: as in settings.Controls.
    """
    if subject is None:
        pictures = act.alone
    else:
        identity, frames = subject.photo(act.photo), len(act.driver)
        clip, voice = subject.clip(act.driver), subject.method.encode_audio(act.voice, frames)
        pictures = {
            factor: subject.pictures(identity, driven_alone(subject, identity, factor, clip, voice, undriven), EVERY)
            for factor in _in_order({*clip, *voice})
        }
    out = {}
    for factor, images in pictures.items():
        found = read_factors(observer, images, act.landmarks)
        out[DRIVES + factor] = np.array([mean_deviation([found[name]]) for name in READ])
    return out


def _in_order(factors: set[str]) -> list[str]:
    """The common factors first, then a method's own by name."""
    return [name for name in STATE_FACTORS if name in factors] + sorted(factors - set(STATE_FACTORS))


def rows(name: str, people: Sequence[Arrays]) -> list[dict[str, Value]]:
    """One row for each factor that is read, one column for each that is driven: means over people."""
    driven = list(people[0])
    means = np.mean([[person[column] for column in driven] for person in people], 0)  # [driven, read]
    out: list[dict[str, Value]] = []
    for i, (factor, label) in enumerate(READ.items()):
        values = {column: float(mean[i]) for column, mean in zip(driven, means, strict=True)}
        others = [value for column, value in values.items() if column != DRIVES + factor]
        own = values.get(DRIVES + factor)
        ratio = None if own is None or not others else own / max(*others, 1e-9)
        out.append({"": f"{name}: {label}", **values, RATIO: ratio})
    return out


def ratios(results: Mapping[str, Sequence[Arrays]]) -> dict[str, dict[str, Value]]:
    """Row of the results -> factor -> own : leak; None where the method has no such factor."""
    return {name: dict(zip(READ, (row[RATIO] for row in rows(name, people)), strict=True))
            for name, people in results.items()}  # fmt: skip
