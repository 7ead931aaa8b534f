from __future__ import annotations

import sys
import types
from urllib.error import URLError

import numpy as np
import pytest
import torch

from tests.face.drawn import DotAnalyser, DrawnFace, draw
from thgen.errors import WeightsError
from thgen.face.fan_landmarks import FanLandmarks
from thgen.face.finder import FaceFinder

FACE = DrawnFace(200.3, 180.7, 60)


def stand_in(monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None) -> list[dict]:
    """A fake face_alignment package that records the arguments of its calls."""
    calls: list[dict] = []

    class FaceAlignment:
        def __init__(self, landmarks_type: str, **options: object) -> None:
            calls.append(options)
            if failure:
                raise failure

        def get_landmarks_from_image(self, photo: np.ndarray, detected_faces: list) -> list[np.ndarray]:
            calls.append({"box": detected_faces[0]})
            return [(FACE.landmarks + np.array([2.5, 1.5])).astype(np.float32)]

    module = types.ModuleType("face_alignment")
    module.FaceAlignment = FaceAlignment  # type: ignore[attr-defined]
    module.LandmarksType = types.SimpleNamespace(TWO_HALF_D="2.5D")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "face_alignment", module)
    return calls


def test_weights_that_cannot_be_fetched_are_an_error_not_a_fall_back(
    monkeypatch: pytest.MonkeyPatch, analyser: DotAnalyser
) -> None:
    stand_in(monkeypatch, URLError("no network"))
    with pytest.raises(WeightsError, match="--landmarks analyser"):
        FaceFinder(analyser, landmarks="fan")


def test_its_points_replace_the_landmarks_and_frame_the_crop(
    monkeypatch: pytest.MonkeyPatch, analyser: DotAnalyser
) -> None:
    calls = stand_in(monkeypatch)
    photo = draw(400, 420, [FACE])
    plain = FaceFinder(analyser).crop(photo)
    crop = FaceFinder(analyser, landmarks="fan").crop(photo)
    assert calls[0]["compile"] is False and calls[0]["device"] == "cpu" and calls[0]["face_detector"] == "folder"
    assert np.allclose(calls[1]["box"], [*FACE.landmarks.min(0), *FACE.landmarks.max(0)], atol=0.2)
    moved = (
        crop.square.from_normalised(crop.keypoints)[:68, :2] - plain.square.from_normalised(plain.keypoints)[:68, :2]
    )
    assert np.allclose(moved, [3.0, 2.0], atol=0.1)  # 2.5 and 1.5, and half a pixel between the two conventions
    assert crop.square.x - plain.square.x == pytest.approx(3.0, abs=0.1)


def test_the_package_still_has_what_we_call() -> None:
    """The installed package has the constructor's options and the method. No weights are needed."""
    import inspect

    face_alignment = pytest.importorskip("face_alignment")
    options = inspect.signature(face_alignment.FaceAlignment.__init__).parameters
    assert {"device", "face_detector", "flip_input", "compile"} <= set(options)
    assert "detected_faces" in inspect.signature(face_alignment.FaceAlignment.get_landmarks_from_image).parameters
    assert hasattr(face_alignment.LandmarksType, "TWO_HALF_D")


def test_points_are_moved_by_half_a_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    out = FanLandmarks(torch.device("cpu")).landmarks(np.zeros((10, 10, 3), np.uint8), FACE.landmarks)
    assert np.allclose(out, FACE.landmarks + np.array([3.0, 2.0]), atol=1e-4)
