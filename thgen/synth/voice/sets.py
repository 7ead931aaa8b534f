"""Named sets of voices for synthetic data, and the error for a voice that is not installed.

A set is part of the specification of data, like the seed. The voice that a seed draws depends on the set alone, not on
the voices that a machine has. If the drawn voice is missing, that is an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from thgen.errors import AssetError

# espeak: the voices of the wheel espeakng-loader, which installs everywhere.
# all: these, and the voices of flite and festival from recordings of people, which need Debian packages.
VOICE_SETS = ("espeak", "all")


def check_name(voices: str) -> None:
    """Raises AssetError unless `voices` is one of VOICE_SETS."""
    if voices not in VOICE_SETS:
        raise AssetError(f"There is no set of voices {voices!r}; choose one of: {', '.join(VOICE_SETS)}.")


def add_argument(parser: argparse.ArgumentParser, about: str) -> None:
    """Add --voices, the name of a set. about: purpose of the voices in the command, for the help text."""
    parser.add_argument(
        "--voices", choices=VOICE_SETS, default="espeak",
        help=f"{about}: espeak (on every machine; default), or all, with the recorded voices of Debian's packages",
    )  # fmt: skip


def not_installed(names: Iterable[str], packages: Iterable[str]) -> AssetError:
    """The error for recorded voices that this machine lacks. packages: Debian packages that contain them."""
    return AssetError(
        f"Recorded voices are not installed ({', '.join(names)}): run `apt install {' '.join(packages)}`, or do "
        "without them (render and evaluate with --voices espeak, train with --set data.voices=espeak)."
    )
