"""thgen: a photo that talks. Lips, head pose, gaze, blink and expression each have their own source.

    import thgen
    for window in thgen.generate("me.jpg", "voice.wav", controls={"pose.yaw": 10}):
        window.frames  # uint8 RGB [n H W 3], 25 fps; at most 8 frames exist at a time

`import thgen` does not import torch. The names below are imported at their first use.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thgen.api import generate, load, view
    from thgen.methods import METHODS

# Waiting threads of PyTorch keep their cores busy by default. If another process needs a core, and ffmpeg always
# does, work takes up to ten times as long. Torch reads the variable when it is loaded. A value set by the user stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__all__ = ["METHODS", "generate", "load", "view"]


def __getattr__(name: str) -> Any:
    if name == "METHODS":
        from thgen.methods import METHODS

        return METHODS
    if name in __all__:
        from thgen import api

        return getattr(api, name)
    raise AttributeError(f"module 'thgen' has no attribute {name!r}")
