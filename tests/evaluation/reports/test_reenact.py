from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from thgen.evaluation.reports.reenact import ROWS, measure, warp
from thgen.face.look import Looker
from thgen.methods.base import Decoded, Identity
from thgen.schema import FACTORS
from thgen.synth.head.ellipsoid import ellipsoid_head

SIZE = 64


class Still:
    """A method that always answers with its photo, whatever drives it."""

    name = "still"

    def encode_photo(self, crop: np.ndarray) -> Identity:
        image = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        return Identity(image, {f: torch.zeros(1, FACTORS[f].size) for f in FACTORS}, {})

    def encode_clip(self, crops) -> dict[str, torch.Tensor]:
        crops = list(crops)
        return {f: torch.full((len(crops), FACTORS[f].size), float(crops[0].mean())) for f in FACTORS}

    def decode(self, identity: Identity, factors: dict[str, torch.Tensor]) -> Decoded:
        t = len(factors["pose"])
        return Decoded(identity.image.expand(t, -1, -1, -1), torch.zeros(t, 1, SIZE, SIZE))


def test_warp_follows_the_flow() -> None:
    source = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    flow = np.zeros((32, 32, 2), np.float32)
    assert (warp(source, flow) == source).all()
    flow[..., 0] = 2 / 16  # two pixels: target(p) = source(p + 2)
    assert (warp(source, flow)[:, :-2] == source[:, 2:]).all()


def test_a_still_picture_scores_exactly_as_the_floor_and_the_ceiling_above_it() -> None:
    torch.set_num_threads(1)
    looker = Looker(Constant(70), torch.device("cpu"))
    report = measure(Still(), looker, 2, 2, SIZE, mesh=ellipsoid_head())  # type: ignore[arg-type]
    rows = {row[""]: row for row in report.rows}
    assert list(rows) == list(ROWS)
    floor, ceiling, true = (rows[ROWS[i]] for i in (0, 3, 4))
    for name in ("self-driven", "cross-driven"):
        for key in ("PSNR dB", "SSIM", "LMD %", "pose °"):
            assert rows[name][key] == pytest.approx(floor[key])
        assert np.isnan(rows[name]["EPE %"])  # it tells no flow
    assert ceiling["PSNR dB"] > floor["PSNR dB"] + 1 and ceiling["SSIM"] > floor["SSIM"]
    assert ceiling["EPE %"] == 0 == true["EPE %"] and floor["EPE %"] > 0.5
    assert true["SSIM"] == pytest.approx(1)
    assert "2 rendered people" in report.protocol
