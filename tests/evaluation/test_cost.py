from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from thgen.errors import OutputError
from thgen.evaluation import cost as benchmark


def test_peak_memory_is_that_of_the_process_alone(tmp_path: Path) -> None:
    """The report agrees with what the process says of itself at its end. A forked child inherits the peak of its
    parent; ours, which is held meanwhile, does not count."""
    code = (
        "import resource, sys; x = bytearray(b'1') * (64 << 20); usage = resource.getrusage(resource.RUSAGE_SELF); "
        "open(sys.argv[1], 'w').write(str(usage.ru_maxrss))"
    )
    ours = bytearray(b"1") * (256 << 20)
    done = benchmark.measured([sys.executable, "-S", "-c", code, str(tmp_path / "peak")], threads=1)
    unit = 1 if sys.platform == "darwin" else 1024
    own = int((tmp_path / "peak").read_text()) * unit / 2**20
    assert done.peak == pytest.approx(own, rel=0.1)
    assert 64 < done.peak < len(ours) / 2**20
    assert done.elapsed > 0 and done.cpu > 0


def test_threads_are_passed_on() -> None:
    code = "import os, sys; sys.exit(os.environ['OMP_NUM_THREADS'] != '1')"
    benchmark.measured([sys.executable, "-c", code], threads=1)


def test_a_failing_run_is_told_with_its_last_line() -> None:
    with pytest.raises(OutputError, match="status 3: no luck"):
        benchmark.measured([sys.executable, "-c", "print('no luck'); raise SystemExit(3)"], threads=1)


def test_the_cost_of_a_further_second_is_the_slope() -> None:
    rows = [benchmark._row(256, 5, benchmark.Run(20, 30, 900)), benchmark._row(256, 60, benchmark.Run(75, 140, 910))]
    assert rows[0]["ratio"] == 4
    (slope,) = benchmark._slopes(rows)
    assert slope["work s"] == 1 and slope["CPU s / video s"] == 2 and slope["peak memory MiB"] == "+10 in all"
    assert benchmark._slopes(rows[:1]) == []


@pytest.mark.parametrize("repeat", [False, True])
def test_voices_have_the_length_asked_for(tmp_path: Path, repeat: bool) -> None:
    source = tmp_path / "short.wav"
    soundfile.write(source, np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
    path = benchmark.voice_file(tmp_path / "v.wav", 2.5, str(source) if repeat else None)
    samples, rate = soundfile.read(path)
    assert rate == 16_000 and len(samples) == 40_000 and np.abs(samples).max() > 0.05
