"""Shards written by the command, and read back by the reader of the training."""

import subprocess
import sys

import numpy as np
import pytest

from thgen.__main__ import main
from thgen.schema import COEFFICIENT_INDEX, SAMPLES_PER_FRAME
from thgen.synth.clip import iterate_samples
from thgen.synth.motion import track_states
from thgen.training.data.store import ClipStore


def words(out, *options):
    return ["render", "--head", "ellipsoid", "--size", "64", "--flow-size", "32", "--out", str(out), *options]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """By the command in a process of its own. The tests call it in this one, which saves the start."""
    out = tmp_path_factory.mktemp("shards")
    options = ("--identities", "2", "--clips-per-identity", "2", "--frames", "3", "--motion", "random")
    subprocess.run([sys.executable, "-m", "thgen", *words(out, *options)], check=True)
    return out


def test_the_store_reads_the_shards_of_the_command(shards):
    store = ClipStore(shards)
    assert len(store) == 4
    images, truth = store.load(1)
    assert images.shape == (3, 64, 64, 3) and images.dtype == np.uint8
    assert truth["flow"].shape == (3, 32, 32, 2) and truth["visible"].shape == (3, 32, 32)
    assert np.abs(truth["flow"][0]).max() < 1e-3, "frame 0 is its own reference"
    assert truth["visible"][0].mean() > 0.97
    inside = np.abs(truth["keypoints"][0, :68, :2]) < 1
    assert inside.all(), "the crop contains the face of the reference"
    assert truth["keypoints"][:, :68, 2].mean(1) == pytest.approx(0, abs=1e-4)


def test_a_second_run_changes_nothing_and_other_settings_are_refused(shards, capsys):
    before = {p.name: p.stat().st_mtime_ns for p in shards.glob("*.tar")}
    options = ("--identities", "2", "--clips-per-identity", "2", "--frames", "3", "--motion", "random")
    assert main(words(shards, *options)) == 0
    assert {p.name: p.stat().st_mtime_ns for p in shards.glob("*.tar")} == before
    assert main(words(shards, "--identities", "2", "--frames", "5", "--motion", "random")) == 2
    error = capsys.readouterr().err
    assert "other settings" in error and "Traceback" not in error


def test_the_same_seed_gives_the_same_clips(shards, tmp_path):
    options = ("--identities", "1", "--clips-per-identity", "2", "--frames", "3", "--motion", "random")
    assert main(words(tmp_path, *options)) == 0
    ours, theirs = (list(iterate_samples(p)) for p in (shards, tmp_path))
    assert ours[0]["0001.jpg"] == theirs[0]["0001.jpg"]
    assert ours[0]["0001.jpg"] != ours[1]["0001.jpg"]


def test_tracks_contain_speech_blinks_and_smooth_motion():
    frames = 150
    states, speech, emotions = track_states(np.random.default_rng(4), frames)
    coefficients = np.stack([s.coefficients for s in states])
    assert len(states) == frames and emotions
    assert len(speech.samples) >= frames * SAMPLES_PER_FRAME
    assert coefficients[:, COEFFICIENT_INDEX["jawOpen"]].max() > 0.1
    assert coefficients[:, COEFFICIENT_INDEX["eyeBlink_L"]].max() > 0.9
    step = np.abs(np.diff(np.stack([s.pose for s in states]), axis=0)).max(0)
    assert (step[:3] < 3).all(), "a head does not jump between frames"


def test_gestures_come_beside_the_speech_and_leave_the_rest_as_it_was():
    calm, lively = (track_states(np.random.default_rng(5), 800, gestures=rate)[0] for rate in (0.0, 1.0))
    both = [np.stack([s.coefficients for s in states]) for states in (calm, lively)]
    assert all((a.pose == b.pose).all() and (a.gaze == b.gaze).all() for a, b in zip(calm, lively, strict=True))
    assert (both[1] >= both[0] - 1e-6).all(), "a gesture adds to what the face does"
    added = both[1] - both[0]
    for names in (("browOuterUp_L", "browOuterUp_R"), ("eyeBlink_L", "eyeBlink_R"), ("mouthSmile_L", "mouthFunnel")):
        assert added[:, [COEFFICIENT_INDEX[name] for name in names]].max() > 0.3
    assert (added.max(1) < 1e-6).mean() > 0.2, "gestures end"
    assert np.abs(np.diff(added, axis=0)).max() < 0.65, "gestures come within a tenth of a second, not at once"
