"""Every method measured in the same way: self-driving, one factor driven alone, what leaks, speed.

Each result of a group, a row and a person is kept in `<out>/table` as soon as it is there, so a stopped measurement
goes on where it was. A result is measured anew when anything changes that it depends on: weights, code, settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from thgen.checks import choice, whole
from thgen.evaluation.groups import one_factor, probes, self_driving, speed
from thgen.evaluation.groups.code_version import WITHIN, code_version
from thgen.evaluation.groups.store import Arrays, Store, key_of
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.speakers import performances, talks
from thgen.evaluation.subject import Subject, load
from thgen.face.observe import Observer
from thgen.pipeline import available_methods
from thgen.schema import FPS
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice import speech

if TYPE_CHECKING:
    from thgen.synth.head.facekit import HeadMesh

TALK, ACT = "talk", "act"  # kinds of scenes, which groups share
PEOPLE_OF_A_SEED = 100_000  # distance of the people of two seeds; those of seed 0 are the people of `evaluate talk`
MOST_SEEDS = 400  # so that the numbers stay below those of the drivers (scenes.held_out.PARTNER)


@dataclass(frozen=True)
class Group:
    """One way to measure. measure: (row, subject or None, scene, observer) -> the arrays of one person.

    references: rows that need no method. at_most: people that are enough; None = all. timed: the machine counts.
    once: (method, device) -> further arrays, measured with the first person alone.
    """

    title: str
    module: str
    scene: str
    measure: Callable[[str, Subject | None, Any, Observer], Arrays]
    references: tuple[str, ...] = ()
    at_most: int | None = None
    timed: bool = False
    once: Callable[[str, str], Arrays] | None = None


GROUPS: dict[str, Group] = {
    "self": Group("Self-driving", self_driving.__name__, TALK, self_driving.measure,
                  (self_driving.COPY, self_driving.TRUE)),
    "probes": Group("What leaks", probes.__name__, TALK, probes.measure, (probes.TRUTH,)),
    "speed": Group("Speed", speed.__name__, TALK, speed.measure, at_most=speed.PEOPLE, timed=True,
                   once=speed.peak_memory),
    "variance": Group("One factor driven, the others stay", one_factor.__name__, ACT, one_factor.measure,
                      (one_factor.RENDERS,), at_most=one_factor.PEOPLE),
}  # fmt: skip
Results = dict[str, dict[str, list[Arrays]]]  # group -> row -> the arrays of each person


@dataclass(frozen=True)
class Setting:
    """What is rendered. frames of each clip; size: px of the crops; voices: one of voice_sets.VOICE_SETS."""

    people: int
    frames: int
    size: int
    seed: int
    voices: str

    def number(self, person: int) -> int:
        """Number of a person in the scenes."""
        return self.seed * PEOPLE_OF_A_SEED + person

    def scene(self, kind: str, person: int, mesh: HeadMesh | None) -> Any:
        """The rendered Talk or Performance of a person. Raises AssetError."""
        who = [self.number(person)]
        if kind == TALK:
            return next(talks(who, self.frames, self.size, mesh, self.voices))
        return next(performances(who, self.frames, self.size, one_factor.EVERY, mesh, self.voices))


class Table:
    """The rows and groups of one measurement, and where its results are kept."""

    def __init__(self, subjects: Sequence[Subject], only: Sequence[str], setting: Setting, store: Store,
                 mesh: HeadMesh | None = None) -> None:  # fmt: skip
        """subjects: one at least. only: keys of GROUPS. mesh: another head than FaceKit's."""
        self.subjects = {subject.name: subject for subject in subjects}
        self.observer, self.groups = subjects[0].observer, {name: GROUPS[name] for name in GROUPS if name in only}
        self.setting, self.store, self.mesh = setting, store, mesh
        self._keys = {(name, row): self._key(name, row) for name in self.groups for row in self._rows(name)}

    def results(self) -> Results:
        """Everything that the table needs: from the store, or measured and stored. Raises any ThgenError."""
        wanted = [(name, row, person) for name, row in self._keys for person in range(self._people(name))]
        missing = [(name, row, person) for name, row, person in wanted if self._load(name, row, person) is None]
        with tqdm(total=len(missing), unit="result", dynamic_ncols=True) as bar:
            for kind in (TALK, ACT):
                mine = [one for one in missing if self.groups[one[0]].scene == kind]
                for person in sorted({person for _, _, person in mine}):
                    self._measure(kind, person, [(name, row) for name, row, p in mine if p == person], bar)
        out: Results = {name: {} for name in self.groups}
        for name, row in self._keys:
            out[name][row] = [self._load(name, row, person) or {} for person in range(self._people(name))]
        return out

    def _measure(self, kind: str, person: int, missing: list[tuple[str, str]], bar: tqdm) -> None:
        """One person: the scene is rendered once for all groups and rows."""
        bar.set_description(f"rendering person {person + 1} of {self.setting.people}")
        scene = self.setting.scene(kind, person, self.mesh)
        for name, row in missing:
            bar.set_description(f"person {person + 1} of {self.setting.people}, {name}: {row}")
            group = self.groups[name]
            arrays = group.measure(row, self.subjects.get(row), scene, self.observer)
            if group.once is not None and person == 0:
                arrays |= group.once(row, self.observer.device.type)
            self._save(name, row, person, arrays)
            bar.update()

    def _rows(self, name: str) -> tuple[str, ...]:
        return (*self.groups[name].references, *self.subjects)

    def _people(self, name: str) -> int:
        most = self.groups[name].at_most
        return self.setting.people if most is None else min(most, self.setting.people)

    def _load(self, name: str, row: str, person: int) -> Arrays | None:
        return self.store.load(f"{name} {row}", self._keys[name, row], self.setting.number(person))

    def _save(self, name: str, row: str, person: int, arrays: Arrays) -> None:
        self.store.save(f"{name} {row}", self._keys[name, row], self.setting.number(person), arrays)

    def _key(self, name: str, row: str) -> str:
        """Of all that a result depends on, besides the person. Raises WeightsError."""
        from thgen.weights import hub

        group, subject = self.groups[name], self.subjects.get(row)
        roots, within, weights = [group.module.removeprefix("thgen.")], list(WITHIN), ["analyser"]
        if subject is not None:
            module = type(subject.method).__module__.removeprefix("thgen.")
            roots.append(module)
            within.append(module.rpartition(".")[0])
            weights = list(subject.weights)
        facts = asdict(self.setting) | {"group": name, "row": row, "head": self.mesh is None}
        facts |= {
            "device": self.observer.device.type,
            "weights": [hub.describe(weight)["sha256"] for weight in weights],
        }
        facts |= {"code": code_version(tuple(roots), tuple(within)), "machine": speed.place() if group.timed else ""}
        return key_of({fact: value for fact, value in facts.items() if fact not in ("people", "seed")})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", default="", help="names, comma separated (default: all that can run here)")
    parser.add_argument("--only", default="", help=f"groups, comma separated: {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--people", type=int, default=50, help="unseen people to render (default: 50)")
    parser.add_argument("--frames", type=int, default=60, help="of each clip (default: 60)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")
    parser.add_argument("--seed", type=int, default=0, help="of the people (default: 0, those of `evaluate talk`)")
    voice_sets.add_argument(parser, "who speaks")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, ControlError, MethodError, OutputError, WeightsError."""
    names, only = ([n.strip() for n in text.split(",") if n.strip()] for text in (args.methods, args.only))
    only = [choice("--only", name, GROUPS) for name in only] or list(GROUPS)
    setting = Setting(
        whole("number of people", args.people, 1, PEOPLE_OF_A_SEED), whole("number of frames", args.frames, 9, 10_000),
        whole("size", args.size, 64, 1024), whole("seed", args.seed, 0, MOST_SEEDS), args.voices,
    )  # fmt: skip
    speech.require(args.voices)
    subjects = load(list(dict.fromkeys(names)) or available_methods(), args.device)
    return report(Table(subjects, only, setting, Store(Path(args.out) / "table")).results(), setting, subjects)


def report(results: Results, setting: Setting, subjects: Sequence[Subject]) -> Report:
    """The overview, a row per method, and a table for each group that was measured."""
    parts = tuple(part for name in results for part in _parts(name, results[name]))
    some = () if set(results) == set(GROUPS) else tuple(results)  # README's table is not replaced by a part of it
    return Report(
        "_".join(("table", *some)), "Methods side by side", list(_overview(results, [s.name for s in subjects])),
        f"Unseen rendered people who speak, {setting.people} of them, {setting.frames / FPS:.1f} s each, in crops of "
        f"{setting.size} px. The overview takes its numbers from the tables below it, where each measure is explained. "
        "“Copy the source” is the photo held still. “The true frames” show the errors of the measures; their own : "
        "leak is that of renders of one factor alone.",
        {"people": setting.people, "frames": setting.frames, "size": setting.size, "seed": setting.seed,
         "voices": setting.voices},
        weights=tuple(dict.fromkeys(weight for subject in subjects for weight in subject.weights)), parts=parts,
        shared=True,
    )  # fmt: skip


def _parts(name: str, found: Mapping[str, list[Arrays]]) -> Iterator[Report]:
    """The tables of one group."""
    people = len(next(iter(found.values())))
    title = f"{GROUPS[name].title}, {people} people"
    if name == "self":
        yield Report("self", title, self_driving.rows(found), self_driving.PROTOCOL)
    elif name == "speed":
        yield Report("speed", title, speed.rows(found), speed.PROTOCOL, {"machine": speed.place()})
    elif name == "probes":
        rows = [row for method in found for row in probes.rows(method, found[method])]
        yield Report("probes", title, rows, probes.PROTOCOL)
    else:
        for i, (method, arrays) in enumerate(found.items()):
            text = one_factor.PROTOCOL if i == len(found) - 1 else ""
            yield Report(f"variance_{method}", f"{title}: {method}", one_factor.rows(method, arrays), text)


# Columns of the overview that come from the rows of self_driving.
BRIEF = ("SSIM", "MS-SSIM", "PSNR dB", "LMD px", "LMD %", "LMD mouth %", "lips r", "pose °")


def _overview(results: Results, methods: Sequence[str]) -> Iterator[dict[str, Value]]:
    """One row per method, between those of the copied photo and of the true frames."""
    driven = {str(row[""]): row for row in self_driving.rows(results["self"])} if "self" in results else {}
    alone = one_factor.ratios(results["variance"]) if "variance" in results else {}
    fast = {str(row[""]): row for row in speed.rows(results["speed"])} if "speed" in results else {}
    for name in (self_driving.COPY, *methods, self_driving.TRUE):
        ratios = alone.get(one_factor.RENDERS if name == self_driving.TRUE else name, {})
        row: dict[str, Value] = {"": name}
        row |= {column: driven[name][column] for column in BRIEF if name in driven}
        row |= {f"own : leak, {factor}": ratios.get(factor) for factor in one_factor.READ if alone}
        row |= {column: fast.get(name, {}).get(column) for column in (speed.DRAWN,) if fast}
        if len(row) > 1:
            yield row
