"""thgen: a photo that talks, with lips, head pose, gaze, blink and expression each from its own source.

    import thgen
    for window in thgen.generate("me.jpg", "voice.wav", controls={"pose.yaw": 10}):
        window.frames  # uint8 RGB [n H W 3], 25 fps; at most 8 frames exist at a time

Importing this imports no torch: the names below are resolved when they are first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thgen.api import generate, load
    from thgen.methods import METHODS

# PyTorch's threads wait by spinning. Where another process wants a core as well (ffmpeg always does), that takes up to
# ten times as long as sleeping. It is read when torch is loaded; a setting of your own wins.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__all__ = ["METHODS", "generate", "load"]


def __getattr__(name: str) -> Any:
    if name == "METHODS":
        from thgen.methods import METHODS

        return METHODS
    if name in __all__:
        from thgen import api

        return getattr(api, name)
    raise AttributeError(f"module 'thgen' has no attribute {name!r}")
