"""People who speak and people whom they drive: the same ones at every call, with the factors that they should have."""

import numpy as np
import pytest

from thgen.evaluation.scenes import speakers
from thgen.evaluation.scenes.speakers import STATE_FACTORS, cut_to, performances, talks, with_factor
from thgen.schema import COEFFICIENT_INDEX
from thgen.synth.head.ellipsoid import ellipsoid_head
from thgen.synth.head.performer import State
from thgen.synth.voice.speech import Speech

EVERY = 4


def test_a_voice_is_as_long_as_its_frames():
    said = Speech(np.ones(1000, np.float32), ())
    assert cut_to(said, 1).shape == (640,) and cut_to(said, 1).all()
    longer = cut_to(said, 2)
    assert longer.shape == (1280,) and longer[:1000].all() and not longer[1000:].any()


def test_a_state_takes_over_one_factor():
    still = State.neutral()
    moved = State(np.arange(57, dtype=np.float32) / 57 + 0.1, np.ones(6, np.float32), np.ones((2, 2), np.float32))
    mixed = {name: with_factor(still, moved, name) for name in STATE_FACTORS}
    assert (mixed["pose"].pose == 1).all() and (mixed["pose"].coefficients == 0).all()
    assert (mixed["gaze"].gaze == 1).all() and (mixed["gaze"].pose == 0).all()
    owned = [set(np.flatnonzero(mixed[name].coefficients)) for name in ("lip", "blink", "expression")]
    assert COEFFICIENT_INDEX["jawOpen"] in owned[0] and COEFFICIENT_INDEX["eyeBlink_L"] in owned[1]
    assert not owned[0] & owned[1] and not owned[1] & owned[2] and not owned[0] & owned[2]


def test_the_same_people_say_the_same():
    pytest.importorskip("espeakng_loader")
    first, again = (next(iter(talks([0], 13, 96, ellipsoid_head()))) for _ in range(2))
    np.testing.assert_array_equal(first.clip.frames, again.clip.frames)
    assert first.voice.shape == (13 * 640,) and np.array_equal(first.voice, again.voice)


def test_renders_with_one_factor_change_only_where_it_lies():
    pytest.importorskip("espeakng_loader")
    act = next(iter(performances([0], 25, 96, EVERY, ellipsoid_head())))
    assert set(act.alone) == set(STATE_FACTORS) and act.driver.shape == (25, 96, 96, 3)
    assert act.voice.shape == (25 * 640,) and {len(frames) for frames in act.alone.values()} == {7}
    moved = {f: np.abs(frames.astype(float) - act.photo).mean(0).mean(-1) for f, frames in act.alone.items()}
    assert moved["pose"].mean() > 3 * moved["lip"].mean() > 0
    rows = np.arange(96)[:, None]
    height = {f: (m * rows).sum() / m.sum() for f, m in moved.items() if m.sum()}
    assert height["lip"] > height["gaze"], "the mouth lies below the eyes"
    again = next(iter(performances([0], 25, 96, EVERY, ellipsoid_head())))
    np.testing.assert_array_equal(act.alone["lip"], again.alone["lip"])


@pytest.mark.parametrize("voices", ["espeak", "all"])
@pytest.mark.parametrize("scenes", [lambda v: talks([0], 13, 96, ellipsoid_head(), v),
                                    lambda v: performances([0], 13, 96, EVERY, ellipsoid_head(), v)])  # fmt: skip
def test_the_set_of_voices_reaches_the_speech(scenes, voices, monkeypatch):
    asked = []

    def stop(rng, frames, voices):
        asked.append(voices)
        raise InterruptedError

    monkeypatch.setattr(speakers, "track_states", stop)
    with pytest.raises(InterruptedError):
        next(iter(scenes(voices)))
    assert asked == [voices]
