"""The command line: flags reach the request, and every bad input ends with one line, status 2 and no file."""

import argparse
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.crafted import bomb
from tests.fake_method import FakeSession, photo, voice
from thgen import pipeline
from thgen.__main__ import COMMANDS, main
from thgen.cli import generate as generate_cli
from thgen.errors import ControlError
from thgen.io.ffmpeg import probe
from thgen.io.mp4 import write_mp4
from thgen.recipe import Recipe
from thgen.schema import SAMPLE_RATE
from thgen.settings import Controls


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with good inputs: p.png, a.wav (1 s) and d.mp4; `generate` runs the fake method in it."""
    Image.fromarray(photo()).save(tmp_path / "p.png")
    soundfile.write(tmp_path / "a.wav", voice([(0.2, 0.8)], 1), SAMPLE_RATE)
    clip = (np.full((96, 128, 3), 100, np.uint8) for _ in range(25))
    write_mp4(tmp_path / "d.mp4", clip, (128, 96), 25)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline.Session, "load", classmethod(lambda cls, *a: FakeSession()))
    return tmp_path


def generate(*flags: str) -> int:
    return main(["generate", "--size", "128", *flags])


def test_a_video(folder, capsys):
    assert generate("--photo", "p.png", "--audio", "a.wav", "--out", "o.mp4") == 0
    out = capsys.readouterr().out
    assert out.startswith("o.mp4: 1.00 s, 25 frames") and "fake (made for the tests)" in out and "seed 0" in out
    assert probe(folder / "o.mp4").has_audio


def test_flags_reach_the_request(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(generate_cli, "_render", lambda request, *a: seen.append(request) or pipeline.Result(
        folder, 1.0, 25, 25, "rig", 0, [], [], 1.0))  # fmt: skip
    flags = (
        "--photo p.png --audio a.wav --pose d.mp4 --gaze d.mp4 --set pose.yaw=10 --set gaze.pitch=-5 --set au.12=3 "
        "--set blink.openness=80 --set expression.happy=0.7 --strength lip=1.2 --no-idle blink --motion absolute "
        "--expression-to p.png --blend expression=0:0,2:1 --seed 9 --face 1 --max-side 720 "
        "--no-paste-back --out o.mp4"
    )
    assert generate(*flags.split()) == 0
    values = {"pose.yaw": 10, "gaze.pitch": -5, "au.12": 3, "blink.openness": 80, "expression.happy": 0.7}
    controls = Controls(values=values, strength={"lip": 1.2}, idle={"blink": False}, motion="absolute",
                        blend={"expression": "0:0, 2:1"})  # fmt: skip
    assert seen[0] == pipeline.Request(
        photo="p.png", audio="a.wav", drivers={"pose": "d.mp4", "gaze": "d.mp4"}, controls=controls, method="rig",
        seed=9, face=1, size=128, paste_back=False, max_side=720, second_sources={"expression": "p.png"},
    )  # fmt: skip


def test_one_clip_for_all_is_a_flag_and_an_entry_of_the_recipe(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(generate_cli, "_render", lambda request, *a: seen.append(request) or pipeline.Result(
        folder, 1.0, 25, 25, "rig", 0, [], [], 1.0))  # fmt: skip
    flags = ["--photo", "p.png", "--audio", "a.wav", "--clip", "d.mp4", "--gaze", "p.png", "--out", "o.mp4"]
    assert generate(*flags, "--save-recipe", "r.json") == 0
    assert main(["generate", "--recipe", "r.json", "--out", "o.mp4"]) == 0
    for request in seen:
        assert request.drivers == {"pose": "d.mp4", "blink": "d.mp4", "expression": "d.mp4", "gaze": "p.png"}
    assert len(seen) == 2 and set(json.loads((folder / "r.json").read_text())["files"]) == {
        "photo",
        "audio",
        "clip",
        "gaze",
    }


def test_flags_of_version_1_say_what_they_said():
    parser = argparse.ArgumentParser()
    generate_cli.add_parser(parser.add_subparsers())
    old, new = (
        generate_cli.merged(parser.parse_args(f"generate --method pd_fgc --photo x {flags}".split()))[0]
        for flags in ("--no-live pose --others zero", "--no-idle pose --undriven zero")
    )
    assert old == new == Recipe(method="pd_fgc", controls=Controls(idle={"pose": False}, undriven="zero"))


def test_recipe_makes_the_video_again(folder):
    assert (
        generate("--photo", "p.png", "--audio", "a.wav", "--pose", "d.mp4", "--set", "pose.yaw=12", "--seed", "5",
                 "--save-recipe", "r.json", "--out", "a.mp4") == 0
    )  # fmt: skip
    saved = json.loads((folder / "r.json").read_text())
    assert saved["seed"] == 5 and saved["files"]["pose"]["path"] == "d.mp4" and len(saved["files"]) == 3
    assert main(["generate", "--recipe", "r.json", "--out", "b.mp4"]) == 0
    assert (folder / "a.mp4").read_bytes() == (folder / "b.mp4").read_bytes()
    assert main(["generate", "--recipe", "r.json", "--seed", "6", "--out", "c.mp4"]) == 0
    assert (folder / "c.mp4").read_bytes() != (folder / "a.mp4").read_bytes()


def test_flags_override_a_recipe(folder, capsys):
    controls = Controls(values={"pose.yaw": 5, "au.1": 1}, strength={"lip": 2}, idle={"gaze": False})
    base = Recipe(method="rig", seed=3, face=1, size=256, paste_back=False, max_side=720, controls=controls)
    (folder / "r.json").write_text(json.dumps(base.to_dict()))
    parser = argparse.ArgumentParser()
    generate_cli.add_parser(parser.add_subparsers())
    flags = "generate --recipe r.json --set pose.yaw=9 --strength pose=0 --no-idle pose --seed 0 --face 0 --photo x"
    recipe, files = generate_cli.merged(parser.parse_args(flags.split()))
    assert recipe.seed == 0 and recipe.face == 0 and recipe.size == 256 and not recipe.paste_back
    assert recipe.controls == Controls(
        values={"pose.yaw": 9, "au.1": 1}, strength={"lip": 2, "pose": 0}, idle={"gaze": False, "pose": False}
    )
    assert files == {"photo": "x"}


def test_a_changed_file_is_told(folder, capsys):
    assert generate("--photo", "p.png", "--audio", "a.wav", "--save-recipe", "r.json", "--out", "a.mp4") == 0
    soundfile.write("a.wav", voice([(0.1, 0.3)], 1), SAMPLE_RATE)
    assert main(["generate", "--recipe", "r.json", "--out", "b.mp4"]) == 0
    assert "a.wav is not the file" in capsys.readouterr().err


def test_still(folder):
    assert generate("--photo", "p.png", "--set", "blink.openness=0", "--still", "s.png") == 0
    assert np.asarray(Image.open("s.png")).shape == (160, 200, 3) and not (folder / "o.mp4").exists()


def write_bad_inputs(folder) -> None:
    """Every bad input of the issue, under the names that BAD uses."""
    noise = np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8)
    Image.fromarray(np.full((99, 99, 3), 90, np.uint8)).save(folder / "noface.png")
    (folder / "text.jpg").write_text("not an image")
    Image.fromarray(noise).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:2000])
    Image.new("RGB", (1, 1)).save(folder / "one.png")
    (folder / "bomb.png").write_bytes(bomb(50_000, 50_000))
    tone = voice([(0, 9)], 1)
    for name, samples in (("empty", tone[:0]), ("short", tone[:3200]), ("silence", 0 * tone), ("nan", tone * np.nan)):
        soundfile.write(folder / f"{name}.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    (folder / "text.mp3").write_text("not a sound")
    levels = [100] * 10 + [0] * 40 + [100] * 10
    write_mp4(folder / "lost.mp4", (np.full((96, 128, 3), v, np.uint8) for v in levels), (128, 96), 60)


BAD = {
    "no face": ("--photo noface.png", "face"),
    "not an image": ("--photo text.jpg", "not an image"),
    "truncated jpg": ("--photo cut.jpg", "damaged"),
    "1x1": ("--photo one.png", "1x1"),
    "zip bomb": ("--photo bomb.png", "megapixels"),
    "no photo file": ("--photo none.png", "no photo file"),
    "a folder": ("--photo .", "no photo file"),
    "audio of 0 s": ("--audio empty.wav", "too short"),
    "silence": ("--audio silence.wav", "silent"),
    "0.2 s": ("--audio short.wav", "too short"),
    "NaN samples": ("--audio nan.wav", "not numbers"),
    "wrong content": ("--audio text.mp3", "not a sound"),
    "photo as audio": ("--audio p.png", "audio|sound"),
    "video without sound": ("--audio d.mp4", "no sound track"),
    "driver without a face": ("--pose lost.mp4", "face"),
    "driver that is a sound": ("--pose a.wav", "no picture"),
    "second face": ("--face 1", "only one face"),
    "output folder": ("--out none/o.mp4", "does not exist"),
    "output under a file": ("--out a.wav/o.mp4", "does not exist"),
    "output is a folder": ("--out folder.mp4", "folder"),
    "output of another kind": ("--out o.avi", r"\.mp4"),
    "output on a system folder": ("--out /proc/o.mp4", "Nothing can be written"),
    "recipe nowhere": ("--save-recipe none/r.json", "does not exist"),
    "unknown control": ("--set pose.jaw=1", "no control"),
    "out of range": ("--set pose.yaw=99", "outside its range"),
    "not a number": ("--set pose.yaw=left", "needs a number from -45 to 45"),
    "no value": ("--set pose.yaw", "NAME=VALUE"),
    "unknown strength": ("--strength hair=1", "no factor"),
    "bad size": ("--size 100", "multiple of 32"),
    "bad recipe": ("--recipe text.jpg", "not valid JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(folder, capsys, case):
    """One line on stderr that says what, status 2, and every file as it was."""
    write_bad_inputs(folder)
    (folder / "folder.mp4").mkdir()
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    flags, says = BAD[case]
    good = {"--photo": "p.png", "--audio": "a.wav", "--out": "o.mp4", "--size": "128"}
    good.update(zip(flags.split()[::2], flags.split()[1::2], strict=True))
    status = main(["generate", *(word for pair in good.items() for word in pair)])
    error = capsys.readouterr().err
    assert status == 2 and error.startswith("thgen: ") and error.count("\n") == 1, error
    assert any(part in error for part in says.replace("\\", "").split("|"))
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


@pytest.mark.parametrize("flags", ["--photo p.png --out o.mp4", "--audio a.wav --out o.mp4", "--photo p.png"])
def test_something_is_missing(folder, capsys, flags):
    assert generate(*flags.split()) == 2
    assert "There is no" in (error := capsys.readouterr().err) and error.count("\n") == 1


@pytest.mark.parametrize("flags", [[], ["nonsense"], ["generate", "--no-idle", "lip"], ["generate", "--seed", "x"]])
def test_usage_errors(capsys, flags):
    with pytest.raises(SystemExit) as stop:
        main(flags)
    assert stop.value.code == 2


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_own_help(capsys, name):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0 and f"thgen {name}" in capsys.readouterr().out


def test_a_missing_package_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "thgen.cli.render", None)
    monkeypatch.setitem(COMMANDS, "render", ("a_package_that_is_absent", "", "train"))
    assert main(["render"]) == 2
    assert "pip install -e '.[train]'" in capsys.readouterr().err


def test_a_real_process(tmp_path):
    """No traceback, status 2, from the outside."""
    command = [sys.executable, "-m", "thgen", "generate", "--photo", "p.png", "--out", str(tmp_path / "no" / "o.mp4")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2 and run.stdout == "" and "Traceback" not in run.stderr
    assert run.stderr.startswith("thgen: The folder")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_leaves_nothing(tmp_path, number):
    """`kill` and Ctrl-C while frames are being written."""
    script = (
        "import sys, time, signal, numpy as np\n"
        "from thgen import __main__\nfrom thgen.io.mp4 import write_mp4\n"
        "def run(args):\n"
        "    def frames():\n"
        "        for i in range(10**6):\n"
        "            yield np.zeros((64, 64, 3), np.uint8); time.sleep(0.01); print(i, flush=True)\n"
        "    write_mp4(sys.argv[1], frames(), (64, 64), 10**6)\n"
        "from thgen.cli import generate\n"
        "generate.run = run\n"
        "signal.signal(signal.SIGTERM, __main__._stop)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where tests run in the background
        "sys.exit(__main__.main(['generate']))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "o.mp4")], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    assert len(list(tmp_path.iterdir())) == 1  # the file in the making
    process.send_signal(number)
    _, error = process.communicate(timeout=60)  # the frames would take hours
    assert process.returncode == 130 and error == b"thgen: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_pairs():
    assert generate_cli._pairs("--set", ["a=1", " b =-2.5e0"], "A=1") == {"a": "1", "b": "-2.5e0"}
    with pytest.raises(ControlError, match="takes A=1, not 'a'"):
        generate_cli._pairs("--set", ["a"], "A=1")
