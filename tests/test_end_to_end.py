"""The two commands of a stranger, with the bundled weights and the bundled examples: nothing here is a stand-in."""

import functools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import thgen
from thgen.io.ffmpeg import probe
from thgen.io.photo import read_photo
from thgen.io.sound import read_audio
from thgen.pipeline import Session, available_methods, generate, preview
from thgen.request import Request
from thgen.schema import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME
from thgen.settings import Controls

pytestmark = [pytest.mark.weights, pytest.mark.slow]
EXAMPLES = Path(__file__).parents[1] / "examples"
SILENT, SPOKEN = 11, 19  # frames
QUIET = slice(SILENT - 4)  # changes between frames in which lips do not move towards the first sound yet
STILL = {"pose": False, "gaze": False, "blink": False}


@pytest.fixture(scope="module")
def session() -> Session:
    return thgen.load("rig", "cpu")


@pytest.fixture(scope="module")
def voice(tmp_path_factory) -> Path:
    """SILENT frames of silence, then SPOKEN frames of an example voice, from where it begins to be loud."""
    samples = read_audio(EXAMPLES / "voice_1.wav")
    begin = int(np.argmax(np.abs(samples) > 0.1))
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    spoken = samples[begin : begin + SPOKEN * SAMPLES_PER_FRAME]
    soundfile.write(path, np.concatenate([np.zeros(SILENT * SAMPLES_PER_FRAME, np.float32), spoken]), SAMPLE_RATE)
    return path


@pytest.fixture(scope="module")
def region(session) -> Callable[[Path, slice], tuple[slice, slice]]:
    """(photo, landmarks) -> their rows and columns in the crop of 256 px. A face is sought once in each photo."""
    crop = functools.cache(lambda photo: session.finder.crop(read_photo(photo), 0, 256))

    def around(photo: Path, points: slice) -> tuple[slice, slice]:
        xy = (crop(photo).keypoints[points, :2] + 1) * 128
        (x0, y0), (x1, y1) = xy.min(0).astype(int) - 4, xy.max(0).astype(int) + 10
        return slice(y0, y1), slice(x0, x1)

    return around


@pytest.mark.parametrize("method", [name for name in available_methods() if name != "rig"])
def test_every_method_speaks_turns_and_holds_still(session, voice, region, method):
    """With its bundled weights: lips by the voice, the head by another's picture, and the photo as it is."""
    photo, other = EXAMPLES / "portrait_1.png", sorted(EXAMPLES.glob("portrait_*.png"))[-1]
    loaded = thgen.load(method, "cpu")
    factors = loaded.method.declaration.factors
    head = next(f.name for f in factors if "pose" in (f.name, *f.moves))
    still = Controls(idle={f.name: False for f in factors if f.idle})
    plain = Request(photo=photo, audio=voice, controls=still, method=method, size=256, paste_back=False)
    frames = np.concatenate([w.frames for w in generate(plain, loaded)]).astype(np.float32)
    mouth = region(photo, slice(48, 68))
    moved = np.abs(np.diff(frames[:, *mouth], axis=0)).mean(axis=(1, 2, 3))
    assert moved[SILENT:].mean() > 1.5 * moved[QUIET].mean()
    shown = preview(plain, loaded).astype(np.float32)
    assert np.abs(shown - loaded.prepare(plain).crop.image).mean() < 1, "nothing asked, nothing changed"
    turned = generate(plain.but(drivers={head: other}), loaded)
    assert np.abs(next(turned).frames[0] - shown).mean() > 1
    assert {w["name"] for w in loaded.weights()} >= set(loaded.method.declaration.weights)


@pytest.mark.parametrize("portrait", sorted(p.name for p in EXAMPLES.glob("portrait_*.png")))
def test_the_mouth_moves_with_the_voice_and_rests_in_silence(session, voice, region, portrait):
    photo = EXAMPLES / portrait
    request = Request(photo=photo, audio=voice, controls=Controls(live=STILL), size=256, paste_back=False)
    frames = np.concatenate([w.frames for w in generate(request, session)]).astype(np.float32)
    assert len(frames) == SILENT + SPOKEN
    mouth, brows = region(photo, slice(48, 68)), region(photo, slice(17, 27))

    def motion(where: tuple[slice, slice]) -> np.ndarray:
        return np.abs(np.diff(frames[:, *where], axis=0)).mean(axis=(1, 2, 3))

    silent, spoken = motion(mouth)[QUIET], motion(mouth)[SILENT:]
    assert spoken.mean() > 4 * silent.mean() and spoken.max() > 2
    assert motion(brows)[SILENT:].mean() < 0.5 * spoken.mean()  # the voice drives the lips alone


@pytest.mark.parametrize(
    "key,value", [("pose.yaw", 15), ("gaze.yaw", 15), ("blink.openness", 0), ("expression.happy", 1)]
)
def test_sliders_show(session, region, key, value):
    """Each moves what it names, more than everything else of the picture."""
    photo = EXAMPLES / "portrait_1.png"
    still = preview(Request(photo=photo, size=256, paste_back=False), session).astype(np.float32)
    moved = preview(Request(photo=photo, controls=Controls(values={key: value}), size=256, paste_back=False), session)
    change = np.abs(moved - still).mean(axis=-1)
    eyes, mouth = region(photo, slice(36, 48)), region(photo, slice(48, 68))
    inside = {"pose.yaw": change[64:192, 64:192], "expression.happy": change[mouth]}.get(key, change[eyes])
    assert inside.mean() > 1.5 and inside.mean() > 1.5 * change.mean()


def test_the_command_line(tmp_path, voice):
    """A process of its own: the mp4 is whole, says what made it, and is as long as the voice."""
    command = [sys.executable, "-m", "thgen", "generate", "--photo", EXAMPLES / "portrait_2.png", "--audio", voice,
               "--pose", EXAMPLES / "driving_1.mp4", "--size", "256", "--out", tmp_path / "o.mp4"]  # fmt: skip
    run = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert run.returncode == 0, run.stderr
    assert re.search(r"1\.20 s, 30 frames; .* s per second of video; method rig, seed 0", run.stdout)
    for name in ("analyser", "face_encoder", "audio", "rig"):
        assert re.search(rf"^  {name} \(bundled, [0-9a-f]{{12}}\)", run.stdout, re.M)
    found = probe(tmp_path / "o.mp4")
    assert found.has_audio and abs(found.seconds - 1.2) <= 1 / FPS
    assert b"method rig; seed 0; weights analyser " in (tmp_path / "o.mp4").read_bytes()


def test_the_same_seed_makes_the_same_video(session, voice):
    request = Request(photo=EXAMPLES / "portrait_1.png", audio=voice, size=256)
    first, second = (np.concatenate([w.frames for w in generate(request, session)]) for _ in range(2))
    assert np.array_equal(first, second)
