"""`--without` hides what it names: from this process, and from those that it starts."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hidden import PROGRAMS, hide, names_of
from thgen.errors import AssetError
from thgen.synth.clip import head_mesh
from thgen.synth.voice import flite

ROOT = Path(__file__).parents[1]
LOAD = "import ctypes, sys\ntry: ctypes.CDLL(sys.argv[1])\nexcept OSError as error: print(error)\nelse: print('loaded')"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with festival, chromium and another program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("festival", "chromium", "another"):
        (folder / name).touch(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def test_programs_are_off_path_and_their_neighbours_are_not(tools, tmp_path, monkeypatch):
    hide(("festival",), tmp_path / "hidden", monkeypatch)
    assert shutil.which("festival") is None
    assert shutil.which("chromium") and shutil.which("another") and shutil.which("sh")


def test_all_takes_every_program_off_path(tools, tmp_path, monkeypatch):
    hide(names_of("all"), tmp_path / "hidden", monkeypatch)
    assert not [p for programs in PROGRAMS.values() for p in programs if shutil.which(p)]
    assert shutil.which("another")


def test_libraries_cannot_be_loaded_here_nor_by_a_process_that_is_started(tmp_path, monkeypatch):
    hide(("flite",), tmp_path / "hidden", monkeypatch)
    flite._library.cache_clear()
    flite._voice.cache_clear()
    assert flite.lacking("slt") == ("libflite1",)
    with pytest.raises(OSError, match="hidden"):
        ctypes.CDLL("libflite.so.1")
    assert ctypes.CDLL(None).srand, "the process itself can be asked as ever"
    told = subprocess.run([sys.executable, "-c", LOAD, "libflite.so.1"], capture_output=True, text=True, check=True)
    assert str(tmp_path / "hidden" / "libraries" / "libflite.so.1") in told.stdout


def test_the_wheel_of_espeak_still_speaks_without_debians(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    from thgen.synth.voice.speech import Voice, speak

    hide(("espeak-ng",), tmp_path / "hidden", monkeypatch)
    with pytest.raises(OSError, match="hidden"):
        ctypes.CDLL("libespeak-ng.so.1")
    assert len(speak("Hello.", Voice("en-us")).samples) > 4000


def test_facekit_is_missing_wherever_it_lies(tmp_path, monkeypatch):
    hide(("facekit",), tmp_path / "hidden", monkeypatch)
    with pytest.raises(AssetError, match="facekit"):
        head_mesh("facekit")


def test_names_are_checked():
    assert (
        names_of("all") == tuple(PROGRAMS) and names_of("flite, ffmpeg") == ("flite", "ffmpeg") and names_of("") == ()
    )
    with pytest.raises(pytest.UsageError, match="flute"):
        names_of("flute")


def test_make_test_bare_names_tests_that_exist():
    """One name that is gone ends `make test-bare` before any test has run."""
    run = subprocess.run(["make", "-C", str(ROOT), "-pn", "help"], capture_output=True, text=True, check=True)
    found = re.search("^BARE := (.*)$", run.stdout, re.M)
    assert found
    for item in found[1].split():
        file, _, name = item.partition("::")
        assert (ROOT / file).is_file(), file
        assert not name or re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.M), item
