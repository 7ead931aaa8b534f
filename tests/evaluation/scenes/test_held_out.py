from __future__ import annotations

import numpy as np

from thgen.evaluation.scenes.held_out import held_out
from thgen.synth.head.ellipsoid import ellipsoid_head


def test_people_are_the_same_every_time_and_differ_from_their_drivers_in_the_same_states() -> None:
    (first,), (again,) = (list(held_out(1, 2, 64, 32, mesh=ellipsoid_head())) for _ in range(2))
    assert (first.clip.frames == again.clip.frames).all()
    assert first.driver is not None
    assert (first.clip.coefficients == first.driver.coefficients).all() and (first.clip.pose == first.driver.pose).all()
    assert np.abs(first.clip.frames.astype(int) - first.driver.frames).mean() > 5
    assert first.clip.frames.shape == (3, 64, 64, 3) and first.clip.flow.shape == (3, 32, 32, 2)
