"""Random motion: combined action units, nods on loud syllables, blinks with large saccades."""

import numpy as np
import pytest

from thgen.facs import coefficients_of, intensities_of
from thgen.schema import ACTION_UNITS, COEFFICIENT_INDEX, EMOTIONS, FPS, SAMPLE_RATE
from thgen.synth.head.performer import BLINK_CLOSED
from thgen.synth.motion import (
    EMOTION_EASE,
    EMOTION_SECONDS,
    GAZE_LIMIT,
    POSE_LIMIT,
    _emotion_track,
    _nods,
    _saccade_blinks,
    emotion_at,
    random_state,
)
from thgen.synth.voice.speech import Speech


@pytest.fixture(scope="module")
def states():
    return [random_state(np.random.default_rng(seed)) for seed in range(1500)]


def test_combinations_of_units_occur_together(states):
    units = intensities_of(np.stack([s.coefficients for s in states]))
    number = {n: i for i, n in enumerate(ACTION_UNITS)}
    r = np.corrcoef(units.T)
    assert r[number[6], number[12]] > 0.3 and r[number[1], number[2]] > 0.2
    assert abs(r[number[12], number[15]]) < 0.15, "a smile and its opposite do not occur together"


def test_some_smiles_are_one_sided(states):
    left, right = (COEFFICIENT_INDEX[f"mouthSmile_{side}"] for side in "LR")
    both = np.stack([s.coefficients[[left, right]] for s in states])
    smiles = both[both.max(1) > 0.3]
    lopsided = (smiles.min(1) < 0.55 * smiles.max(1)).mean()
    assert 0.02 < lopsided < 0.35


def weights(states, *names):
    """Shape weights [states names]."""
    return np.stack([s.coefficients[[COEFFICIENT_INDEX[n] for n in names]] for s in states])


def test_mouths_open_wide_with_stretched_puckered_and_smiling_lips(states):
    jaw, stretch, funnel, smile, pucker = weights(
        states, "jawOpen", "mouthStretch_L", "mouthFunnel", "mouthSmile_L", "mouthPucker"
    ).T
    assert 0.05 < (jaw > 0.7).mean() < 0.25
    for lips in (stretch, funnel, smile):
        assert ((jaw > 0.4) & (lips > 0.5)).mean() > 0.012
    assert ((jaw < 0.15) & (smile > 0.7)).mean() > 0.02 and (pucker > 0.7).mean() > 0.03
    assert (jaw < 0.05).mean() > 0.2, "and many mouths stay closed"


def test_one_side_of_mouth_brows_and_lids_moves_alone(states):
    for stem, share in (("mouthSmile", 0.015), ("browOuterUp", 0.02), ("eyeBlink", 0.04)):
        left, right = weights(states, f"{stem}_L", f"{stem}_R").T
        assert ((left > 0.5) & (right < 0.5 * left)).mean() > share / 2, stem
        assert ((right > 0.5) & (left < 0.5 * right)).mean() > share / 2, stem


def test_eyes_are_shut_squinted_widened_and_apart(states):
    blink = weights(states, "eyeBlink_L", "eyeBlink_R")
    assert 0.06 < (blink.min(1) > 0.9 * BLINK_CLOSED).mean() < 0.25
    for name in ("eyeSquint_L", "eyeWide_L"):
        assert (weights(states, name) > 0.7).mean() > 0.03, name
    gaze = np.stack([s.gaze for s in states])
    apart = np.abs(gaze[:, 0] - gaze[:, 1])
    assert 0.01 < (apart[:, 0] > 8).mean() < 0.06 and (apart[:, 1] > 0).mean() < 0.06
    assert (np.abs(gaze) <= GAZE_LIMIT + 3).all()


def test_weights_stay_within_their_range(states):
    every = np.stack([s.coefficients for s in states])
    assert every.min() >= 0 and every.max() <= 1.2


def test_poses_reach_the_limits_and_do_not_exceed_them(states):
    pose = np.abs(np.stack([s.pose for s in states]))
    assert (pose <= POSE_LIMIT + 1e-4).all()
    assert (np.quantile(pose[:, :3], 0.98, axis=0) > [38, 22, 17]).all()


def test_nods_come_with_loud_syllables_and_not_in_silence():
    frames = 200
    samples = np.zeros(frames * SAMPLE_RATE // 25, np.float32)
    for second in (1.0, 3.0, 5.0, 7.0):
        at = int(second * SAMPLE_RATE)
        samples[at : at + 2000] = 0.5
    tracks = [_nods(np.random.default_rng(seed), Speech(samples, ()), frames) for seed in range(8)]
    assert all((t <= 0).all() for t in tracks), "a nod moves the head down"
    mean = -np.mean(tracks, 0)
    peaks = [mean[int(s * 25) - 2 : int(s * 25) + 8].max() for s in (1, 3, 5, 7)]
    assert min(peaks) > 0.3 and mean[40:60].max() < 0.2 * max(peaks)
    assert not _nods(np.random.default_rng(0), Speech(0 * samples, ()), frames).any()


def test_large_shifts_of_gaze_often_come_with_a_blink():
    gaze = np.zeros((100, 2))
    gaze[30:, 0], gaze[70:, 0] = 15, 18
    closed = np.mean([_saccade_blinks(np.random.default_rng(seed), gaze) for seed in range(40)], 0)
    assert 0.3 < closed[31] < 0.7 and closed[71] == pytest.approx(0, abs=1e-3)


def test_a_track_shows_the_emotion_that_its_names_tell():
    """Where `emotion_at` names one, the coefficients are those of this emotion at some strength."""
    named = 0
    for seed in range(40):
        track, names = _emotion_track(np.random.default_rng(seed), 90)
        for frame in range(90):
            name = emotion_at(names, frame)
            if name is None:
                continue
            full = coefficients_of(EMOTIONS[name])
            size = float(track[frame] @ full / max(full @ full, 1e-9))
            assert np.allclose(track[frame], np.clip(size * full, 0, 1), atol=1e-4), (seed, frame)
            named += 1
    assert named > 0.4 * 40 * 90
    assert emotion_at((), 20) is None and emotion_at(["sad"], int(EMOTION_EASE * FPS)) is None
    assert emotion_at(["sad"], 80) == "sad" and emotion_at(["sad", "fear"], int(EMOTION_SECONDS[0] * FPS)) is None
