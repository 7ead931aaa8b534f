"""One table of all methods: what is measured when, what is kept, and that it agrees with the reports of one group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.__main__ import main
from thgen.evaluation.groups import one_factor, self_driving, speed
from thgen.evaluation.groups.self_driving import COPY, TRUE
from thgen.evaluation.groups.store import Store
from thgen.evaluation.reports import table, talk
from thgen.evaluation.reports.table import ACT, TALK, Group, Setting, Table
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.synth.head.ellipsoid import ellipsoid_head
from thgen.weights import hub

SETTING = Setting(people=3, frames=10, size=64, seed=0, voices="espeak")


class Watch:
    """Stands in for scenes and measures: numbers that name what was measured, and a list of all calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.stop_at = ""

    def scene(self, kind: str, person: int) -> str:
        self.calls.append(f"render {kind} {person}")
        return f"{kind} {person}"

    def measure(self, name: str):
        def measured(row: str, subject: Subject | None, scene: str, observer: Observer) -> dict[str, np.ndarray]:
            call = f"{name} {row} of {scene}"
            if call == self.stop_at:
                raise KeyboardInterrupt
            self.calls.append(call)
            return {"from": np.array([len(self.calls)])}

        return measured


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Two groups: one on people who speak, with a row of no method; one that needs two people only."""
    watch = Watch()
    groups = {
        "self": Group("Driven", self_driving.__name__, TALK, watch.measure("self"), (TRUE,)),
        "variance": Group("Alone", one_factor.__name__, ACT, watch.measure("variance"), at_most=2),
    }
    monkeypatch.setattr(table, "GROUPS", groups)
    monkeypatch.setattr(Setting, "scene", lambda self, kind, person, mesh: watch.scene(kind, person))
    return watch


@pytest.fixture
def fake() -> Subject:
    return Subject(FakeMethod(), Observer(Constant(70), torch.device("cpu")))


def results(fake: Subject, folder: Path, setting: Setting = SETTING, only: tuple[str, ...] = ("self", "variance")):
    return Table([fake], only, setting, Store(folder)).results()


def test_each_scene_is_rendered_once_and_measured_for_every_row(watch: Watch, fake: Subject, tmp_path: Path) -> None:
    found = results(fake, tmp_path)
    assert watch.calls[:3] == ["render talk 0", f"self {TRUE} of talk 0", "self rig of talk 0"]
    assert [c for c in watch.calls if c.startswith("render")] == [
        "render talk 0", "render talk 1", "render talk 2", "render act 0", "render act 1",
    ]  # fmt: skip
    assert {name: {row: len(people) for row, people in rows.items()} for name, rows in found.items()} == {
        "self": {TRUE: 3, "rig": 3}, "variance": {"rig": 2},
    }  # fmt: skip


def test_a_second_run_measures_nothing_and_more_people_only_the_new_ones(
    watch: Watch, fake: Subject, tmp_path: Path
) -> None:
    first = results(fake, tmp_path)
    watch.calls.clear()
    assert results(fake, tmp_path) == first and not watch.calls
    more = Setting(people=4, frames=10, size=64, seed=0, voices="espeak")
    again = results(fake, tmp_path, more)
    assert watch.calls == ["render talk 3", f"self {TRUE} of talk 3", "self rig of talk 3"]
    assert again["self"]["rig"][:3] == first["self"]["rig"]


def test_after_an_interruption_the_rest_is_measured(watch: Watch, fake: Subject, tmp_path: Path) -> None:
    watch.stop_at = "self rig of talk 1"
    with pytest.raises(KeyboardInterrupt):
        results(fake, tmp_path)
    before, watch.stop_at = list(watch.calls), ""
    watch.calls.clear()
    results(fake, tmp_path)
    assert watch.calls[:2] == ["render talk 1", "self rig of talk 1"], "what was ready of this person is kept"
    assert not set(before) & {c for c in watch.calls if not c.startswith("render")}


@pytest.mark.parametrize("changed", [dict(frames=11), dict(size=65), dict(voices="all"), dict(seed=1)])
def test_another_setting_is_measured_anew(watch: Watch, fake: Subject, tmp_path: Path, changed: dict) -> None:
    results(fake, tmp_path)
    count = len(watch.calls)
    watch.calls.clear()
    results(fake, tmp_path, Setting(**(vars(SETTING) | changed)))
    assert len(watch.calls) == count


def test_other_weights_touch_the_rows_that_ran_them(
    watch: Watch, fake: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results(fake, tmp_path)
    watch.calls.clear()
    known = hub.describe
    monkeypatch.setattr(hub, "describe", lambda name: known(name) | ({"sha256": "new"} if name == "rig" else {}))
    results(fake, tmp_path)
    assert {c for c in watch.calls if c.startswith("self")} == {f"self rig of talk {n}" for n in range(3)}


def test_other_code_of_a_group_touches_this_group(
    watch: Watch, fake: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results(fake, tmp_path)
    watch.calls.clear()
    known = table.code_version
    changed = "evaluation.groups.one_factor"
    monkeypatch.setattr(table, "code_version", lambda roots, within: known(roots, within) + "!" * (changed in roots))
    results(fake, tmp_path)
    assert watch.calls and not [c for c in watch.calls if c.startswith("self")]


def test_timed_numbers_belong_to_a_machine(
    watch: Watch, fake: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = Group("Speed", speed.__name__, TALK, watch.measure("speed"), at_most=2, timed=True,
                  once=lambda method, device: {"memory": np.array([9.0])})  # fmt: skip
    monkeypatch.setitem(table.GROUPS, "speed", timed)
    found = results(fake, tmp_path, only=("self", "speed"))
    assert [person.get("memory") for person in found["speed"]["rig"]] == [9, None], "memory is measured once"
    watch.calls.clear()
    monkeypatch.setattr(speed, "machine", lambda: "another")
    results(fake, tmp_path, only=("self", "speed"))
    assert watch.calls == ["render talk 0", "speed rig of talk 0", "render talk 1", "speed rig of talk 1"]


def test_seeds_have_people_of_their_own() -> None:
    other = Setting(**(vars(SETTING) | {"seed": 2}))
    assert [SETTING.number(n) for n in range(2)] == [0, 1] and other.number(0) == 2 * table.PEOPLE_OF_A_SEED


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of faces without the analyser: the mean colour."""
    monkeypatch.setattr(self_driving, "face_features", lambda observer, images, points: images.mean((1, 2)))


def test_self_driving_is_that_of_talk(fake: Subject, tmp_path: Path, unseen: None) -> None:
    pytest.importorskip("espeakng_loader")
    mesh, setting = ellipsoid_head(), Setting(people=1, frames=10, size=64, seed=0, voices="espeak")
    found = Table([fake], ["self"], setting, Store(tmp_path), mesh).results()
    report = table.report(found, setting, [fake])
    (part,) = report.parts
    wanted = {row[""]: row for row in talk.measure([fake], fake.observer, 1, 10, 64, mesh=mesh).rows}
    assert {row[""] for row in part.rows} == set(wanted) == {COPY, "rig", TRUE}
    for row in part.rows:
        for column, value in wanted[row[""]].items():
            assert row[column] == pytest.approx(value, nan_ok=True) if value != row[""] else True, column
    assert part.rows[-1]["LMD %"] > 0


def test_the_overview_has_the_numbers_of_its_parts(fake: Subject) -> None:
    numbers = {name: np.array([2.0, 4.0]) for name in self_driving.FRAMES}
    person = numbers | {"lips r": np.array([0.5]), "features": np.random.default_rng(0).normal(size=(2, 3))}
    alone = {f"drives {name}": 1 + 4 * np.eye(5)[i] for i, name in enumerate(one_factor.READ)}
    found = {
        "self": {COPY: [person], TRUE: [person], "rig": [person]},
        "speed": {"rig": [{speed.DRAWN: np.array([12.0])}]},
        "variance": {one_factor.RENDERS: [alone], "rig": [alone]},
    }
    report = table.report(found, SETTING, [fake])
    rows = {row[""]: row for row in report.rows}
    assert list(rows) == [COPY, "rig", TRUE]
    assert rows["rig"]["SSIM"] == 3 and rows["rig"]["lips r"] == 0.5
    assert (
        rows["rig"]["own : leak, gaze"] == rows[TRUE]["own : leak, gaze"] == 5
        and rows[COPY]["own : leak, gaze"] is None
    )
    assert rows["rig"][speed.DRAWN] == 12 and rows[TRUE][speed.DRAWN] is None
    assert [part.name for part in report.parts] == ["self", "speed", "variance_renders", "variance_rig"]
    assert report.shared and "analyser" in report.weights


def test_a_table_of_some_groups_shows_no_columns_of_others(fake: Subject) -> None:
    report = table.report({"speed": {"rig": [{speed.DRAWN: np.array([12.0])}]}}, SETTING, [fake])
    assert {column for row in report.rows for column in row} == {"", speed.DRAWN}
    assert report.name == "table_speed", "so that it does not replace README's table"


@pytest.mark.parametrize(
    ("words", "said"),
    [("--only self,speeds", "--only must be one of self, probes"), ("--people 0", "number of people must be"),
     ("--frames 3", "number of frames must be"), ("--seed -1", "seed must be"), ("--methods rigg", "no method 'rigg'")],
)  # fmt: skip
def test_wrong_words_end_with_a_sentence(
    words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("espeakng_loader")
    assert main(["evaluate", "table", *words.split(), "--out", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())
