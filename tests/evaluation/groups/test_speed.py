"""Speed: which calls are timed, and what the rows make of the times."""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.evaluation import cost
from thgen.evaluation.groups import speed
from thgen.evaluation.groups.speed import DRAWN, FRAME, FRAMES, MEMORY, PHOTO
from thgen.evaluation.scenes.speakers import Talk
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer


class Slow(FakeMethod):
    """A photo takes 40 ms, a frame of a clip 2 ms, a drawn frame 5 ms, and the first call of each much longer."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()

    def wait(self, name: str, seconds: float) -> None:
        time.sleep(seconds if name in self.known else 5 * seconds)
        self.known.add(name)

    def encode_photos(self, crops):
        self.wait("photo", 0.04)
        return super().encode_photos(crops)

    def encode_clip(self, crops):
        self.wait("clip", 0.002 * len(crops))
        return super().encode_clip(crops)

    def decode(self, identity, window, sliders=None):
        self.wait("draw", 0.005 * len(window["lip"]))
        return super().decode(identity, window, sliders)


def test_each_part_is_timed_alone_and_warm():
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES + 5, 32, 32, 3), dtype=np.uint8)
    talk = Talk(type("Clip", (), {"frames": frames}), np.zeros(1))
    observer = Observer(Constant(70), torch.device("cpu"))
    found = {
        name: float(values[0]) for name, values in speed.measure("s", Subject(Slow(), observer), talk, observer).items()
    }
    assert 40 <= found[PHOTO] < 120 and 2 <= found[FRAME] < 8
    assert 50 < found[DRAWN] <= 200


def test_the_fastest_try_counts():
    waits = iter([0.0, 0.05, 0.0, 0.05])
    result, seconds = speed.best(lambda: time.sleep(next(waits)) or "done")
    assert result == "done" and seconds < 0.04


def test_memory_is_that_of_a_video_of_this_method(monkeypatch):
    asked = []

    def measured(command, threads):
        asked.append((command, threads))
        return cost.Run(1, 1, 321)

    monkeypatch.setattr(cost, "measured", measured)
    assert speed.peak_memory("pd_fgc", "cpu") == {MEMORY: np.array([321])}
    ((command, threads),) = asked
    assert command[:4] == [sys.executable, "-m", "thgen", "generate"] and threads == torch.get_num_threads()
    assert command[command.index("--method") + 1] == "pd_fgc"


def one(drawn: float, photo: float) -> dict[str, np.ndarray]:
    return {DRAWN: np.array([drawn]), PHOTO: np.array([photo])}


def test_ratios_are_to_the_rig():
    results = {"rig": [one(10, 100) | {MEMORY: np.array([600.0])}, one(12, 300), one(11, 200)], "other": [one(22, 50)]}
    rig, other = speed.rows(results)
    assert rig[DRAWN] == 11 and rig[PHOTO] == 200 and rig[MEMORY] == 600 and rig[f"{DRAWN} × rig"] == 1
    assert other[f"{DRAWN} × rig"] == 2 and other[f"{PHOTO} × rig"] == 0.25 and MEMORY not in other
    (alone,) = speed.rows({"other": results["other"]})
    assert alone[f"{DRAWN} × rig"] is None and alone[DRAWN] == 22
