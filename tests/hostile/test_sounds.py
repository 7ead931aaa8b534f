"""Sound of every kind: the right samples or one typed sentence, in bounds; and the video plays what was analysed."""

import numpy as np
import pytest
import soundfile

from tests.hostile.sound_files import CONTAINERS, HOSTILE, RATE, SECONDS, contained, tone, wav
from tests.hostile.watch import is_sentence, watched
from thgen.errors import AudioError
from thgen.io.mp4 import write_mp4
from thgen.io.sound import Sound, read_audio, read_sound
from thgen.schema import FPS


@pytest.fixture
def temporary(tmp_path):
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container(tmp_path, temporary, name):
    path = contained(tmp_path, name)
    with watched(temporary):
        samples = read_audio(path)
    assert abs(samples.size / RATE - SECONDS) < 0.15, samples.size / RATE
    middle = samples[RATE // 2 : RATE // 2 + RATE]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(RATE)))
    assert abs(int(spectrum.argmax()) - 220) <= 1, "the tone is another one"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sounds(tmp_path, temporary, name):
    make, wanted = HOSTILE[name]
    path = tmp_path / "voice.wav"  # the content decides
    path.write_bytes(make(tmp_path))
    sound, error = None, None
    with watched(temporary):
        try:
            sound = read_sound(path, tmp_path / "kept.wav")
        except AudioError as refused:
            error = refused
    if sound is None:
        assert isinstance(wanted, str) and wanted in str(error) and is_sentence(error), error
        return
    assert wanted == "" or abs(sound.samples.size / RATE - wanted) < 0.05, error
    assert np.isfinite(sound.samples).all() and 1e-3 < np.abs(sound.samples).max() <= 1
    kept, rate = soundfile.read(sound.wave)
    assert abs(len(kept) / rate - sound.samples.size / RATE) < 0.01
    assert sound.gain * np.abs(kept).max() <= 1.001


def played(folder, sound: Sound) -> np.ndarray:
    """Samples [L 2] at 48 kHz of a video with this sound."""
    frames = int(SECONDS * FPS)
    video = write_mp4(folder / "o.mp4", [np.zeros((64, 64, 3), np.uint8)] * frames, (64, 64), frames, sound)
    from tests.hostile.pixel_formats import run

    return np.frombuffer(run("-i", video, "-f", "f32le", "-ac", "2", "-ar", "48000", "-"), "<f4").reshape(-1, 2)


def test_loud_floating_point_is_scaled_in_the_video_as_well(tmp_path):
    heard = played(tmp_path, read_sound(wav(tmp_path, tone(peak=6.9), subtype="FLOAT"), tmp_path / "kept.wav"))
    middle = heard[24_000:72_000, 0]
    assert 0.95 < np.abs(middle).max() <= 1.02
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum[600:].max() < 0.01 * spectrum.max(), "clipping makes overtones"


def test_inverted_stereo_is_heard_on_one_loudspeaker(tmp_path):
    both = np.stack([tone(), -tone()], 1)
    sound = read_sound(wav(tmp_path, both, subtype="FLOAT"), tmp_path / "kept.wav")
    assert sound.channel is not None and np.abs(sound.samples).max() > 0.45
    assert np.abs(played(tmp_path, sound).mean(1)).max() > 0.3


@pytest.mark.parametrize("kind", ["mono", "stereo"])
def test_ordinary_sound_keeps_its_level(tmp_path, kind):
    samples = tone() if kind == "mono" else np.stack([tone(), 0.5 * tone()], 1)
    sound = read_sound(wav(tmp_path, samples), tmp_path / "kept.wav")
    assert sound.gain == 1 and sound.channel == (0 if kind == "mono" else None)
    heard = played(tmp_path, sound)[24_000:72_000]
    levels = np.abs(heard).max(0)
    assert np.abs(levels - [0.5, 0.5 if kind == "mono" else 0.25]).max() < 0.06
