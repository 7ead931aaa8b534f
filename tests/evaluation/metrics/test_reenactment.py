"""All measures of a result: of the truth itself, of the photo, and where a measure does not exist."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from thgen.evaluation.metrics.reenactment import frame_scores, means_of
from thgen.evaluation.scenes.held_out import held_out
from thgen.face.observe import Observer
from thgen.synth.head.ellipsoid import ellipsoid_head


@pytest.fixture(scope="module")
def clip():
    return next(iter(held_out(1, 2, 64, 64, drivers=False, mesh=ellipsoid_head()))).clip


@pytest.fixture(scope="module")
def observer():
    return Observer(Constant(70), torch.device("cpu"))


def test_the_true_frames_have_no_error_that_a_picture_shows(clip, observer) -> None:
    scores = means_of(frame_scores(clip.frames[1:], clip.flow[1:], clip, observer))
    assert scores["SSIM"] == pytest.approx(1) and scores["EPE %"] == 0
    assert np.isnan(scores["PSNR dB"]), "infinite in every frame"
    assert scores["LMD %"] > 5, "this analyser gives every face the same landmarks"


def test_each_frame_is_compared_with_its_own_truth(clip, observer) -> None:
    right = frame_scores(clip.frames[1:], None, clip, observer)
    swapped = frame_scores(clip.frames[:0:-1], None, clip, observer)
    assert len(right) == 2 and all(r["SSIM"] > s["SSIM"] for r, s in zip(right, swapped, strict=True))
    assert all(np.isnan(frame["EPE %"]) for frame in right), "no flow is known"


def test_means_leave_out_what_is_not_finite() -> None:
    assert means_of([{"a": 1.0, "b": float("inf")}, {"a": 3.0, "b": 5.0}]) == {"a": 2, "b": 5}
    assert means_of([]) == {}
