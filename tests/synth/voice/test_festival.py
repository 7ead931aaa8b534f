"""Phone tables and missing packages of festival and flite; speech where festival is installed."""

import doctest

import numpy as np
import pytest

from tests.hidden import loader_without
from thgen.errors import AssetError
from thgen.schema import SAMPLE_RATE
from thgen.synth.voice import festival, flite, speech, texts
from thgen.synth.voice.visemes import BILABIALS, mouth_opening, segments

VOICES = [name for name in festival.VOICES if not festival.lacking(name)]


@pytest.mark.parametrize("name", festival.VOICES)
def test_every_phone_of_every_table_has_a_viseme(name):
    recorded = festival.VOICES[name]
    assert not [symbol for symbol in recorded.ipa.values() if symbol and not segments(symbol)]
    assert recorded.language in texts.SENTENCES and recorded.language in texts.SPELLINGS
    for sentence in texts.SENTENCES[recorded.language]:
        if recorded.language != "en":
            assert sentence.encode(recorded.encoding), "the encoding of the voice has the letters of the language"


def test_examples_in_the_docstrings():
    result = doctest.testmod(festival)
    assert result.attempted and not result.failed


def test_lines_become_phones_with_pauses_and_bursts():
    lines = ["0.2 100 #", "0.3 100 p", "0.5 100 a1", "0.6 100 b"]
    phones = festival._phones(lines, festival.VOICES["lp_diphone"].ipa)
    assert [p.symbol for p in phones] == ["", "p", "ˈa", "b"]
    assert phones[1].release == pytest.approx(0.26) and phones[3].release is None
    assert phones[-1].end == 0.6


@pytest.mark.parametrize("engine", [festival, flite])
def test_an_unknown_voice_is_an_error_with_its_name(engine):
    with pytest.raises(AssetError, match="no voice 'no_such_voice'; it has: "):
        engine.synthesise("Hello.", "no_such_voice")


def test_missing_packages_of_a_voice_are_named(tmp_path, monkeypatch):
    programs, voices = tmp_path / "bin", tmp_path / "voices"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(festival, "FOLDER", voices)
    assert festival.lacking("lp_diphone") == ("festival", "festvox-italp16k")
    with pytest.raises(AssetError, match=r"lp_diphone.*apt install festival festvox-italp16k`.*--voices espeak"):
        festival.synthesise("Ciao.", "lp_diphone")
    (programs / "festival").touch(0o755)
    assert festival.lacking("lp_diphone") == ("festvox-italp16k",)
    (voices / "italian" / "lp_diphone").mkdir(parents=True)
    assert festival.lacking("lp_diphone") == ()
    assert festival.lacking("pc_diphone") == ("festvox-itapc16k",)


def test_the_error_of_a_missing_flite_names_its_package(monkeypatch):
    flite._library.cache_clear()  # an earlier test may have loaded it
    flite._voice.cache_clear()
    monkeypatch.setattr("ctypes.CDLL", loader_without(("libflite",)))
    assert flite.lacking("slt") == ("libflite1",)
    with pytest.raises(AssetError, match=r"slt.*apt install libflite1`.*--voices espeak"):
        flite.synthesise("Hello.", "slt")


@pytest.mark.skipif(not VOICES, reason="needs Debian's festival and a voice")
@pytest.mark.parametrize("name", VOICES)
def test_recorded_voices_speak_and_close_the_lips(name):
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


@pytest.mark.parametrize(("split", "share"), [("train", 0.35), ("new_recorded", 1.0), ("new_voices", 0.0)])
def test_random_voices_belong_to_their_split(split, share):
    """All recorded voices of the split occur, about equally often, and together with the share of the split."""
    drawn = [speech.random_voice(np.random.default_rng(seed), split, "all") for seed in range(600)]
    recorded = [voice for voice in drawn if voice.engine != "espeak"]
    known = speech.SPLITS[split][2]
    assert len(recorded) == pytest.approx(share * len(drawn), rel=0.15)
    assert {voice.name: voice.engine for voice in recorded} == known
    names = [voice.name for voice in recorded]
    assert all(names.count(name) > 0.3 * len(names) / len(known) for name in known)
    for voice in recorded:
        assert voice.language == (festival.VOICES[voice.name].language if voice.engine == "festival" else "en")
