"""Clips of the built-in head for tests, as `thgen render` writes them."""

import argparse
from pathlib import Path

import pytest

from thgen.cli import render


def render_clips(out: Path, *options: str) -> Path:
    """The folder `out` with clips of two people, rendered with these options."""
    parser = argparse.ArgumentParser()
    render.add_parser(parser.add_subparsers())
    render.run(parser.parse_args(["render", "--head", "ellipsoid", "--identities", "2", *options, "--out", str(out)]))
    return out


def render_speakers(out: Path, frames: int) -> Path:
    """The folder `out` with a clip of 128 px of each of two people, who speak for so many frames."""
    pytest.importorskip("espeakng_loader")
    return render_clips(out, "--clips-per-identity", "1", "--frames", str(frames), "--size", "128", "--flow-size", "64",
                        "--motion", "track")  # fmt: skip
