"""The command line under hostile arguments: one sentence, status 2, every file as it was."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.fake_method import FakeSession, photo, voice
from thgen import pipeline
from thgen.__main__ import main
from thgen.io.mp4 import write_mp4
from thgen.schema import SAMPLE_RATE

DIGITS = "9" * 400


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """p.png, a.wav (1 s), d.mp4, and a recipe that names a photo."""
    Image.fromarray(photo()).save(tmp_path / "p.png")
    soundfile.write(tmp_path / "a.wav", voice([(0.2, 0.8)], 1), SAMPLE_RATE)
    write_mp4(tmp_path / "d.mp4", (np.full((96, 128, 3), 100, np.uint8) for _ in range(25)), (128, 96), 25)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline.Session, "load", classmethod(lambda cls, *a: FakeSession()))
    return tmp_path


def generate(*flags: str) -> int:
    photo = [] if "--photo" in flags else ["--photo", "p.png"]
    return main(["generate", *photo, "--audio", "a.wav", "--size", "128", *flags])


REFUSED: dict[str, tuple[list[str], str]] = {
    "400 digits as a slider": (["--set", f"pose.yaw={DIGITS}"], "outside its range"),
    "infinite slider": (["--set", "pose.yaw=1e999"], "outside its range"),
    "no number": (["--set", "pose.yaw=nan"], "outside its range"),
    "infinite strength": (["--strength", "lip=inf"], "outside its range"),
    "400 digits as a seed": (["--seed", DIGITS], "whole number"),
    "400 digits as a size": (["--size", DIGITS], "multiple of 32"),
    "400 digits as a blend": (["--blend", f"expression={DIGITS}"], "outside its range"),
    "keyframes of rubbish": (["--blend", "expression=0:0:0,::,"], "keyframes"),
    "a long control": (["--set", f"{'x' * 10_000}=1"], "no control"),
    "a control of control characters": (["--set", "\x1b[2J\u202e=1"], "no control"),
    "a long method": (["--method", "m" * 10_000], "There is no method"),
    "zeros without end as a recipe": (["--recipe", "/dev/zero"], "no recipe file"),
    "a pipe as a recipe": (["--recipe", "pipe"], "no recipe file"),
    "a folder as a recipe": (["--recipe", "."], "no recipe file"),
    "a recipe of 300 characters": (["--recipe", "r" * 300], "cannot be opened"),
    "null as a recipe": (["--recipe", "null.json"], "JSON object"),
    "a nested recipe": (["--recipe", "deep.json"], "not valid JSON"),
    "a recipe of many unknown keys": (["--recipe", "keys.json"], "no setting"),
    "a recipe of binary": (["--recipe", "a.wav"], "not valid JSON"),
    "a pipe as a photo": (["--photo", "pipe"], "no photo file"),
    "a pipe as a voice": (["--audio", "pipe"], "no audio file"),
    "a pipe as a clip": (["--pose", "pipe"], "no video file"),
    "a photo of 300 characters": (["--photo", "p" * 300], "cannot be opened"),
    "an output of 300 characters": (["--out", "o" * 300 + ".mp4"], "longer than 255 bytes"),
    "the photo as a still": (["--still", "p.png"], "replace one of the inputs"),
    "the clip as the output": (["--pose", "d.mp4", "--out", "d.mp4"], "replace one of the inputs"),
    "a link to the clip as the output": (["--pose", "d.mp4", "--out", "link.mp4"], "replace one of the inputs"),
    "the clip of a recipe as the output": (["--recipe", "clip.json", "--out", "d.mp4"], "replace one of the inputs"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(folder, capsys, case):
    os.mkfifo(folder / "pipe")
    (folder / "link.mp4").symlink_to("d.mp4")
    (folder / "null.json").write_text("null")
    (folder / "deep.json").write_text("[" * 200_000)
    (folder / "keys.json").write_text(json.dumps({"\u202e\x07" + "k" * 900 + str(i): 1 for i in range(900)}))
    (folder / "clip.json").write_text(json.dumps({"files": {"pose": {"path": "d.mp4", "sha256": "0" * 64}}}))
    before = {p.name: p.lstat().st_mtime_ns for p in folder.iterdir()}
    flags, says = REFUSED[case]
    assert generate(*(["--out", "o.mp4"] if "--out" not in flags else []), *flags) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("thgen: ") and any(part in error for part in says.split("|")), error
    assert error.isprintable() and len(error) < 2100
    assert {p.name: p.lstat().st_mtime_ns for p in folder.iterdir()} == before


def test_a_fault_of_thgen_itself_has_a_sentence_and_a_code(folder, capsys, monkeypatch, caplog):
    def fault(*args: object, wave: object, longest: object) -> None:
        raise TypeError("unhashable type: 'list'")

    monkeypatch.setattr(pipeline, "plan", fault)
    assert generate("--out", "o.mp4") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    code = last.partition("(code ")[2][:8]
    assert last.startswith("thgen: Something went wrong inside thgen (code ") and int(code, 16) >= 0
    assert code in caplog.text and "unhashable" in caplog.text
    assert not (folder / "o.mp4").exists()


@pytest.mark.parametrize("name", ["é" * 125 + ".mp4", "-o.mp4", "a b;$(x).mp4", "o\n.mp4"])
def test_odd_names_are_names(folder, capsys, name):
    assert generate(f"--out={name}") == 0
    assert (folder / name).stat().st_size > 1000
