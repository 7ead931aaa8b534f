"""Curves and pictures as TensorBoard itself reads them back."""

from __future__ import annotations

import platform

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from thgen.training.journal import Journal, cpu_name, hardware


def test_means_since_the_last_report_and_pictures(tmp_path, capsys):
    journal = Journal(tmp_path, 0, True)
    for value in (1.0, 3.0):
        journal.add({"l1": torch.tensor(value)})
    assert journal.flush(2, 10, rate=1e-3, seconds_per_step=0.5) == {"l1": 2.0}
    journal.add({"l1": torch.tensor(5.0)})
    assert journal.flush(3, 10, rate=1e-3, seconds_per_step=0.5) == {"l1": 5.0}
    journal.images({"net": torch.full((3, 4, 6), 2.0)}, 3)
    journal.close()
    line = capsys.readouterr().out.splitlines()[0]
    assert "2/10" in line and "l1 2" in line and "2.00 steps/s" in line
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/l1")] == [(2, 2.0), (3, 5.0)]
    assert events.Scalars("train/lr")[0].value == pytest.approx(1e-3)
    image = events.Images("net")[0]
    assert (image.width, image.height) == (6, 4)


def test_other_processes_and_lookers_on_write_nothing(tmp_path, capsys):
    for journal in (Journal(tmp_path, 0, False), Journal(None, 0, True)):
        journal.add({"l1": torch.tensor(1.0)})
        journal.flush(1, 2, 0.1, 0.1)
        journal.images({"net": torch.zeros(3, 2, 2)}, 1)
        journal.close()
    assert not list(tmp_path.iterdir()) and len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC 7B13\n", "AMD EPYC 7B13"),
        ("processor\t: 0\nCPU implementer\t: 0x41\n", "aarch64"),  # ARM tells no name
        (None, "aarch64"),  # no such file
    ],
)
def test_the_processor_has_a_name_on_every_machine(told, name, tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    assert cpu_name(tmp_path / "cpuinfo") == name


def test_hardware_counts_processes_and_threads(monkeypatch):
    monkeypatch.setattr("thgen.training.journal.cpu_name", lambda: "a processor")
    assert hardware(torch.device("cpu"), 2) == "2 x 1 CPU threads (a processor)"  # one thread: conftest
