"""Synthetic voices and their lip motion."""

import ctypes
import doctest
import sys
from dataclasses import astuple

import numpy as np
import pytest

from tests.hidden import recorded_voices
from thgen.errors import AssetError
from thgen.schema import COEFFICIENT_INDEX, EMOTIONS, LIP_COEFFICIENTS, SAMPLE_RATE, SAMPLES_PER_FRAME
from thgen.synth.head import facekit as fk
from thgen.synth.voice import espeak, flite, speech, texts, visemes
from thgen.synth.voice.visemes import (
    BILABIALS,
    NEUTRAL_GAP,
    OPENING_WEIGHTS,
    Phone,
    frame_times,
    lip_track,
    mouth_opening,
    segments,
)

pytest.importorskip("espeakng_loader")
ENGLISH = speech.Voice("en-us")


def column(lips: np.ndarray, name: str) -> np.ndarray:
    return lips[:, LIP_COEFFICIENTS.index(name)]


def word(*sounds: tuple[str, float]) -> list[Phone]:
    """Phones of given lengths in seconds, with 0.4 s of silence before and after them."""
    phones, at = [Phone("", 0.0, 0.4)], 0.4
    for symbol, length in sounds:
        phones.append(Phone(symbol, at, at + length))
        at += length
    return [*phones, Phone("", at, at + 0.4)]


def inside(phone: Phone, frames: int) -> np.ndarray:
    times = frame_times(frames)
    return (times >= phone.start) & (times < phone.end)


def test_examples_in_the_docstrings():
    result = doctest.testmod(visemes)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("symbol", ["p", "b", "m"])
@pytest.mark.parametrize("vowel", ["ɑː", "i", "u", "ɔ"])
def test_bilabials_close_the_lips_between_any_vowels(symbol, vowel):
    phones = word((vowel, 0.15), (symbol, 0.08), (vowel, 0.15))
    lips = lip_track(phones, 30)
    assert mouth_opening(lips)[inside(phones[2], 30)].max() <= 0.0
    assert mouth_opening(lips)[inside(phones[1], 30)].max() > 1.5


def test_a_short_closure_is_visible_at_25_fps_at_any_time():
    for shift in np.linspace(0, 0.04, 9):
        phones = [Phone("ɑ", 0.2 + shift, 0.4 + shift), Phone("b", 0.4 + shift, 0.42 + shift)]
        phones += [Phone("ɑ", 0.42 + shift, 0.6 + shift)]
        near = np.abs(frame_times(25) - (0.41 + shift)) < 0.06
        assert mouth_opening(lip_track(phones, 25))[near].min() < 0.3


def test_labiodentals_bring_the_lower_lip_to_the_teeth_without_closing_the_mouth():
    phones = word(("ɑː", 0.15), ("f", 0.12), ("ɑː", 0.15))
    lips, held = lip_track(phones, 30), inside(phones[2], 30)
    assert column(lips, "mouthRollLower")[held].max() > 0.3
    assert 1.0 < mouth_opening(lips)[held].min() < 5.0


def test_rounding_begins_before_the_rounded_vowel():
    rounded = lip_track(word(("s", 0.12), ("t", 0.08), ("uː", 0.2)), 30)
    spread = lip_track(word(("s", 0.12), ("t", 0.08), ("iː", 0.2)), 30)
    during_s = (frame_times(30) > 0.42) & (frame_times(30) < 0.5)
    assert column(rounded, "mouthPucker")[during_s].mean() > column(spread, "mouthPucker")[during_s].mean() + 0.15


def test_low_vowels_open_the_jaw_more_than_high_ones():
    jaw = {v: column(lip_track(word((v, 0.3)), 28), "jawOpen").max() for v in ("ˈɑː", "ˈɛ", "ˈiː")}
    assert 0.45 >= jaw["ˈɑː"] - 0.2 > 0.1 and jaw["ˈɑː"] > jaw["ˈɛ"] > jaw["ˈiː"] > 0.03


def test_silence_is_the_neutral_mouth():
    lips = lip_track(word(("ɑː", 0.2)), 25)
    assert np.abs(lips[frame_times(25) < 0.22]).max() < 1e-6
    assert not lip_track([Phone("", 0, 1)], 25).any()


def test_unknown_marks_have_no_effect():
    plain = word(("ɑ", 0.2), ("n", 0.1))
    marked = [*plain[:2], Phone("ʲ", plain[1].end, plain[1].end + 0.001), *plain[2:]]
    np.testing.assert_array_equal(lip_track(plain, 25), lip_track(marked, 25))


def test_every_phone_of_the_languages_has_a_viseme():
    rng = np.random.default_rng(0)
    for name, language in {**speech._LANGUAGES, **speech._HELD_LANGUAGES}.items():
        said = speech.speak(texts.random_text(language, rng), speech.Voice(name, language))
        unknown = {p.symbol for p in said.phones if p.symbol and not segments(p.symbol)} - {"ʲ"}
        assert not unknown, (name, unknown)
        assert np.abs(said.samples).max() > 0.05


def test_times_of_phones_agree_with_the_sound():
    said = speech.speak("Papa, mama, baby.", ENGLISH)
    samples, level = said.samples, np.abs(said.samples).max()
    for phone in said.phones:
        part = np.abs(samples[int(phone.start * SAMPLE_RATE) : int((phone.release or phone.end) * SAMPLE_RATE)])
        if phone.symbol.endswith("p") and phone.start > 0.1:  # the closure of a voiceless stop is silent
            assert np.sqrt((part**2).mean()) < 0.05 * level
        if phone.symbol[:1] == "ˈ":
            assert np.sqrt((part**2).mean()) > 0.05 * level


def test_equal_seeds_give_equal_speech_after_any_other_speech():
    speech.require("espeak")  # must not leave the library loaded: it would keep its state
    first = speech.random_speech(np.random.default_rng(5), 3.0)
    speech.speak("Something else in between.", speech.Voice("de+klatt2"))
    second = speech.random_speech(np.random.default_rng(5), 3.0)
    np.testing.assert_array_equal(first.samples, second.samples)
    assert first.phones == second.phones
    other = speech.random_speech(np.random.default_rng(6), 3.0)
    assert len(other.samples) != len(first.samples) or not np.array_equal(other.samples, first.samples)


def other_clock(monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    """Seed the noise of the synthesiser with `moment`, as if the clock had given this number."""
    load = espeak._library

    def library():
        loaded, data = load()
        start = loaded.espeak_Initialize

        def initialise(*arguments):
            rate = start(*arguments)
            loaded.espeak_ng_SetRandSeed(ctypes.c_long(moment))
            ctypes.CDLL(None).srand(moment)
            return rate

        loaded.espeak_Initialize = initialise
        return loaded, data

    monkeypatch.setattr(espeak, "_library", library)


def test_the_noise_of_breathy_voices_does_not_depend_on_the_clock(monkeypatch):
    first = speech.speak("Hush.", speech.Voice("en-us+whisper")).samples
    for moment in (2, 3):
        with monkeypatch.context() as patch:
            other_clock(patch, moment)
            np.testing.assert_array_equal(first, speech.speak("Hush.", speech.Voice("en-us+whisper")).samples)


def test_random_speech_has_the_requested_length_and_range():
    said = speech.random_speech(np.random.default_rng(1), 4.0)
    assert len(said.samples) >= 4.0 * SAMPLE_RATE and np.abs(said.samples).max() <= 1.0
    assert said.frames * SAMPLES_PER_FRAME >= len(said.samples) > (said.frames - 1) * SAMPLES_PER_FRAME
    lips = said.lips()
    assert lips.shape == (said.frames, 21) and lips.dtype == np.float32
    assert lips.min() >= 0 and lips.max() <= 1


def test_tempo_changes_sound_and_phones_alike():
    said = speech.speak("Bob.", ENGLISH)
    fast = speech.change_tempo(said, 2.0)
    assert abs(len(fast.samples) - len(said.samples) / 2) < 4
    assert fast.phones[-1].end == pytest.approx(said.phones[-1].end / 2)


def test_emotions_change_rate_spectrum_and_jaw():
    said = {
        name: speech.random_speech(np.random.default_rng(3), 4.0, emotion=name) for name in ("sad", "neutral", "angry")
    }
    seconds = [sum(p.end - p.start for p in s.phones if p.symbol) / len(s.phones) for s in said.values()]
    assert seconds[0] > seconds[1] > seconds[2]  # slow, calm, fast
    highs = [share_above(s.samples, 2000) for s in said.values()]
    assert highs[0] < highs[1] < highs[2]  # soft, calm, pressed
    jaw = [column(s.lips(), "jawOpen").max() for s in said.values()]
    assert jaw[0] < jaw[1] < jaw[2]


def share_above(samples: np.ndarray, hertz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE) > hertz].sum() / power.sum())


def test_every_emotion_has_a_tone_which_strength_scales():
    assert list(speech.TONES) == list(EMOTIONS)
    assert speech.TONES["neutral"] == speech.Tone() == speech.TONES["angry"].at(0)
    assert speech.TONES["angry"].at(1) == speech.TONES["angry"]
    half = (0.91, -6, -9, -1.0, 0.99, 0.9)
    assert astuple(speech.TONES["sad"].at(0.5)) == pytest.approx(half)


def test_held_out_voices_are_not_in_the_training_split():
    trained = speech.SPLITS["train"]
    for name in ("new_voices", "new_languages", "new_recorded"):
        _, variants, recorded, _ = speech.SPLITS[name]
        assert not set(variants) & set(trained[1]) and not set(recorded) & set(trained[2])
    assert not set(speech.SPLITS["new_languages"][0]) & set(trained[0])


def test_an_unknown_voice_is_an_error_with_its_name():
    with pytest.raises(AssetError, match="no voice"):
        speech.speak("Hello.", speech.Voice("xx-klingon"))


def test_speech_of_a_seed_does_not_depend_on_installed_voices():
    """In the set "espeak" other installed voices must not change the result of a seed."""
    found = []
    for installed in (True, False):
        with recorded_voices(installed):
            seeds = [np.random.default_rng(seed) for seed in range(60)]
            found.append([speech.random_voice(rng) for rng in seeds])
            found.append([rng.integers(2**31) for rng in seeds])  # the generators have the same state
            found.append(speech.random_speech(np.random.default_rng(5), 2.0))
    np.testing.assert_array_equal(found[2].samples, found[5].samples)
    assert found[2].phones == found[5].phones
    assert found[0] == found[3] and found[1] == found[4]
    assert {voice.engine for voice in found[0]} == {"espeak"}


def test_voices_of_the_set_all_are_drawn_even_if_not_installed():
    found = []
    for installed in (True, False):
        with recorded_voices(installed):
            found.append([speech.random_voice(np.random.default_rng(seed), voices="all") for seed in range(60)])
    assert found[0] == found[1]
    for engine in ("flite", "festival"):
        drawn = next(voice for voice in found[1] if voice.engine == engine)
        message = rf"{drawn.name}.*apt install package-of-{drawn.name}`.*--voices espeak"
        with recorded_voices(False), pytest.raises(AssetError, match=message) as error:
            speech.speak("Hello.", drawn)
        assert ". " not in str(error.value), "the message is one sentence"
        with recorded_voices(True):
            assert len(speech.speak("Hello.", drawn).samples) > 0


def test_require_names_all_missing_voices():
    with recorded_voices(False):
        speech.require("espeak")
        with pytest.raises(AssetError) as error:
            speech.require("all")
    names = [name for _, _, recorded, _ in speech.SPLITS.values() for name in recorded]
    assert len(names) == 15
    for name in names:
        assert name in str(error.value) and f"package-of-{name}" in str(error.value)
    with recorded_voices(True), pytest.MonkeyPatch.context() as patch:
        speech.require("all")
        patch.setattr(flite, "lacking", lambda voice: ("libflite1",) if voice == "slt" else ())
        with pytest.raises(AssetError, match=r"\(slt\): run `apt install libflite1`"):
            speech.require("all")


def test_without_the_wheel_every_set_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(AssetError, match="espeakng-loader"):
        speech.require("espeak")


@pytest.mark.parametrize("installed", [True, False])
def test_splits_of_a_set_do_not_depend_on_installed_voices(installed):
    rng = np.random.default_rng(0)
    with recorded_voices(installed):
        assert speech.held_out_splits("espeak") == ("new_voices", "new_languages")
        assert speech.held_out_splits("all") == ("new_voices", "new_languages", "new_recorded")
        with pytest.raises(AssetError, match="'new_recorded': choose the voices 'all'"):
            speech.random_voice(rng, "new_recorded")
        with pytest.raises(AssetError, match="no set of voices 'many'; choose one of: espeak, all"):
            speech.random_voice(rng, voices="many")


@pytest.mark.skipif(bool(flite.lacking("rms")), reason="needs Debian's libflite1")
def test_a_recorded_voice_closes_the_lips():
    said = speech.speak("A big baby boy.", speech.Voice("rms", engine="flite"))
    lips = said.lips()
    opening = mouth_opening(lips)
    assert len(said.samples) > SAMPLE_RATE
    for phone in said.phones:
        if phone.symbol in BILABIALS:
            assert opening[inside(phone, len(lips))].min(initial=np.inf) < 0.3 or phone.end - phone.start < 0.04


def _facekit():
    try:
        return fk.load_facekit()
    except AssetError:
        pytest.skip("the FaceKit file is missing")


@pytest.mark.facekit
def test_opening_weights_agree_with_the_head():
    """The linear table, and the lips of a closed b, measured on FaceKit."""
    kit = _facekit()
    vertices, landmarks = kit.vertices.astype(float), kit.landmarks
    width = np.linalg.norm(vertices[landmarks[36]] - vertices[landmarks[45]])

    def gap(mesh: np.ndarray) -> float:
        upper, lower = mesh[landmarks[[61, 62, 63]], 1], mesh[landmarks[[67, 66, 65]], 1]
        return float(100 * (upper - lower).mean() / width)

    shapes = kit.expression[[COEFFICIENT_INDEX[name] for name in LIP_COEFFICIENTS]].astype(float)
    neutral = gap(vertices)
    assert neutral == pytest.approx(NEUTRAL_GAP, abs=0.1)
    for name, weight, shape in zip(LIP_COEFFICIENTS, OPENING_WEIGHTS, shapes, strict=True):
        assert gap(vertices + shape) - neutral == pytest.approx(float(weight), abs=0.05), name
    phones = word(("ɑː", 0.15), ("b", 0.1), ("ɑː", 0.15))
    lips = lip_track(phones, 30)
    for frame in np.flatnonzero(inside(phones[2], 30)):
        assert abs(gap(vertices + np.tensordot(lips[frame].astype(float), shapes, 1))) < 0.6


@pytest.mark.facekit
def test_the_lower_lip_of_an_f_reaches_the_upper_teeth():
    kit = _facekit()
    vertices = kit.vertices.astype(float)
    jaw = kit.expression[COEFFICIENT_INDEX["jawOpen"]]
    teeth = (kit.part == fk.TEETH) & (np.linalg.norm(jaw, axis=1) < 0.05) & (np.abs(vertices[:, 0]) < 0.5)
    upper = vertices[teeth]
    edge = upper[upper[:, 1] < upper[:, 1].min() + 0.2]  # of the upper incisors, which jawOpen does not move
    phones = word(("ɑː", 0.15), ("f", 0.12), ("ɑː", 0.15))
    lips = lip_track(phones, 30)

    def distance(weights: np.ndarray) -> float:
        shapes = kit.expression[[COEFFICIENT_INDEX[name] for name in LIP_COEFFICIENTS]].astype(float)
        mesh = vertices + np.tensordot(weights.astype(float), shapes, 1)
        return float(np.linalg.norm(mesh[kit.landmarks[66]] - edge, axis=-1).min())

    held = np.flatnonzero(inside(phones[2], 30))
    assert distance(lips[held[len(held) // 2]]) < 0.15  # cm
    assert distance(lips[held[0] - 3]) > 0.6  # the vowel before it is far from the teeth
