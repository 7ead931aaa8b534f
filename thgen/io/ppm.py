"""Frames through a pipe as binary PPM. Every frame has its own header, so that reader and decoder stay in step."""

from __future__ import annotations

import re

import numpy as np

from thgen.io.process import Child

HEADER = re.compile(rb"(\d{1,5}) (\d{1,5})\n")


def read_frame(child: Child) -> np.ndarray | None:
    """The next frame of a child's output, uint8 RGB [H W 3]. None at the end of the output, also after a cut frame.

    Raises ValueError unless the output is a PPM with 8 bits per channel.
    """
    magic = child.read_line()
    if not magic:
        return None
    size, depth = HEADER.fullmatch(child.read_line()), child.read_line()
    if magic != b"P6\n" or size is None or depth != b"255\n":
        raise ValueError(f"not a ppm of 8 bits: {magic!r} {depth!r}")
    frame = np.empty((int(size[2]), int(size[1]), 3), np.uint8)
    return frame if child.read_into(frame.data.cast("B")) == frame.size else None
