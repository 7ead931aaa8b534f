"""Photos above their canonical faces: what is shown where, and which methods have one."""

import argparse

import numpy as np
import pytest
import torch
from PIL import Image

from tests.fake_method import FakeSession, photo
from thgen.errors import ControlError
from thgen.evaluation.sheets import canonical
from thgen.evaluation.sheets.canonical import add_arguments, run, spread
from thgen.methods import METHODS


@pytest.fixture
def session(monkeypatch):
    """Its method has latents, of which the pose of the photo is 30 and moves the picture by as many pixels."""
    made = FakeSession()
    made.method.declaration = METHODS["pd_fgc"]
    plain = made.method.encode_photos

    def encode(crops):
        identity = plain(crops)
        own = {f.name: torch.zeros(1, f.size) for f in METHODS["pd_fgc"].factors}
        own["pose"] += 30
        return type(identity)(identity.image, own, {})

    def decode(identity, window, sliders=None):
        shift = round(float(window["pose"][0, 0]))
        return canonical_frame(identity.image.roll(shift, 3))

    made.method.encode_photos, made.method.decode = encode, decode
    monkeypatch.setattr(canonical.Session, "load", lambda *_: made)
    return made


def canonical_frame(image):
    from thgen.methods.base import Decoded

    return Decoded(image, torch.ones(1, 1, *image.shape[2:]))


def arguments(tmp_path, *words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([*words, "--size", "128", "--cell", "128", "--sheet", str(tmp_path / "out.png")])


def test_each_photo_stands_above_its_face_at_zero(session, tmp_path, monkeypatch):
    monkeypatch.setattr(canonical, "read_portrait", lambda name: (name, photo()))
    frames = [np.roll(photo(), 3 * k, 1) for k in range(5)]
    monkeypatch.setattr(canonical, "read_clip", lambda path: iter(frames))
    report = run(arguments(tmp_path, "a", "b", "--clip", "c.mp4", "--frames", "3", "--method", "pd_fgc"))
    assert [row["photo"] for row in report.rows] == ["a", "b", "c 0", "c 1", "c 2"]
    assert all(row["changed"] < 1 for row in report.rows), "pose 0 is the photo of this method, not its own 30"
    sheet = np.asarray(Image.open(tmp_path / "out.png")).astype(int)
    assert sheet.shape == (4 * 128, 3 * 128, 3)
    assert np.abs(sheet[:128, :128] - sheet[128:256, :128]).mean() < 1
    assert (sheet[:256, 256:] == 255).all(), "two people, three frames"


def test_frames_are_spread_over_the_clip():
    frames = [np.full((1, 1, 3), k, np.uint8) for k in range(11)]
    assert [int(f[0, 0, 0]) for f in spread(frames, 3)] == [0, 5, 10]
    assert len(spread(frames[:2], 6)) == 2


def test_a_method_without_a_canonical_face_says_so(tmp_path):
    with pytest.raises(ControlError, match="rig has no canonical face"):
        run(arguments(tmp_path, "--method", "rig"))
