"""People who speak: what is driven by what, and what the table says of the truth and of nothing."""

import numpy as np
import pytest
import torch

from tests.hidden import recorded_voices
from thgen.__main__ import main
from thgen.evaluation.reports import talk, variance
from thgen.face.look import Looker
from thgen.methods.base import Decoded
from thgen.methods.rig.method import Rig
from thgen.synth.head.ellipsoid import ellipsoid_head

pytest.importorskip("espeakng_loader")


@pytest.fixture(scope="module")
def rig():
    torch.set_num_threads(1)
    return Rig.load(torch.device("cpu"))


def test_the_same_people_say_the_same():
    first, again = (next(iter(talk.talks(1, 13, 96, ellipsoid_head()))) for _ in range(2))
    np.testing.assert_array_equal(first.clip.frames, again.clip.frames)
    assert first.voice.shape == (13 * 640,) and np.array_equal(first.voice, again.voice)


@pytest.mark.parametrize(("module", "scenes"), [(talk, "talks"), (variance, "performances")])
@pytest.mark.parametrize("voices", ["espeak", "all"])
def test_who_speaks_is_told_to_the_scenes_and_by_the_report(module, scenes, voices, monkeypatch):
    asked = []

    def stop(rng, frames, voices):
        asked.append(voices)
        raise InterruptedError

    monkeypatch.setattr(module, "track_states", stop)
    with pytest.raises(InterruptedError):
        next(iter(getattr(module, scenes)(1, 13, 96, ellipsoid_head(), voices)))
    assert asked == [voices]


@pytest.mark.parametrize("what", ["talk", "variance"])
def test_voices_that_are_missing_are_told_before_anything_is_rendered(what, tmp_path, capsys):
    with recorded_voices(False):
        assert main(["evaluate", what, "--voices", "all", "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.count("package-of-") == 15, "all of the set, not the first that is drawn"
    assert not list(tmp_path.iterdir())


def test_lips_follow_the_voice_and_all_else_the_clip(rig):
    spoken = next(iter(talk.talks(1, 13, 96, ellipsoid_head())))
    asked = []

    class Watched(Rig):
        def encode_audio(self, samples, frames):
            assert np.array_equal(samples, spoken.voice)
            return {"lip": torch.full((frames, 21), 0.25)}

        def decode(self, identity, factors):
            asked.append(factors)
            return Decoded(identity.image.expand(len(factors["lip"]), -1, -1, -1), torch.ones(1, 1, 96, 96))

    watched = Watched(rig.guide.analyser, rig.audio, rig.guide.generator, torch.device("cpu"))
    made = talk.self_driven(watched, spoken)
    assert made.shape == (5, 96, 96, 3)
    assert (asked[0]["lip"] >= 0.25 - 1e-5).all(), "from the closed mouth"
    tracks = watched.encode_clip(list(spoken.clip.frames))
    torch.testing.assert_close(torch.cat([a["pose"][:, :3] for a in asked]), tracks["pose"][:: talk.EVERY, :3])


def test_what_is_held_stays_as_in_the_first_frame(rig):
    spoken = next(iter(talk.talks(1, 13, 96, ellipsoid_head())))
    asked = []

    class Watched(Rig):
        def decode(self, identity, factors):
            asked.append(factors)
            return Decoded(identity.image.expand(len(factors["lip"]), -1, -1, -1), torch.ones(1, 1, 96, 96))

    watched = Watched(rig.guide.analyser, rig.audio, rig.guide.generator, torch.device("cpu"))
    talk.self_driven(watched, spoken, ("expression",))
    assert asked[0]["expression"].std(0).max() < 1e-6 < asked[0]["pose"].std(0).max()


def test_the_truth_is_nearest_and_its_own_distance_is_zero(rig):
    looker = Looker(rig.guide.analyser, torch.device("cpu"))
    report = talk.measure([rig], looker, 1, 10, 96, mesh=ellipsoid_head())
    assert report.settings["voices"] == "espeak"
    rows = {row[""]: row for row in report.rows}
    assert list(rows) == [talk.COPY, "rig", talk.TRUE]
    assert rows[talk.TRUE]["FD"] == pytest.approx(0, abs=1e-6) and rows[talk.COPY]["FD"] > 1e-4
    assert rows[talk.COPY]["lips r"] is None, "a photo's lips do not move"
    assert all(np.isfinite(v) for v in rows["rig"].values() if not isinstance(v, str))


def test_frechet_distance_of_two_clouds():
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(4000, 3))
    assert talk.frechet(cloud, cloud) == pytest.approx(0, abs=1e-9)
    assert talk.frechet(cloud, cloud + np.array([3, 0, 4])) == pytest.approx(25, rel=1e-6)
    assert talk.frechet(cloud, 2 * cloud) == pytest.approx(3, rel=0.05), "(2 - 1)^2 for each of three axes"


def test_opening_is_a_share_of_the_eyes_distance():
    points = np.zeros((1, 68, 2))
    points[0, 36], points[0, 45] = (-1, 0), (1, 0)
    points[0, [65, 66, 67]] = (0, 0.5)
    assert talk.opening(points) == pytest.approx([25])
