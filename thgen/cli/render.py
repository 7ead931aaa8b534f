"""`python -m thgen render`: shards of clips with their truth, one process per worker, resumable, deterministic."""

from __future__ import annotations

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from thgen.errors import OutputError
from thgen.schema import FPS, SAMPLES_PER_FRAME
from thgen.synth.voice import sets as voice_sets


@dataclass(frozen=True)
class RenderJob:
    """What to render. motion: "random" (independent states), "pairs" (each with its neighbour in time) or "track"
    (25 fps motion with speech); voices: one of voice_sets.VOICE_SETS, from which the voices of tracks are drawn;
    gestures: per second of a track, see motion.track_states."""

    out: str
    identities: int = 100
    clips_per_identity: int = 4
    seconds: float = 2.0
    frames: int = 0  # overrides seconds when > 0
    size: int = 256
    flow_size: int = 128
    motion: str = "random"
    seed: int = 0
    identities_per_shard: int = 25
    head: str = "facekit"
    device: str = "cpu"
    voices: str = "espeak"
    gestures: float = 0.0

    @property
    def length(self) -> int:
        return self.frames or max(2, round(self.seconds * FPS))

    @property
    def shards(self) -> int:
        return -(-self.identities // self.identities_per_shard)


def render_shard(job: RenderJob, number: int) -> int:
    """Write shard `number`, unless it is complete. Returns its number of clips."""
    import cv2
    import webdataset as wds

    from thgen.synth.clip import ClipSource, encode_clip, head_mesh
    from thgen.synth.motion import random_states, track_states

    cv2.setNumThreads(1)
    target = Path(job.out) / f"shard-{number:05d}.tar"
    first = number * job.identities_per_shard
    identities = range(first, min(first + job.identities_per_shard, job.identities))
    count = len(identities) * job.clips_per_identity
    if target.exists():
        return count
    source = ClipSource(head_mesh(job.head), job.size, job.flow_size, device=job.device)
    partial = target.with_suffix(".part")
    with wds.TarWriter(str(partial), mtime=0) as writer:
        for identity in identities:
            performer = source.performer(job.seed * 1_000_003 + identity)
            for c in range(job.clips_per_identity):
                rng = np.random.default_rng((job.seed, identity, c))
                meta: dict = {"identity": identity, "motion": job.motion}
                samples = None
                if job.motion == "track":
                    states, speech, meta["emotions"] = track_states(rng, job.length, job.voices, job.gestures)
                    samples = speech.samples[: job.length * SAMPLES_PER_FRAME]
                else:
                    states = random_states(rng, job.length, pairs=job.motion == "pairs")
                clip = source.clip(performer, states, rng)
                writer.write(encode_clip(f"{identity:06d}_{c:03d}", clip, meta, samples))
    partial.rename(target)
    return count


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("render", help="render clips of synthetic people with their true factors")
    parser.add_argument("--identities", type=int, default=100)
    parser.add_argument("--clips-per-identity", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--frames", type=int, default=0, help="frames per clip instead of --seconds")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--flow-size", type=int, default=128)
    parser.add_argument("--motion", choices=("random", "pairs", "track"), default="track")
    parser.add_argument("--head", default="facekit", help="facekit, or ellipsoid (built in, for trying)")
    voice_sets.add_argument(parser, "who speaks in tracks")
    parser.add_argument(
        "--gestures",
        type=float,
        default=0.0,
        metavar="RATE",
        help="per second of tracks: grimaces, winks, lifted brows",
    )
    parser.add_argument("--device", default="cpu", help="cpu (numba) or a torch device, as cuda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    parser.add_argument("--workers", type=int, default=1)


def _settings(config: Path) -> dict:
    """The settings in a render.json. An old file has no entries `gestures` and `voices`.

    For silent clips the default is added, so that the rendering can continue. For clips with speech the set of voices
    is unknown, so the entry stays absent and the settings count as different.
    """
    found = {"gestures": 0.0, **json.loads(config.read_text())}
    return found if found.get("motion") == "track" else {"voices": "espeak", **found}


def run(args: argparse.Namespace) -> None:
    """Render what is missing. Raises AssetError, OutputError."""
    from tqdm import tqdm

    from thgen.synth.clip import head_mesh
    from thgen.synth.voice import speech

    # Errors about a missing head or voice come before any process starts.
    head_mesh(args.head)
    if args.motion == "track":
        speech.require(args.voices)
    job = RenderJob(
        args.out, args.identities, args.clips_per_identity, args.seconds, args.frames, args.size, args.flow_size,
        args.motion, args.seed, head=args.head, device=args.device, voices=args.voices,
        gestures=args.gestures,
    )  # fmt: skip
    out = Path(args.out)
    config = out / "render.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        known = {k: v for k, v in asdict(job).items() if k not in ("out", "identities", "device")}
        if config.exists() and _settings(config) != known:
            raise OutputError(f"{out} holds clips of other settings: choose another --out or delete it.")
        config.write_text(json.dumps(known, indent=1) + "\n")
    except OSError as error:
        raise OutputError(f"Cannot write to {out} ({error.strerror}): choose another --out.") from error
    with (
        # No fork: it copies locks held by threads of OpenCV and numba, but not these threads, so they stay locked.
        ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn")) as pool,
        tqdm(total=job.identities * job.clips_per_identity, unit="clip") as bar,
    ):
        try:
            for done in as_completed([pool.submit(render_shard, job, n) for n in range(job.shards)]):
                bar.update(done.result())
        except BaseException:  # an interrupt as well: else the workers render all that is left before this ends
            pool.shutdown(cancel_futures=True)
            raise
