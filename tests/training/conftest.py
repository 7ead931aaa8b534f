"""Shards of the built-in head, small but real, shared by the tests of the stages."""

import argparse

import pytest
import torch

from thgen.synth import cli


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("train")
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    options = ["--head", "ellipsoid", "--identities", "2", "--clips-per-identity", "2", "--frames", "5"]
    cli.run(parser.parse_args(["render", *options, "--motion", "random", "--out", str(out)]))
    return out
