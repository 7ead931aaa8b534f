"""AudioToLip and the procedure that applies it."""

import numpy as np
import pytest
import soxr
import torch

from thgen.audio import log_mel as audio
from thgen.audio import voice_activity
from thgen.errors import AudioError
from thgen.methods.rig.audio_network import FOLD, AudioToLip
from thgen.methods.rig.voice import encode_lips
from thgen.schema import LIP_COEFFICIENTS, SAMPLE_RATE, SAMPLES_PER_FRAME
from thgen.synth.voice.visemes import mouth_opening


@pytest.fixture
def tiny() -> AudioToLip:
    torch.manual_seed(0)
    model = AudioToLip(fine=16, coarse=24, fine_dilations=(1, 2), coarse_dilations=(1, 2)).eval()
    torch.nn.init.constant_(model.head.bias, 0.3)
    return model


def hum(seconds: float) -> np.ndarray:
    """A voiced buzz with changing vowels, which the voice detector takes for speech; no synthesiser needed."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    buzz = (np.cumsum(np.full(len(time), 130 / SAMPLE_RATE)) % 1 < 0.1).astype(np.float32)
    return (0.3 * buzz * (1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def test_shape_and_size():
    model = AudioToLip()
    assert model(torch.zeros(2, audio.MEL_BINS, 40)).shape == (2, 10, len(LIP_COEFFICIENTS))
    assert 0.7e6 < sum(p.numel() for p in model.parameters()) < 1.5e6


def test_every_parameter_gets_a_gradient(tiny):
    tiny(torch.randn(2, audio.MEL_BINS, 80)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tiny.parameters())


@pytest.mark.parametrize("model", [AudioToLip(), AudioToLip(fine=16, coarse=24, fine_dilations=(1, 2, 4, 8))])
def test_context_is_what_an_output_depends_on(model):
    model = model.double().eval()
    mel = torch.randn(1, audio.MEL_BINS, 4 * 100, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(mel)[0, 50].sum(), mel)
    seen = torch.nonzero(gradient.abs().sum((0, 1)))[:, 0]
    first, last = int(seen.min()) // 4, int(seen.max()) // 4
    assert 50 - model.context <= first <= 50 <= last <= 50 + model.context
    assert 50 - first >= model.context - 1  # and it is not far too large either


@pytest.mark.parametrize("chunk", [5, 40])
def test_chunks_give_the_answer_of_one_pass(tiny, monkeypatch, chunk):
    monkeypatch.setattr(voice_activity, "speech_mask", lambda samples, frames: np.ones(frames, bool))
    samples = np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE).astype(np.float32) * 0.1
    whole = encode_lips(tiny, samples, 75, chunk=1000)
    assert whole.std() > 0.005
    torch.testing.assert_close(encode_lips(tiny, samples, 75, chunk=chunk), whole, atol=1e-5, rtol=0)


def test_lips_are_closed_in_silence_and_move_in_speech(tiny):
    pytest.importorskip("espeakng_loader")
    from thgen.synth.voice.speech import Voice, joined, speak

    said = speak("Please open the window a little.", Voice("en-us"))
    whole = joined([said], [1.0, 1.5])
    lips = encode_lips(tiny, whole.samples, whole.frames)
    assert lips.shape == (whole.frames, 21) and lips.dtype == torch.float32
    assert (lips[:12] == 0).all() and (lips[-18:] == 0).all()
    middle = lips[25 + 5 : 25 + len(said.samples) // SAMPLES_PER_FRAME - 8]
    assert (middle.max(-1).values > 0).all() and lips.min() >= 0 and lips.max() <= 1
    assert not encode_lips(tiny, np.zeros(SAMPLE_RATE, np.float32), 25).any()


def test_frames_may_be_more_or_fewer_than_the_sound(tiny):
    samples = hum(1.0)
    assert encode_lips(tiny, samples, 40).shape == (40, 21)
    assert not encode_lips(tiny, samples, 40)[-8:].any()
    assert encode_lips(tiny, samples, 10).shape == (10, 21)


def test_empty_sound_is_refused(tiny):
    with pytest.raises(AudioError, match="empty"):
        encode_lips(tiny, np.zeros(0, np.float32), 5)
    with pytest.raises(AudioError, match="not numbers"):
        encode_lips(tiny, np.full(SAMPLE_RATE, np.nan, np.float32), 25)


# --- the bundled weights -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> AudioToLip:
    from thgen.weights.hub import load_network

    return load_network("audio", torch.device("cpu"))


@pytest.fixture(scope="module")
def said():
    """Sentences of a voice variant that training never hears, with silence around and between."""
    pytest.importorskip("espeakng_loader")
    from thgen.synth.voice.speech import Voice, joined, speak

    voice = Voice("en-us+m6", rate=150)
    parts = [speak(t, voice) for t in ("My mama may buy a big map.", "Papa saw a blue boat on the water.")]
    return joined(parts, [1.0, 0.8, 1.0])


def opening_of(model: AudioToLip, samples: np.ndarray, frames: int) -> np.ndarray:
    return mouth_opening(encode_lips(model, samples, frames).numpy())


@pytest.mark.weights
def test_trained_lips_follow_a_voice_never_heard(trained, said):
    truth, guess = mouth_opening(said.lips()), opening_of(trained, said.samples, said.frames)
    assert np.corrcoef(truth, guess)[0, 1] > 0.7

    def part(phone) -> np.ndarray:
        return guess[int(phone.start * 25) : int(np.ceil(phone.end * 25))]

    closed = [part(p).min() for p in said.phones if p.symbol in ("m", "b", "p")]
    assert np.mean(np.array(closed) < 1.5) > 0.75
    vowels = [part(p).max() for p in said.phones if p.symbol[:2] in ("ˈɑ", "ˈɔ", "ˈæ")]
    assert np.mean(vowels) > 4


@pytest.mark.weights
def test_lips_are_not_ahead_of_the_sound_nor_behind_it(trained, said):
    truth, guess = mouth_opening(said.lips()), opening_of(trained, said.samples, said.frames)
    match = {shift: np.corrcoef(np.roll(guess, shift)[5:-5], truth[5:-5])[0, 1] for shift in range(-4, 5)}
    assert max(match, key=match.get) == 0
    shifted = np.concatenate([np.zeros(10 * SAMPLES_PER_FRAME, np.float32), said.samples])
    later = opening_of(trained, shifted, said.frames + 10)
    assert np.corrcoef(later[10:], guess)[0, 1] > 0.97  # ten frames more of silence: the same mouth ten frames later


@pytest.mark.weights
def test_mouth_is_shut_in_silence_and_for_noise(trained, said):
    opening = opening_of(trained, said.samples, said.frames)
    start, end = said.phones[1].start, said.phones[-1].start
    times = (np.arange(said.frames) + 0.5) / 25
    quiet = (times < start - 0.3) | (times > end + 0.3)
    assert np.abs(opening[quiet]).max() < 0.05 * np.percentile(opening, 95)
    hiss = 0.01 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE).astype(np.float32)
    assert np.abs(opening_of(trained, hiss, 75)).mean() < 0.3


@pytest.mark.weights
def test_a_telephone_line_moves_the_same_lips(trained, said):
    narrow = soxr.resample(soxr.resample(said.samples, SAMPLE_RATE, 8000), 8000, SAMPLE_RATE).astype(np.float32)
    wide, phone = (opening_of(trained, s, said.frames) for s in (said.samples, narrow[: len(said.samples)] * 0.2))
    assert np.corrcoef(wide, phone)[0, 1] > 0.8


def test_the_network_takes_the_mel_that_preprocessing_makes():
    """The network states its sizes itself, as it stands below preprocessing."""
    assert FOLD == audio.MEL_PER_FRAME
    assert AudioToLip(fine=8, coarse=8).stem.in_channels == audio.MEL_BINS
