"""Random recordings of synthetic voices with their true lips: training data of the lip encoder."""

from __future__ import annotations

import numpy as np

from thgen.audio.log_mel import log_mel, voice_level
from thgen.schema import SAMPLES_PER_FRAME
from thgen.synth.voice import speech
from thgen.synth.voice.augment import augment


def recorded_clip(
    seed: tuple[int, ...], seconds: float, split: str, clean: bool = False, voices: str = "espeak"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One recording of a random voice: (samples [L] at 16 kHz, log-mel [80 4T], lip coefficients [T 21]).

    seconds: least length before augmentation. split: key of speech.SPLITS. clean: without augmentation. voices: one of
    sets.VOICE_SETS. Raises AssetError if the drawn voice is not installed.
    """
    rng = np.random.default_rng(seed)
    said = speech.random_speech(rng, seconds, split, voices=voices)
    samples = said.samples
    if not clean:
        speed = float(rng.uniform(0.9, 1.12))
        said = speech.change_tempo(said, speed)
        samples = augment(said.samples, rng)
    frames = len(samples) // SAMPLES_PER_FRAME
    return samples, log_mel(samples, frames, voice_level(samples)), said.lips(frames)
