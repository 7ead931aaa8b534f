"""Clips for the stages of SPEAK."""

import argparse

import pytest

from thgen.cli import render as cli


@pytest.fixture(scope="session")
def talk(tmp_path_factory):
    """Two clips of the built-in head, speaking for 20 frames; the last seven have the emotion of the clip."""
    pytest.importorskip("espeakng_loader")
    out = tmp_path_factory.mktemp("speak_talk")
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    options = ["--head", "ellipsoid", "--identities", "2", "--clips-per-identity", "1", "--frames", "20"]
    cli.run(parser.parse_args(["render", *options, "--size", "128", "--flow-size", "64", "--motion", "track",
                               "--out", str(out)]))  # fmt: skip
    return out
