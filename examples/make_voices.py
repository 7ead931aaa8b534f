"""Makes voice_1.wav and voice_2.wav; texts ours, voices synthetic. Needs espeakng-loader and libflite1."""

from pathlib import Path

import numpy as np
import soundfile

from thgen.schema import SAMPLE_RATE
from thgen.synth.voice.speech import Voice, joined, speak

VOICES = {
    # A woman, English: flite's "slt", built from recordings of a speaker who gave them for any use (CMU ARCTIC).
    "voice_1.wav": (
        Voice("slt", engine="flite"),
        ("Hello! I was a picture on a wall a moment ago.", "Now I can move my lips, and speak to you."),
    ),
    # A man, German: espeak-ng.
    "voice_2.wav": (
        Voice("de+Michael", "de", rate=150, pitch=38, spread=60),
        ("Guten Abend, mein Name ist Bruno.", "Vor fünf Minuten war ich bloß ein Foto, und jetzt plaudern wir."),
    ),
}

if __name__ == "__main__":
    for name, (voice, texts) in VOICES.items():
        parts = [speak(text, voice) for text in texts]
        samples = joined(parts, [0.4, *[0.5] * (len(parts) - 1), 0.6]).samples
        samples = samples * (0.7 / np.abs(samples).max())
        soundfile.write(Path(__file__).with_name(name), samples, SAMPLE_RATE, subtype="PCM_16")
        print(name, round(len(samples) / SAMPLE_RATE, 2), "s")
