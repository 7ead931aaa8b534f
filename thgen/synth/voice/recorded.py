"""Recordings of random voices with the lips that go with them, drawn by a seed: what the lip encoder learns from."""

from __future__ import annotations

import numpy as np

from thgen.audio import log_mel as audio
from thgen.synth.voice import speech
from thgen.synth.voice.augment import augment


def recorded_clip(
    seed: tuple[int, ...], seconds: float, split: str, clean: bool = False, voices: str = "espeak"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One augmented recording of a random voice: (samples [L] at 16 kHz, mel [80 4T], lips [T 21]).

    split: key of speech.SPLITS; clean: not augmented; voices: one of voice_sets.VOICE_SETS. Raises AssetError where the
    voice that is drawn is not installed.
    """
    rng = np.random.default_rng(seed)
    said = speech.random_speech(rng, seconds, split, voices=voices)
    samples = said.samples
    if not clean:
        speed = float(rng.uniform(0.9, 1.12))
        said = speech.at_tempo(said, speed)
        samples = augment(said.samples, rng)
    frames = len(samples) // audio.SAMPLES_PER_FRAME
    return samples, audio.log_mel(samples, frames, audio.voice_level(samples)), said.lips(frames)
