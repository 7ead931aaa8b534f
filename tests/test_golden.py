"""The bundled weights still make the frames that were looked at and committed, on every machine."""

from __future__ import annotations

import pytest

import thgen
from tests.golden.frames import (
    FOLDER,
    METHODS,
    TOLERANCE,
    cases_of,
    difference,
    golden,
    made,
    networks,
    perturbed,
    read,
)

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture(scope="module")
def session():
    """(method) -> a session of it, loaded once."""
    loaded = {}

    def get(method: str):
        if method not in loaded:
            loaded[method] = thgen.load(method, device="cpu")
        return loaded[method]

    return get


@pytest.mark.parametrize(("method", "case"), [(method, case) for method in METHODS for case in cases_of(method)])
def test_the_frame_is_the_golden_one(method, case, session):
    off = difference(made(method, case, session(method)), read(golden(method, case)))
    assert off < TOLERANCE, f"{golden(method, case)}: {off:.3f}; write it again with: python -m tests.golden"


@pytest.mark.parametrize("method", METHODS)
def test_a_hundredth_of_noise_on_the_weights_is_seen(method):
    """The voice frame shows it least. A session of its own: the photo is encoded by the noisy networks as well."""
    session = thgen.load(method, device="cpu")
    with perturbed(list(networks(session)), 0.01):
        assert difference(made(method, "voice", session), read(golden(method, "voice"))) > 1.5 * TOLERANCE


def test_the_files_are_the_cases_and_small():
    files = set(FOLDER.glob("*.png"))
    assert files == {golden(method, case) for method in METHODS for case in cases_of(method)}
    assert sum(file.stat().st_size for file in files) < 300_000


def test_each_frame_is_one_of_its_own():
    """A frame that does not depend on method, voice or sliders would pass for another."""
    frames = {path: read(path) for path in FOLDER.glob("*.png")}
    for path, frame in frames.items():
        others = [difference(frame, other) for name, other in frames.items() if name != path]
        assert min(others) > 3 * TOLERANCE, path
