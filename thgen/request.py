"""What one video is made of: files and settings, checked when they are put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from thgen.errors import ControlError, shown
from thgen.io.files import PathLike
from thgen.recipe import Recipe
from thgen.schema import FACTORS, Controls, flag, table, whole

SIZE_RANGE = (128, 1024)  # px of the generated crop, a multiple of SIZE_STEP
SIZE_STEP = 32
MAX_SIDE_RANGE = (256, 4096)  # px of the longer side of a video that keeps the whole photo
SEED_MAX = 2**63 - 1
FACES_MAX = 1000


@dataclass(frozen=True)
class Request:
    """Everything that one video is made of. Raises ControlError when something is unknown or outside its range.

    photo:      path, or uint8 RGB [H W 3]
    audio:      path (sound, or a video with sound), float32 [L] at 16 kHz, or None: as long as the longest driver
    drivers:    factor -> path of a driving clip, or of a still picture
    toward:     factor that may lie between two sources -> path of the second one; `controls.blend` says how far
    face:       which face of the photo, 0 = the largest
    size:       px of the generated square crop
    paste_back: put the crop back into the photo (its longer side then limited to max_side), or give the crop alone
    """

    photo: PathLike | np.ndarray
    audio: PathLike | np.ndarray | None = None
    drivers: Mapping[str, PathLike] = field(default_factory=dict)
    controls: Controls = field(default_factory=Controls)
    method: str = "rig"
    seed: int = 0
    face: int = 0
    size: int = 512
    paste_back: bool = True
    max_side: int = 1080
    toward: Mapping[str, PathLike] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*table("drivers", self.drivers), *table("second sources", self.toward)):
            if name not in FACTORS or "clip" not in FACTORS[name].drivers:
                raise ControlError(f"A clip cannot drive {shown(name)}; choose one of: {', '.join(FACTORS)}.")
        for name in self.toward:
            if not FACTORS[name].blends:
                raise ControlError(f"{FACTORS[name].label} cannot lie between two sources; give one clip.")
        if not isinstance(self.method, str):
            raise ControlError(f"The method must be a name, not {shown(self.method)}.")
        low, high = SIZE_RANGE
        if whole("size", self.size, 0, 2 * high) % SIZE_STEP or not low <= self.size <= high:
            raise ControlError(f"The size must be a multiple of {SIZE_STEP} from {low} to {high}, not {self.size}.")
        whole("longer side", self.max_side, *MAX_SIDE_RANGE)
        whole("seed", self.seed, 0, SEED_MAX)
        whole("number of the face", self.face, 0, FACES_MAX)
        flag("paste_back", self.paste_back)

    @property
    def inputs(self) -> tuple[PathLike, ...]:
        """The paths of all files that the video is made of."""
        given = (self.photo, self.audio, *self.drivers.values(), *self.toward.values())
        return tuple(path for path in given if path is not None and not isinstance(path, np.ndarray))

    def recipe(self) -> Recipe:
        """The settings alone, without the names of any file."""
        return Recipe(self.method, self.seed, self.face, self.size, self.paste_back, self.max_side, self.controls)
