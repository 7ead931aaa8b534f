"""How well lips follow the voice: against the truth of held-out synthetic voices, and on real recordings.

`python -m thgen evaluate lips [WAV ...]` also draws the mouth opening of each recording.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from thgen.errors import AudioError
from thgen.evaluation.metrics.lips import lip_scores
from thgen.evaluation.metrics.phones import phone_scores, quiet_frames, silence_opening
from thgen.evaluation.report import Report, Value
from thgen.schema import FPS, LIP_COEFFICIENTS, SAMPLE_RATE, SAMPLES_PER_FRAME
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice.visemes import mouth_opening

if TYPE_CHECKING:
    from thgen.methods.rig.audio_network import AudioToLip

SEED = 77_003  # of the held-out recordings
CLIP_SECONDS = 8.0  # of each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recordings", nargs="*", type=Path, metavar="WAV", help="real voices to judge and to plot")
    parser.add_argument("--clips", type=int, default=12, help="held-out clips per set (0 = none; default: 12)")
    voice_sets.add_argument(parser, "whose held-out sets are measured")


def run(args: argparse.Namespace) -> Report:
    """Measure the bundled lip encoder. Raises AssetError, AudioError, WeightsError."""
    import torch

    from thgen.synth.voice import speech
    from thgen.weights.hub import load_network

    if args.clips > 0:
        speech.require(args.voices)
    model = cast("AudioToLip", load_network("audio", torch.device("cpu")))
    scores = held_out(model, args.clips, voices=args.voices) if args.clips > 0 else {}
    recordings = {path.name: real_voice(model, path, Path(args.out)) for path in args.recordings}
    return report_of(scores, recordings, args.clips, args.voices)


def report_of(
    scores: Mapping[str, Mapping[str, float]], recordings: Mapping[str, Mapping[str, Any]], clips: int, voices: str
) -> Report:
    """The table of held-out voices and that of recordings; all scores of both go to the JSON."""
    rows: list[dict[str, Value]] = [
        {
            "held-out set": name, "opening, r": s["opening"], "closures found, %": 100 * s["closed_recall"],
            "open taken for closed, %": 100 * s["closed_false"], "opening error, %": s["opening_error"],
        }
        for name, s in scores.items()
    ]  # fmt: skip
    parts = (_recordings(recordings),) if recordings else ()
    return Report(
        "lips", "Lips against the voice", rows,
        f"{clips} clips of {CLIP_SECONDS:g} s per set, of voices that no training used; /recorded: the same through "
        "rooms, telephones and noise. Openings in % of the outer-canthal distance. Closures: frames in which the true "
        "lips are pressed together.",
        {"voices": voices, "clips": clips}, weights=("audio",), parts=parts,
        details={"held_out": dict(scores), "recordings": dict(recordings)},
    )  # fmt: skip


def _recordings(recordings: Mapping[str, Mapping[str, Any]]) -> Report:
    kinds = {"open vowels": "open_vowels", "narrow vowels": "narrow_vowels", "other consonants": "other_consonants",
             "b, p, m": "closing", "pauses": "silence"}  # fmt: skip
    rows: list[dict[str, Value]] = []
    for name, scores in recordings.items():
        silence, phones = scores["silence_opening_%"], scores["phones"]
        rows.append({
            "recording": name, "silence, mean, % of range": silence["mean"], "worst": silence["worst"],
            **{shown: phones[f"opening_{kind}"] for shown, kind in kinds.items()},
            "b, p, m found closed, %": 100 * phones["closed_closing"],
        })  # fmt: skip
    return Report(
        "lips_recordings", "Lips of real recordings", rows,
        "Silence: opening in frames without speech, in % of the speaking range; worst: 95th percentile. The other "
        "columns: mean opening in % of the outer-canthal distance during phones that pocketsphinx's English acoustic "
        "model recognises; in other languages it recognises them roughly.",
    )  # fmt: skip


def held_out(
    model: AudioToLip, clips: int = 12, seconds: float = CLIP_SECONDS, voices: str = "espeak"
) -> dict[str, dict[str, float]]:
    """`lip_scores` of the whole path, with voice activity detection, on voices that no training used.

    Keys: "new_voices" (variants of known ones), "new_languages" (Swedish, Polish, Turkish), with the voices "all" also
    "new_recorded" (voices built from recordings of people); each also with "/recorded", for augmented sound. Raises
    AssetError where a voice is not installed.
    """
    from thgen.methods.rig.voice import encode_lips
    from thgen.synth.voice import speech
    from thgen.synth.voice.recorded import recorded_clip

    scores = {}
    for split in speech.held_out_splits(voices):
        for clean in (True, False):
            predicted, true = [], []
            for k in range(clips):
                samples, _, lips = recorded_clip((SEED, k), seconds, split, clean, voices)
                predicted.append(encode_lips(model, samples, len(lips)).numpy())
                true.append(lips)
            scores[split + ("" if clean else "/recorded")] = lip_scores(np.concatenate(predicted), np.concatenate(true))
    return scores


def real_voice(model: AudioToLip, path: Path, out: Path | None = None) -> dict[str, Any]:
    """Scores of one recording (wav, any rate): silence, speaking range, phones. Saves a plot in the folder `out`.

    Raises AudioError if the file cannot be read, AssetError without pocketsphinx.
    """
    import soundfile
    import soxr

    from thgen.methods.rig.voice import encode_lips

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path} cannot be read as a sound file: give a wav.") from error
    samples = soxr.resample(samples.mean(1), rate, SAMPLE_RATE).astype(np.float32)
    frames = -(-len(samples) // SAMPLES_PER_FRAME)
    lips = encode_lips(model, samples, frames).numpy()
    opening, quiet = mouth_opening(lips), quiet_frames(samples, frames)
    if out is not None:
        plot_opening(samples, lips, path.name, out / f"lips_{path.stem}.png")
    low, high = np.percentile(opening[~quiet], (5, 95))
    return {
        "seconds": round(len(samples) / SAMPLE_RATE, 2),
        "silent_frames": int(quiet.sum()),
        "speaking_range": [float(low), float(high)],
        "silence_opening_%": silence_opening(opening, quiet),
        "phones": phone_scores(samples, lips),
    }


def plot_opening(samples: np.ndarray, lips: np.ndarray, title: str, out: Path) -> None:
    """A PNG with waveform, mouth opening and rounding over time; silences are grey.

    samples: float32 [L], 16 kHz mono; lips: coefficients [T 21].
    """
    from matplotlib.figure import Figure

    opening, quiet = mouth_opening(lips), quiet_frames(samples, len(lips))
    time = (np.arange(len(lips)) + 0.5) / FPS
    figure = Figure(figsize=(14, 4.5), layout="constrained")
    wave, mouth = figure.subplots(2, sharex=True)
    wave.plot(np.arange(0, len(samples), 8) / SAMPLE_RATE, samples[::8], lw=0.4, color="0.4")
    wave.set(ylabel="waveform", title=title)
    mouth.plot(time, opening, color="C3", label="opening, % of outer-canthal distance")
    mouth.plot(time, 10 * lips[:, LIP_COEFFICIENTS.index("mouthPucker")], color="C0", lw=0.8, label="10 x mouthPucker")
    mouth.fill_between(time, -2, 16, where=quiet, color="0.88", step="mid", label="silence")
    mouth.axhline(0, color="0.5", lw=0.5)
    mouth.set(ylim=(-2, 16), xlabel="s", xlim=(0, len(lips) / FPS))
    mouth.legend(loc="upper right", fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=80)
