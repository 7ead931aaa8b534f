"""`python -m thgen view`: a declared view becomes a PNG; every bad input ends with one line, status 2 and no file."""

import numpy as np
import pytest
from PIL import Image

from tests.fake_method import FakeFinder, photo
from tests.toy.declaration import TOY
from tests.toy.method import Toy
from thgen import pipeline
from thgen.__main__ import main
from thgen.io.mp4 import write_mp4
from thgen.methods import METHODS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """p.png, flat.png (no face), c.mp4, back.mp4 (no face)."""
    monkeypatch.setitem(METHODS, "toy", TOY)
    Image.fromarray(photo()).save(tmp_path / "p.png")
    Image.new("RGB", (96, 96), (90, 90, 90)).save(tmp_path / "flat.png")
    for name, level in (("c.mp4", 100), ("back.mp4", 0)):
        write_mp4(tmp_path / name, (np.full((96, 128, 3), level, np.uint8) for _ in range(25)), (128, 96), 25)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline.Session, "load", classmethod(lambda cls, *a: cls(Toy(), FakeFinder())))
    return tmp_path


def view(*words: str) -> int:
    out = [] if "--out" in words else ["--out", "o.png"]
    return main(["view", "toy", "negative", *words, *out])


def test_photos_and_a_clip_become_a_picture(folder, capsys):
    assert view("--photo", "p.png", "--photo", "p.png", "--clip", "c.mp4", "--size", "64") == 0
    assert capsys.readouterr().out == "o.png\n"
    assert Image.open(folder / "o.png").size == (4 * 68 + 4, 2 * 88 + 4)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "There is not enough to show"),
        (["--photo", "p.png"] * 4, "takes up to 3 photos and a clip, not 4 photos"),
        (["--photo", "p.png", "--photo", "flat.png"], "Photo 2: No human face"),
        (["--photo", "absent.png"], "Photo 1: There is no photo file"),
        (["--clip", "back.mp4"], "No frame of the driving clip shows a human face"),
        (["--clip", "p"], "no sound or video file"),
        (["--photo", "p.png", "--size", "100"], "multiple of 32"),
        (["--photo", "p.png", "--out", "o.jpg"], "must be a file name that ends in .png"),
        (["--photo", "p.png", "--out", "p.png"], "would replace one of the inputs"),
    ],
)
def test_bad_inputs_end_with_one_line_and_no_file(folder, capsys, words, says):
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert view(*words) == 2
    told = capsys.readouterr().err
    assert told.startswith("thgen: ") and says in told and told.count("\n") == 1
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("method", "name", "says"),
    [
        ("magic", "negative", "no method 'magic'"),
        ("toy", "figure", "no view 'figure'"),
        ("rig", "x", "has no view 'x'"),
    ],
)
def test_unknown_names(folder, capsys, method, name, says):
    assert main(["view", method, name, "--photo", "p.png", "--out", "o.png"]) == 2
    assert says in capsys.readouterr().err


def test_the_help_lists_what_methods_declare(folder, capsys):
    with pytest.raises(SystemExit):
        main(["view", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "toy negative: Faces above their negatives. It takes up to 3 photos and a clip." in told
