"""The factors of FC-TFG: motion codes of coarse and of fine style indices, and the voice, as tracks of numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from thgen.methods.base import Factors
from thgen.methods.fc_tfg.networks import LatentFusion

SPEECH, COARSE, FINE = "speech", "coarse", "fine"
SMALLEST_WEIGHT = 1e-6  # by which z_d is divided, at least; where the weight is smaller, there is no motion


def groups(fusion: LatentFusion) -> tuple[range, range]:
    """Numbers of the manipulated indices (from 0) that are coarse, before the first one with a voice, and fine."""
    count = len(fusion.at)
    first = fusion.voiced.index(True) if any(fusion.voiced) else count // 2
    return range(first), range(first, count)


def motion_factors(fusion: LatentFusion, driving: Tensor) -> Factors:
    """z_d [T L N] of frames -> "coarse" and "fine", each [T D].

    coarse: z_cd, index by index. fine: z_cd at indices without a voice, z_d at those with one, and a weight, 1. z_d is
    there because E_m needs it together with the voice. Where both are 0, `motion_of` gives no motion (deviation 19).
    """
    silent = driving.new_zeros(len(driving), int(fusion.config["voice"]))  # type: ignore[call-overload]
    coarse, fine = groups(fusion)

    def code(number: int) -> Tensor:
        frame = driving[:, fusion.at[number]]
        return frame if fusion.voiced[number] else fusion.motion_code(number, frame, silent)

    weight = driving.new_ones(len(driving), 1)
    return {COARSE: torch.cat([code(n) for n in coarse], 1), FINE: torch.cat([*map(code, fine), weight], 1)}


def motion_of(fusion: LatentFusion, track: Factors) -> Tensor:
    """Factors of T frames -> z_cd [T M N]. track: "coarse" and "fine" as of `motion_factors`, "speech" z_a [T A].

    At indices with a voice it is the weight times E_m(z_a + z_d), and z_d is the entry divided by the weight. So what
    lies between two tracks of weight 1 has weight 1, and halfway to 0 the motion is half as large.
    """
    width = int(fusion.config["latent"])  # type: ignore[call-overload]
    weight = track[FINE][:, -1:]
    parts = [*track[COARSE].split(width, 1), *track[FINE][:, :-1].split(width, 1)]

    def code(number: int, part: Tensor) -> Tensor:
        if not fusion.voiced[number]:
            return part
        return weight * fusion.motion_code(number, part / weight.clamp_min(SMALLEST_WEIGHT), track[SPEECH])

    return torch.stack([code(number, part) for number, part in enumerate(parts)], 1)
