"""Synthetic speech with known lip motion: text and voice -> samples, phones with times, lip coefficients."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import numpy as np

from thgen.errors import AssetError
from thgen.schema import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME
from thgen.synth.voice import espeak, festival, flite, texts
from thgen.synth.voice.augment import change_speed, shift_formants, tilt
from thgen.synth.voice.sets import check_name, not_installed
from thgen.synth.voice.visemes import Phone, lip_track

# espeak-ng voice -> key of texts.SENTENCES. The names with HELD are kept out of training.
_LANGUAGES = {
    "en-us": "en", "en": "en", "en-gb-x-rp": "en", "en-gb-scotland": "en", "en-029": "en", "de": "de",
    "fr": "fr", "es": "es", "es-419": "es", "it": "it", "pt": "pt", "pt-br": "pt", "nl": "nl",
    "cmn-latn-pinyin": "cmn-latn-pinyin",
}  # fmt: skip
_HELD_LANGUAGES = {"sv": "sv", "pl": "pl", "tr": "tr"}
_VARIANTS = (
    "", "+m1", "+m2", "+m3", "+m4", "+m5", "+m7", "+m8", "+f1", "+f2", "+f3", "+f5", "+croak", "+klatt", "+klatt2",
    "+klatt4", "+klatt5", "+klatt6", "+Alex", "+Andrea", "+Annie", "+Denis", "+Diogo", "+Gene", "+Jacky", "+Lee",
    "+Mario", "+Michael", "+Reed", "+adam", "+anika", "+aunty", "+belinda", "+boris", "+caleb", "+ed", "+grandma",
    "+grandpa", "+ian", "+john", "+linda", "+max", "+michel", "+norbert", "+pablo", "+quincy", "+steph", "+travis",
    "+victor", "+whisper", "+zac",
)  # fmt: skip
_HELD_VARIANTS = ("+f4", "+m6", "+klatt3", "+Hugo", "+Alicia", "+marcelo", "+shelby", "+rob")
# Voices from recordings of people -> engine.
_RECORDED = {
    **dict.fromkeys(("awb", "kal16", "rms"), "flite"),
    **{name: "festival" for name in festival.VOICES if name not in ("czech_machac", "hy_fi_mv_diphone")},
}
_HELD_RECORDED = {"slt": "flite", "czech_machac": "festival", "hy_fi_mv_diphone": "festival"}
# Split -> (espeak-ng languages, espeak-ng variants, recorded voices, share of recorded voices). Only some sets of
# voices (sets.VOICE_SETS) have recorded voices.
SPLITS: dict[str, tuple[dict[str, str], tuple[str, ...], dict[str, str], float]] = {
    "train": (_LANGUAGES, _VARIANTS, _RECORDED, 0.35),
    "new_voices": (_LANGUAGES, _HELD_VARIANTS, {}, 0.0),
    "new_languages": (_HELD_LANGUAGES, _HELD_VARIANTS, {}, 0.0),
    "new_recorded": ({}, (), _HELD_RECORDED, 1.0),
}
RECORDED_ENGINES = {"flite": flite, "festival": festival}


@dataclass(frozen=True)
class Tone:
    """Effect of an emotion on a voice, relative to calm speech.

    rate: factor. pitch, spread (intonation range): added, in units of espeak-ng. tilt: dB per octave. formants: factor
    (a smile shortens the vocal tract). effort: factor on the size of mouth movements.
    """

    rate: float = 1.0
    pitch: int = 0
    spread: int = 0
    tilt: float = 0.0
    formants: float = 1.0
    effort: float = 1.0

    def at(self, strength: float) -> Tone:
        """This tone at a strength from 0 (calm) to 1 (the full tone)."""
        pairs = zip(astuple(Tone()), astuple(self), strict=True)
        rate, pitch, spread, *rest = (calm + strength * (own - calm) for calm, own in pairs)
        return Tone(rate, round(pitch), round(spread), *rest)


# The directions follow Scherer, "Vocal communication of emotion" (2003), table 2, and Murray and Arnott (1993), table
# I. The sizes are ours.
TONES: dict[str, Tone] = {
    "neutral": Tone(),
    "angry": Tone(1.1, 14, 14, 2.0, 1.0, 1.25),
    "contempt": Tone(0.92, -8, 0, 0.0, 1.0, 0.9),
    "disgusted": Tone(0.85, -10, 6, 0.5, 0.97, 1.05),
    "fear": Tone(1.2, 22, -6, 0.8, 1.02, 0.95),
    "happy": Tone(1.08, 14, 18, 1.0, 1.05, 1.15),
    "sad": Tone(0.82, -12, -18, -2.0, 0.98, 0.8),
    "surprised": Tone(1.05, 20, 18, 0.8, 1.0, 1.2),
}


@dataclass(frozen=True)
class Voice:
    """A voice and its settings.

    name: of espeak-ng, such as "en-us+f2", or one of the VOICES of the engine "flite" or "festival". language: key of
    texts.SENTENCES. rate (words per minute), pitch and spread (intonation range, both 0 to 99): for espeak-ng alone.
    tempo: speed of recorded voices, by resampling, so that speed and pitch change together.
    """

    name: str
    language: str = "en"
    engine: str = "espeak"
    rate: int = 170
    pitch: int = 50
    spread: int = 50
    tempo: float = 1.0

    def with_tone(self, tone: Tone) -> Voice:
        """This voice with the parts of a tone that engines have: rate, pitch, spread. `apply_tone` does the others."""
        return replace(
            self,
            rate=int(np.clip(self.rate * tone.rate, 100, 260)),
            pitch=int(np.clip(self.pitch + tone.pitch, 0, 99)),
            spread=int(np.clip(self.spread + tone.spread, 0, 99)),
            tempo=self.tempo * tone.rate**0.5,
        )


@dataclass(frozen=True)
class Speech:
    """samples: float32 [L], 16 kHz mono. phones: in order of time. effort: size of mouth movements, 1 if calm."""

    samples: np.ndarray
    phones: tuple[Phone, ...]
    effort: float = 1.0

    @property
    def frames(self) -> int:
        """Number of video frames at 25 fps that cover the samples."""
        return -(-len(self.samples) // SAMPLES_PER_FRAME)

    def lips(self, frames: int | None = None, fps: float = FPS, gain: float = 1.0) -> np.ndarray:
        """True lip coefficients, float32 [frames 21]; see visemes.lip_track. frames: None for all."""
        return lip_track(self.phones, self.frames if frames is None else frames, fps, gain * self.effort)


def speak(text: str, voice: Voice) -> Speech:
    """Speak a text. Raises AssetError if the engine or the voice is missing."""
    if voice.engine != "espeak":
        samples, phones = RECORDED_ENGINES[voice.engine].synthesise(text, voice.name)
        speech = Speech(samples, phones)
        return speech if voice.tempo == 1.0 else change_tempo(speech, voice.tempo)
    return Speech(*espeak.synthesise(text, voice.name, voice.rate, voice.pitch, voice.spread))


def change_tempo(speech: Speech, tempo: float) -> Speech:
    """Speech played `tempo` times as fast, with higher pitch."""
    return replace(speech, samples=change_speed(speech.samples, tempo), phones=scale_phones(speech.phones, tempo))


def apply_tone(speech: Speech, tone: Tone) -> Speech:
    """Speech with the parts of a tone that engines lack: formants, tilt and effort. Times do not change."""
    samples = speech.samples
    if tone.formants != 1.0:
        samples = shift_formants(samples, tone.formants)
    if tone.tilt:
        samples = tilt(samples, tone.tilt)
    return replace(speech, samples=samples, effort=speech.effort * tone.effort)


def scale_phones(phones: tuple[Phone, ...], tempo: float) -> tuple[Phone, ...]:
    """Phones of speech that is played `tempo` times as fast."""
    return tuple(
        replace(p, start=p.start / tempo, end=p.end / tempo, release=p.release and p.release / tempo) for p in phones
    )


def joined(parts: list[Speech], pauses: list[float]) -> Speech:
    """The parts one after another, with pauses. The effort is that of the first part.

    pauses: in seconds, before the first part, between the parts, and after the last part.
    """
    samples, phones, at = [], [], 0
    for part, pause in zip([*parts, None], pauses, strict=True):
        silent = round(pause * SAMPLE_RATE)
        samples.append(np.zeros(silent, np.float32))
        phones.append(Phone("", at / SAMPLE_RATE, (at + silent) / SAMPLE_RATE))
        at += silent
        if part is not None:
            offset = at / SAMPLE_RATE
            phones += [
                replace(p, start=p.start + offset, end=p.end + offset, release=p.release and p.release + offset)
                for p in part.phones
            ]
            samples.append(part.samples)
            at += len(part.samples)
    return Speech(np.concatenate(samples), tuple(phones), parts[0].effort if parts else 1.0)


def recorded_voices(split: str, voices: str) -> dict[str, str]:
    """Recorded voices of a split (key of SPLITS) in a set of voices -> engine. Raises AssetError for an unknown set."""
    check_name(voices)
    return SPLITS[split][2] if voices == "all" else {}


def held_out_splits(voices: str) -> tuple[str, ...]:
    """Splits without training data in which a set of voices has a voice. Raises AssetError for an unknown set."""
    return tuple(s for s in SPLITS if s != "train" and (SPLITS[s][0] or recorded_voices(s, voices)))


def require(voices: str) -> None:
    """Raises AssetError with the names of all missing voices, unless every voice of a set can speak on this machine.

    Call it before a render or a training, so that a missing voice does not end it after an hour.
    """
    recorded = {name: engine for split in SPLITS for name, engine in recorded_voices(split, voices).items()}
    espeak.check()
    lacking = {name: RECORDED_ENGINES[engine].lacking(name) for name, engine in recorded.items()}
    if missing := [name for name, packages in lacking.items() if packages]:
        raise not_installed(missing, dict.fromkeys(p for name in missing for p in lacking[name]))


def random_voice(rng: np.random.Generator, split: str = "train", voices: str = "espeak") -> Voice:
    """A random voice of a split (key of SPLITS) and a set (one of VOICE_SETS), installed or not.

    The split "train" has no voices, variants or languages of the other splits. Raises AssetError if the set has no
    voice in the split, or is unknown.
    """
    languages, variants, _, share = SPLITS[split]
    recorded = recorded_voices(split, voices)
    if not languages and not recorded:
        raise AssetError(f"The voices {voices!r} have none in the split {split!r}: choose the voices 'all'.")
    if recorded and rng.random() < share:
        chosen = str(rng.choice(list(recorded)))
        language = festival.VOICES[chosen].language if chosen in festival.VOICES else "en"
        return Voice(chosen, language, recorded[chosen], tempo=float(rng.uniform(0.85, 1.15)))
    name = str(rng.choice(list(languages)))
    return Voice(
        name + str(rng.choice(variants)),
        languages[name],
        rate=int(rng.integers(120, 235)),
        pitch=int(rng.integers(15, 86)),
        spread=int(rng.integers(25, 81)),
    )


def random_speech(
    rng: np.random.Generator, seconds: float, split: str = "train", emotion: str | None = None, voices: str = "espeak"
) -> Speech:
    """At least `seconds` of one random voice: sentences with pauses, and silence at both ends.

    The same state of `rng` gives the same result. split: key of SPLITS. emotion: key of TONES; None: calm in half of
    the cases, else a random one. voices: one of VOICE_SETS. Raises AssetError if the drawn voice is not installed.
    """
    name = str(rng.choice(list(TONES))) if emotion is None and rng.random() < 0.5 else emotion or "neutral"
    strength = float(rng.uniform(0.3, 1.0))
    tone = TONES[name].at(strength)
    voice = random_voice(rng, split, voices).with_tone(tone)
    parts: list[Speech] = []
    pauses = [float(rng.uniform(0.05, 0.6))]
    while sum(len(p.samples) for p in parts) / SAMPLE_RATE + sum(pauses) < seconds:
        parts.append(apply_tone(speak(texts.random_text(voice.language, rng), voice), tone))
        pauses.append(float(rng.uniform(0.1, 1.2)))
    return joined(parts, pauses)
