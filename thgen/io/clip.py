"""Read driving clips: videos, animated pictures and stills, as frames at 25 fps."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from thgen.errors import ClipError
from thgen.io.ffmpeg import (
    FRAME_MAX_PIXELS,
    MEDIA_MAX_BYTES,
    MEDIA_MAX_SECONDS,
    Probe,
    decoder,
    last_words,
    measure,
    probe,
)
from thgen.io.files import PathLike, regular_file
from thgen.io.photo import MAX_ASPECT
from thgen.io.ppm import read_frame
from thgen.io.process import CPU_SECONDS, Tick, no_tick
from thgen.schema import FPS

CLIP_MAX_SECONDS = MEDIA_MAX_SECONDS
CLIP_MAX_SIDE = 1920
# HDR: diffuse white (203 cd/m2, ITU-R BT.2408) becomes white; highlights above it are compressed, not cut (Mobius).
# In this order, since tonemap wants linear light and the primaries of its output.
TONE_MAPPING = ("zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,"
                "zscale=t=bt709:m=bt709:r=tv,format=yuv444p")  # fmt: skip


def read_clip(path: PathLike, tick: Tick = no_tick) -> Generator[np.ndarray]:
    """Frames of a video or an animated picture, uint8 RGB [H W 3].

    They are resampled to 25 fps, turned upright, their pixels made square, their longest side at most 1920 px; more
    than 8 bits per channel are rounded, HDR is tone mapped. Checks the file at once and decodes while iterated; one
    frame exists at a time. Closing the iterator ends the decoder; tick may raise, which ends it as well.
    Raises ClipError: not a video, without a picture, too long, too large, a strip, broken, or it stands still.
    """
    path = regular_file(path, ClipError, "video", MEDIA_MAX_BYTES)
    found = probe(path, ClipError, tick)
    if not found.has_video:
        raise ClipError(f"{path.name} has no picture; give a video.")
    if found.width * found.height > FRAME_MAX_PIXELS:
        raise ClipError(f"{path.name} is {found.width}x{found.height}; give a video of at most 8192x4352.")
    _check_aspect(path, found.width * found.pixel_aspect, found.height)
    # A header that says too much may err, so the packets are counted. One that says too little is found out below.
    if (found.seconds or CLIP_MAX_SECONDS) >= CLIP_MAX_SECONDS and measure(path, tick=tick) > CLIP_MAX_SECONDS + 1:
        raise ClipError(f"{path.name} is longer than {CLIP_MAX_SECONDS:.0f} s; give a shorter one.")
    return _frames(path, found, tick)


def _check_aspect(path: Path, width: float, height: float) -> None:
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ClipError(
            f"{path.name} shows a strip of {width:.0f}x{height:.0f} pixels; give a video whose longer side is at most "
            f"{MAX_ASPECT:g} times the shorter."
        )


def _filters(found: Probe) -> str:
    # One scale for square pixels and size: a stretched frame never exists at its full size.
    shrink = f"min(1,{CLIP_MAX_SIDE}/max(iw*sar,ih))"
    filters = [f"fps={FPS}:start_time=0",
               f"scale=w='max(2,round(iw*sar*{shrink}))':h='max(2,round(ih*{shrink}))'", "setsar=1"]  # fmt: skip
    return ",".join([*filters, *([TONE_MAPPING] if found.hdr else []), "format=rgb24"])


def _frames(path: Path, found: Probe, tick: Tick) -> Generator[np.ndarray]:
    options = ("-timelimit", str(CPU_SECONDS), "-map", f"0:V:{found.picture}", "-t", f"{CLIP_MAX_SECONDS + 2}",
               "-vf", _filters(found), "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-")  # fmt: skip
    with decoder(path, ClipError, tick, *options) as child:
        count = 0
        try:
            while (frame := read_frame(child)) is not None:
                count += 1
                if count > (CLIP_MAX_SECONDS + 1) * FPS:
                    raise ClipError(f"{path.name} is longer than {CLIP_MAX_SECONDS:.0f} s; give a shorter one.")
                _check_aspect(path, frame.shape[1], frame.shape[0])
                yield frame
        except ValueError as error:
            raise ClipError(f"{path.name} cannot be read; convert it to mp4 (H.264, 8 bits).") from error
        if child.finish() or not count:
            raise ClipError(f"{path.name} cannot be read to its end ({last_words(child.log)}).")
