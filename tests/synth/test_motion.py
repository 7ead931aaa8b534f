"""Random motion: combined action units, nods on loud syllables, blinks with large saccades."""

import numpy as np
import pytest

from thgen.facs import intensities_of
from thgen.schema import ACTION_UNITS, COEFFICIENT_INDEX, SAMPLE_RATE
from thgen.synth.motion import POSE_LIMIT, _nods, _saccade_blinks, random_state
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
