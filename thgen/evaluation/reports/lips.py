"""How well predicted lips follow the voice: against the truth of held-out synthetic voices, and on real recordings.

`python -m thgen evaluate lips [WAV ...]` prints the scores as JSON, and draws the opening beside each recording.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from thgen.audio import log_mel as audio
from thgen.errors import AssetError, AudioError
from thgen.evaluation.metrics.lips import CLOSED_BELOW, lip_scores
from thgen.schema import FPS, LIP_COEFFICIENTS, SAMPLE_RATE, SAMPLES_PER_FRAME
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice.visemes import mouth_opening

if TYPE_CHECKING:
    from thgen.methods.rig.audio_network import AudioToLip

# Phones of pocketsphinx's English model, by what the lips should do.
_JUDGED = {
    "closing": ("P", "B", "M"),
    "other_consonants": ("T", "D", "N", "S", "Z", "K", "G", "L", "TH", "DH", "NG", "HH", "Y"),
    "open_vowels": ("AA", "AE", "AH", "AO", "AW", "AY", "EH"),
    "narrow_vowels": ("IY", "IH", "UW", "UH"),
    "rounded": ("UW", "W", "OW", "UH"),
    "spread": ("IY", "EH", "AE", "IH"),
    "labiodental": ("F", "V"),
    "silence": ("SIL",),
}


def quiet_frames(samples: np.ndarray, frames: int, below_db: float = 35.0, at_least: float = 0.24) -> np.ndarray:
    """Frames inside silences, bool [frames], by level alone: `below_db` under the voice for `at_least` seconds.

    Independent of the voice activity detection that the encoder uses. samples: [L] at 16 kHz.
    """
    size = SAMPLES_PER_FRAME
    padded = np.pad(samples, (0, max(0, frames * size - len(samples))))[: frames * size].reshape(frames, size)
    level = 10 * np.log10((padded.astype(np.float64) ** 2).mean(1) + 1e-12)
    low = level < audio.voice_level(samples) - below_db
    edges = np.flatnonzero(np.diff(np.concatenate(([0], low.astype(int), [0]))))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < at_least * FPS:
            low[start:end] = False
    return low


def silence_opening(opening: np.ndarray, quiet: np.ndarray) -> dict[str, float]:
    """Opening in silence as % of the speaking range (5th to 95th percentile of the other frames); NaN without silence.

    opening: [T]; quiet: bool [T]. `mean` over the silent frames, and `worst`, their 95th percentile. The first and
    last frame of each silence are left out: there the mouth is on its way.
    """
    spoken = opening[~quiet]
    inner = quiet & np.roll(quiet, 1) & np.roll(quiet, -1)
    if not inner.any() or not len(spoken):
        return {"mean": float("nan"), "worst": float("nan")}
    span = float(np.percentile(spoken, 95) - np.percentile(spoken, 5)) + 1e-9
    size = np.abs(opening[inner])
    return {"mean": float(100 * size.mean() / span), "worst": float(100 * np.percentile(size, 95) / span)}


def held_out(
    model: AudioToLip, clips: int = 12, seconds: float = 8.0, voices: str = "espeak"
) -> dict[str, dict[str, float]]:
    """lip_scores of the whole path (with voice activity) on voices that training never heard, clean and recorded.

    Keys: "new_voices" (variants), "new_languages" (Swedish, Polish, Turkish), and with the voices "all" "new_recorded"
    (voices built from people's recordings), each also with "/recorded" for augmented sound. Raises AssetError where a
    voice is not installed.
    """
    from thgen.methods.rig.voice import encode_lips
    from thgen.synth.voice import speech
    from thgen.synth.voice.recorded import recorded_clip

    scores = {}
    for split in speech.held_out_splits(voices):
        for clean in (True, False):
            guesses, truths = [], []
            for k in range(clips):
                samples, _, lips = recorded_clip((77_003, k), seconds, split, clean, voices)
                guesses.append(encode_lips(model, samples, len(lips)).numpy())
                truths.append(lips)
            scores[split + ("" if clean else "/recorded")] = lip_scores(np.concatenate(guesses), np.concatenate(truths))
    return scores


def english_phones(samples: np.ndarray) -> list[tuple[str, float, float]]:
    """(phone, start, end) in seconds, heard by pocketsphinx's phone loop. samples: [L] at 16 kHz. Raises AssetError."""
    try:
        from pocketsphinx import Decoder, get_model_path
    except ImportError:
        raise AssetError("The phone judge needs pocketsphinx: pip install -e '.[eval]'.") from None
    folder = Path(get_model_path()) / "en-us"
    decoder = Decoder(
        hmm=str(folder / "en-us"), allphone=str(folder / "en-us-phone.lm.bin"),
        lw=2.0, beam=1e-20, pbeam=1e-20, loglevel="FATAL",
    )  # fmt: skip
    decoder.start_utt()
    decoder.process_raw((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    return [(s.word, s.start_frame / 100, (s.end_frame + 1) / 100) for s in decoder.seg()]


def phone_judge(samples: np.ndarray, lips: np.ndarray) -> dict[str, float]:
    """What the lips do while a recogniser hears each class of phones in real English speech. lips: [T 21].

    closed_*: share of phones with a closed frame (opening below CLOSED_BELOW) within them;
    opening_*: mean opening; pucker_*: mean rounding (pucker + funnel); tuck_*: mean of the largest mouthRollLower.
    """
    opening = mouth_opening(lips)
    rounding = lips[:, [LIP_COEFFICIENTS.index(n) for n in ("mouthPucker", "mouthFunnel")]].sum(1)
    tuck = lips[:, LIP_COEFFICIENTS.index("mouthRollLower")]
    phones = english_phones(samples)
    out: dict[str, float] = {}

    def over(kind: str, track: np.ndarray, least: bool | None) -> list[float]:
        values = []
        for name, start, end in phones:
            # Frames whose instant, (t + 1/2) / 25 s, lies in the phone; of a very short one, the nearest.
            a, b = round(start * FPS), min(round(end * FPS), len(track))
            a = min(a, int((start + end) / 2 * FPS))
            if name in _JUDGED[kind] and a < len(track):
                part = track[a : max(b, a + 1)]
                values.append(float(part.mean() if least is None else part.min() if least else part.max()))
        return values

    def mean(values: list[float]) -> float:
        return float(np.mean(values)) if values else float("nan")

    for kind in ("closing", "other_consonants", "open_vowels"):
        out[f"closed_{kind}"] = mean([float(v < CLOSED_BELOW) for v in over(kind, opening, True)])
    for kind in ("open_vowels", "narrow_vowels", "other_consonants", "closing", "silence"):
        out[f"opening_{kind}"] = mean(over(kind, opening, None))
    for kind in ("rounded", "spread"):
        out[f"pucker_{kind}"] = mean(over(kind, rounding, None))
    for kind in ("labiodental", "other_consonants"):
        out[f"tuck_{kind}"] = mean(over(kind, tuck, False))
    return out


def plot_opening(samples: np.ndarray, lips: np.ndarray, title: str, out: Path) -> None:
    """Draws waveform, mouth opening and rounding over time; silences are shaded. Writes a PNG."""
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


def real_voice(model: AudioToLip, path: Path, out: Path | None = None) -> dict[str, object]:
    """Scores of one recording (wav, any rate): silence, speaking range and the phone judge; a plot into `out`.

    Raises AudioError if the file cannot be read.
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
        "phones": phone_judge(samples, lips),
    }


def add_parser(subparsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `lips` to the subcommands of `evaluate`."""
    parser = subparsers.add_parser("lips", help="lips against held-out voices, and on recordings")
    parser.add_argument("recordings", nargs="*", type=Path, metavar="WAV", help="real voices to judge and to plot")
    parser.add_argument("--clips", type=int, default=12, help="held-out clips per set (0 = none; default: 12)")
    voice_sets.add_argument(parser, "whose held-out sets are measured")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of the plots and lips.json (default: out)"
    )
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure the bundled lip encoder; prints JSON. Raises ThgenError."""
    import torch

    from thgen.synth.voice import speech
    from thgen.weights.hub import load_network

    if args.clips > 0:
        speech.require(args.voices)
    model = cast("AudioToLip", load_network("audio", torch.device("cpu")))
    report: dict[str, object] = {}
    if args.clips > 0:
        report["voices"] = args.voices
        report["held_out"] = held_out(model, args.clips, voices=args.voices)
    report["recordings"] = {path.name: real_voice(model, path, args.out) for path in args.recordings}
    text = json.dumps(report, indent=1, default=float)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "lips.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


def main(argv: list[str] | None = None) -> int:
    """As `python -m thgen evaluate lips ...`, for a caller with its own list of arguments."""
    parser = argparse.ArgumentParser(prog="python -m thgen evaluate")
    add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["lips", *(argv or [])])
    return args.run(args)
