"""Speed and memory of the whole path, from the start of Python to the finished mp4. Each run is its own process."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from thgen.errors import OutputError
from thgen.evaluation.report import Report, Value
from thgen.evaluation.subject import networks_of
from thgen.methods import declaration_of
from thgen.schema import SAMPLE_RATE

# A small process starts and watches the measured one: a forked child inherits the peak memory of its parent, and this
# process is large.
WATCHER = """
import os, subprocess, sys, time
begin = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)
spent = usage.ru_utime + usage.ru_stime
print(time.monotonic() - begin, spent, os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


@dataclass(frozen=True)
class Run:
    """One finished process, with its children."""

    elapsed: float  # s
    cpu: float  # s of one core
    peak: float  # MiB of resident memory, at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photo", help="default: scikit-image's astronaut")
    parser.add_argument(
        "--audio", help="a voice, repeated as often as needed (default: noise that swells like syllables)"
    )
    parser.add_argument("--method", default="rig")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--seconds", type=float, nargs="+", default=[5.0, 60.0])
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each run (default: 2)")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises MethodError for an unknown method, OutputError with the last line of a run that fails."""
    weights = networks_of(declaration_of(args.method))
    rows: list[dict[str, Value]] = []
    with tempfile.TemporaryDirectory(prefix="thgen-benchmark-") as folder:
        photo = args.photo or str(photo_file(Path(folder)))
        for size in args.sizes:
            for seconds in args.seconds:
                voice = voice_file(Path(folder) / f"voice_{seconds:g}.wav", seconds, args.audio)
                command = [
                    sys.executable, "-m", "thgen", "generate", "--photo", photo, "--audio", str(voice), "--method",
                    args.method, "--size", str(size), "--device", args.device, "--out", f"{folder}/out.mp4",
                ]  # fmt: skip
                done = measured(command, args.threads)
                rows.append(_row(size, seconds, done))
    return Report(
        f"benchmark_{args.method}", f"Speed and memory of {args.method}", rows + _slopes(rows),
        "Each row is a process of its own: start of Python, loading, reading the photo, generating, encoding the mp4. "
        "Ratio: seconds of work per second of video; CPU: seconds of one core, which depend little on what else the "
        "machine does. Rows “per second” are the slope between the shortest and the longest run: the cost of a further "
        "second of video once everything is loaded.",
        {"threads": args.threads, "cores": os.cpu_count(), "device": args.device},
        weights=weights,
    )  # fmt: skip


def measured(command: list[str], threads: int) -> Run:
    """Time and peak memory of a command. Raises OutputError if it fails, with its last line."""
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        watched = [sys.executable, "-S", "-c", WATCHER, *command]
        done = subprocess.run(
            watched, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **limits}, text=True, check=False
        )
        elapsed, cpu, status, peak = (float(v) for v in done.stdout.split())
        if status:
            log.seek(0)
            last = log.read().strip().splitlines()[-1:]
            raise OutputError(f"The measured run ended with status {status:.0f}: {' '.join(last)}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB on Linux
    return Run(elapsed, cpu, peak * unit / 2**20)


def _row(size: int, seconds: float, done: Run) -> dict[str, Value]:
    return {
        "size": size, "video s": seconds, "work s": done.elapsed, "ratio": done.elapsed / seconds,
        "CPU s / video s": done.cpu / seconds,
        "peak memory MiB": round(done.peak),
    }  # fmt: skip


def _slopes(rows: list[dict[str, Value]]) -> list[dict[str, Value]]:
    """Per size, cost of an additional second of video, from the difference between the shortest and the longest run."""
    out: list[dict[str, Value]] = []
    for size in dict.fromkeys(row["size"] for row in rows):
        mine = sorted((r for r in rows if r["size"] == size), key=lambda r: float(r["video s"] or 0))
        first, last = mine[0], mine[-1]
        span = float(last["video s"] or 0) - float(first["video s"] or 0)
        if span > 0:
            cost = (float(last["work s"] or 0) - float(first["work s"] or 0)) / span
            spent = (_cpu(last) - _cpu(first)) / span
            growth = int(last["peak memory MiB"] or 0) - int(first["peak memory MiB"] or 0)
            out.append({"size": size, "video s": "per second", "work s": cost, "ratio": cost, "CPU s / video s": spent,
                        "peak memory MiB": f"+{growth} in all"})  # fmt: skip
    return out


def _cpu(row: dict[str, Value]) -> float:
    return float(row["CPU s / video s"] or 0) * float(row["video s"] or 0)


def photo_file(folder: Path) -> Path:
    from PIL import Image
    from skimage import data

    path = folder / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


def voice_file(path: Path, seconds: float, audio: str | None) -> Path:
    """A wav of exactly `seconds`: `audio` repeated, or noise that swells like syllables."""
    wanted = round(seconds * SAMPLE_RATE)
    if audio:
        from thgen.io.sound import read_audio

        samples = np.resize(read_audio(audio), wanted)
    else:
        t = np.arange(wanted) / SAMPLE_RATE
        samples = np.random.default_rng(0).normal(0, 0.1, wanted) * np.sin(np.pi * 4 * t) ** 2
    soundfile.write(path, samples.astype(np.float32), SAMPLE_RATE)
    return path
