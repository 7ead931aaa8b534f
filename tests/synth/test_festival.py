"""Voices built from recordings, where festival is installed; its phone tables everywhere."""

import numpy as np
import pytest

from thgen.errors import AssetError
from thgen.schema import SAMPLE_RATE
from thgen.synth import festival, flite, speech, texts
from thgen.synth.visemes import BILABIALS, mouth_opening, segments

VOICES = festival.available()


@pytest.mark.parametrize("name", festival.VOICES)
def test_every_phone_of_every_table_has_a_viseme(name):
    recorded = festival.VOICES[name]
    assert not [symbol for symbol in recorded.ipa.values() if symbol and not segments(symbol)]
    assert recorded.language in texts.SENTENCES and recorded.language in texts.SPELLINGS
    for sentence in texts.SENTENCES[recorded.language]:
        if recorded.language != "en":
            assert sentence.encode(recorded.encoding), "the voice can read its language's texts"


def test_lines_become_phones_with_pauses_and_bursts():
    lines = ["0.2 100 #", "0.3 100 p", "0.5 100 a1", "0.6 100 b"]
    phones = festival._phones(lines, festival.VOICES["lp_diphone"].ipa)
    assert [p.symbol for p in phones] == ["", "p", "ˈa", "b"]
    assert phones[1].release == pytest.approx(0.26) and phones[3].release is None
    assert phones[-1].end == 0.6


def test_a_voice_that_is_not_installed_is_refused_with_its_name():
    with pytest.raises(AssetError, match="no_such_voice"):
        festival.synthesise("Hello.", "no_such_voice")


@pytest.mark.skipif(not VOICES, reason="needs Debian's festival and a voice")
@pytest.mark.parametrize("name", VOICES)
def test_recorded_voices_speak_and_close_their_lips(name):
    language = festival.VOICES[name].language
    voice = speech.Voice(name, language, "festival")
    said = speech.speak(texts.SENTENCES[language][0], voice)
    assert len(said.samples) > SAMPLE_RATE and 0.05 < np.abs(said.samples).max() <= 1.0
    assert said.phones[-1].end == pytest.approx(len(said.samples) / SAMPLE_RATE, abs=0.15)
    assert len({p.symbol for p in said.phones}) > 10
    lips = said.lips()
    opening = mouth_opening(lips)
    closures = [p for p in said.phones if p.symbol[:1] in BILABIALS and p.end - p.start > 0.05]
    assert closures and opening.max() > 4
    for p in closures:
        assert opening[int(p.start * 25) : int(p.end * 25) + 1].min() < 0.5


@pytest.mark.skipif(not VOICES, reason="needs Debian's festival and a voice")
def test_the_same_text_gives_the_same_samples_and_a_text_cannot_leave_its_quotes():
    first, second = (festival.synthesise("Ciao.", VOICES[0])[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    said, _ = festival.synthesise('Hello" (quit) "', VOICES[0])
    assert len(said) > 0.3 * SAMPLE_RATE


def test_random_voices_of_a_split_are_of_that_split():
    for split in ("train", "new_recorded"):
        if speech.installed(split):
            names = {speech.random_voice(np.random.default_rng(seed), split).name for seed in range(60)}
            known = speech.SPLITS[split][2]
            assert {n for n in names if n in festival.VOICES} <= set(known)
    assert (speech.installed("train") and not speech.installed("new_recorded")) or VOICES or flite.available()
