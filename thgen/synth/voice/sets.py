"""The named sets of voices that data can be made with, and the error where one of their voices is not installed.

A set is part of the data's specification, as the seed is. Which voice a seed draws depends on the set alone, never on
what a machine has installed. A voice that is drawn and missing is an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from thgen.errors import AssetError

# espeak: the voices of the wheel espeakng-loader, which every machine has.
# all: those and the voices of flite and festival that are built from recordings of people, which Debian packages bring.
VOICE_SETS = ("espeak", "all")


def check_name(voices: str) -> None:
    """Raises AssetError unless `voices` is one of VOICE_SETS."""
    if voices not in VOICE_SETS:
        raise AssetError(f"There is no set of voices {voices!r}; choose one of: {', '.join(VOICE_SETS)}.")


def add_argument(parser: argparse.ArgumentParser, about: str) -> None:
    """Add --voices, the name of a set. about: what the voices of the command are for."""
    parser.add_argument(
        "--voices", choices=VOICE_SETS, default="espeak",
        help=f"{about}: espeak (on every machine; default), or all, with the recorded voices of Debian's packages",
    )  # fmt: skip


def not_installed(names: Iterable[str], packages: Iterable[str]) -> AssetError:
    """The error for recorded voices that this machine lacks. packages: of Debian, those that bring them."""
    return AssetError(
        f"Recorded voices are not installed ({', '.join(names)}): run `apt install {' '.join(packages)}`, or do "
        "without them (render and evaluate with --voices espeak, train with --set data.voices=espeak)."
    )
