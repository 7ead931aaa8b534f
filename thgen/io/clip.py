"""Read driving clips (videos, animated images, stills) as frames at 25 fps."""

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
    failure_reason,
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
# HDR to SDR: diffuse white (203 cd/m2, ITU-R BT.2408) becomes white; the Mobius curve compresses brighter highlights.
# The order matters: tonemap needs linear light and the primaries of its output.
TONE_MAPPING = ("zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,"
                "zscale=t=bt709:m=bt709:r=tv,format=yuv444p")  # fmt: skip


def read_clip(path: PathLike, tick: Tick = no_tick, fps: int = FPS) -> Generator[np.ndarray]:
    """Frames of a video or an animated image, uint8 RGB [H W 3].

    The frames are resampled to `fps` and rotated as the file says. Pixels become square. The longest side is at most
    1920 px. More than 8 bits per channel are rounded, HDR is tone mapped. The call checks the file; iterating decodes
    it, one frame at a time. Closing the iterator ends the decoder, and so does an exception from `tick`.
    Raises ClipError: not a video, no picture, too long, too large, too elongated, damaged, or the decoder hangs.
    """
    path = regular_file(path, ClipError, "video", MEDIA_MAX_BYTES)
    info = probe(path, ClipError, tick)
    if not info.has_video:
        raise ClipError(f"{path.name} has no picture; give a video.")
    if info.width * info.height > FRAME_MAX_PIXELS:
        raise ClipError(f"{path.name} is {info.width}x{info.height}; give a video of at most 8192x4352.")
    _check_aspect(path, info.width * info.pixel_aspect, info.height)
    # A header may state too long a duration, so the packets are counted. `_frames` detects one that is too short.
    if (info.seconds or CLIP_MAX_SECONDS) >= CLIP_MAX_SECONDS and measure(path, tick=tick) > CLIP_MAX_SECONDS + 1:
        raise ClipError(f"{path.name} is longer than {CLIP_MAX_SECONDS:.0f} s; give a shorter one.")
    return _frames(path, info, tick, fps)


def _check_aspect(path: Path, width: float, height: float) -> None:
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ClipError(
            f"{path.name} shows a strip of {width:.0f}x{height:.0f} pixels; give a video whose longer side is at most "
            f"{MAX_ASPECT:g} times the shorter."
        )


def _filters(info: Probe, fps: int) -> str:
    # One `scale` makes pixels square and limits the size: no stretched frame exists at full size in between.
    shrink = f"min(1,{CLIP_MAX_SIDE}/max(iw*sar,ih))"
    filters = [f"fps={fps}:start_time=0",
               f"scale=w='max(2,round(iw*sar*{shrink}))':h='max(2,round(ih*{shrink}))'", "setsar=1"]  # fmt: skip
    return ",".join([*filters, *([TONE_MAPPING] if info.hdr else []), "format=rgb24"])


def _frames(path: Path, info: Probe, tick: Tick, fps: int) -> Generator[np.ndarray]:
    options = ("-timelimit", str(CPU_SECONDS), "-map", f"0:V:{info.picture}", "-t", f"{CLIP_MAX_SECONDS + 2}",
               "-vf", _filters(info, fps), "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-")  # fmt: skip
    with decoder(path, ClipError, tick, *options) as child:
        count = 0
        try:
            while (frame := read_frame(child)) is not None:
                count += 1
                if count > (CLIP_MAX_SECONDS + 1) * fps:
                    raise ClipError(f"{path.name} is longer than {CLIP_MAX_SECONDS:.0f} s; give a shorter one.")
                _check_aspect(path, frame.shape[1], frame.shape[0])
                yield frame
        except ValueError as error:
            raise ClipError(f"{path.name} cannot be read; convert it to mp4 (H.264, 8 bits).") from error
        if child.finish() or not count:
            raise ClipError(f"{path.name} cannot be read to its end ({failure_reason(child.log)}).")
