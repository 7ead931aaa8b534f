"""`pytest --without flite,chromium` (or `all`): tests run as if this machine had not installed what it may have.

What is hidden from the process of the tests is hidden from those that it starts as well.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from thgen.schema import SAMPLE_RATE
from thgen.synth.voice import speech
from thgen.synth.voice.visemes import Phone

# What may be hidden -> its programs on PATH, and how the names of its shared libraries begin.
PROGRAMS = {
    "flite": ("flite",),
    "festival": ("festival", "festival_client", "text2wave"),
    "espeak-ng": ("espeak-ng", "espeak"),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "ffmpeg": ("ffmpeg", "ffprobe"),
    "facekit": (),
}
LIBRARIES = {"flite": "libflite", "espeak-ng": "libespeak-ng"}


def names_of(option: str) -> tuple[str, ...]:
    """Names in a list with commas; "all" = those of PROGRAMS. Raises pytest.UsageError for an unknown one."""
    names = tuple(PROGRAMS) if option == "all" else tuple(n.strip() for n in option.split(",") if n.strip())
    if unknown := [name for name in names if name not in PROGRAMS]:
        raise pytest.UsageError(f"--without knows no {unknown[0]!r}; choose of: all, {', '.join(PROGRAMS)}")
    return names


def path_without(programs: set[str], folder: Path) -> str:
    """PATH in which folders that hold one of `programs` are replaced by links, below `folder`, to all else in them."""
    kept = []
    for number, entry in enumerate(os.environ.get("PATH", "").split(os.pathsep)):
        place = Path(entry)
        if any((place / program).exists() for program in programs):
            links = folder / f"path{number}"
            links.mkdir(parents=True)
            for file in place.iterdir():
                if file.name not in programs:
                    (links / file.name).symlink_to(file)
            place = links
        kept.append(str(place))
    return os.pathsep.join(kept)


def loader_without(prefixes: tuple[str, ...]) -> type[ctypes.CDLL]:
    """ctypes.CDLL that finds no library of the system whose name begins like that. One named by its path is not the
    system's: the wheel of espeak-ng brings its own."""

    class Loader(ctypes.CDLL):
        def __init__(self, name, mode=ctypes.DEFAULT_MODE, handle=None, use_errno=False, use_last_error=False):
            if name is not None and str(name).startswith(prefixes):
                raise OSError(f"{name} is hidden")
            super().__init__(name, mode, handle, use_errno, use_last_error)

    return Loader


def hide(names: tuple[str, ...], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Hide what is named until `patch` is undone. folder: an empty one that lasts as long."""
    patch.setenv("PATH", path_without({p for name in names for p in PROGRAMS[name]}, folder))
    prefixes = tuple(LIBRARIES[name] for name in names if name in LIBRARIES)
    if prefixes:
        patch.setattr(ctypes, "CDLL", loader_without(prefixes))
        libraries = folder / "libraries"  # a process that is started finds these first, and cannot load them
        libraries.mkdir(parents=True)
        for file in ("libflite.so.1", "libflite_usenglish.so.1", "libflite_cmulex.so.1", "libespeak-ng.so.1"):
            if file.startswith(prefixes):
                (libraries / file).touch()
        patch.setenv("LD_LIBRARY_PATH", str(libraries), prepend=os.pathsep)
    if "facekit" in names:
        patch.setenv("THGEN_FACEKIT", str(folder / "no_facekit"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", default="", metavar="NAMES", help=f"hide: all, or some of {', '.join(PROGRAMS)}")


def pytest_configure(config: pytest.Config) -> None:
    if names := names_of(config.getoption("--without")):
        folder = tempfile.TemporaryDirectory(prefix="hidden_")
        patch = pytest.MonkeyPatch()
        hide(names, Path(folder.name), patch)
        config.add_cleanup(folder.cleanup)
        config.add_cleanup(patch.undo)


@contextmanager
def recorded_voices(installed: bool) -> Iterator[None]:
    """As if every voice of flite and festival were installed (each says one vowel for a second), or none were."""

    def synthesise(text: str, voice: str) -> tuple[np.ndarray, tuple[Phone, ...]]:
        return np.full(SAMPLE_RATE, 0.1, np.float32), (Phone("ɑ", 0.0, 1.0),)

    with pytest.MonkeyPatch.context() as patch:
        for engine in speech.RECORDED_ENGINES.values():
            patch.setattr(engine, "lacking", lambda voice: () if installed else (f"package-of-{voice}",))
            if installed:
                patch.setattr(engine, "synthesise", synthesise)
        yield
