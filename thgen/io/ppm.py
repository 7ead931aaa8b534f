"""Frames through a pipe as binary ppm: each carries its own size, so that no reader can lose step with a decoder."""

from __future__ import annotations

import re

import numpy as np

from thgen.io.process import Child

HEADER = re.compile(rb"(\d{1,5}) (\d{1,5})\n")


def read_frame(child: Child) -> np.ndarray | None:
    """The next frame that a command puts out, uint8 RGB [H W 3]; None at the end, also at a cut one.

    Raises ValueError for anything but a ppm of 8 bits per channel.
    """
    magic = child.read_line()
    if not magic:
        return None
    size, depth = HEADER.fullmatch(child.read_line()), child.read_line()
    if magic != b"P6\n" or size is None or depth != b"255\n":
        raise ValueError(f"not a ppm of 8 bits: {magic!r} {depth!r}")
    frame = np.empty((int(size[2]), int(size[1]), 3), np.uint8)
    return frame if child.read_into(frame.data.cast("B")) == frame.size else None
