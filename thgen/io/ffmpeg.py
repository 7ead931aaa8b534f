"""The ffmpeg binary of imageio-ffmpeg: command lines, file information, and a check of its features.

ffmpeg may open plain files only: no playlists, no network protocols, and no second file that the first one names.
"""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from thgen.errors import AssetError, ClipError, ThgenError
from thgen.io.files import PathLike, regular_file
from thgen.io.process import Child, Tick, no_tick

MEDIA_MAX_BYTES = 512 << 20
MEDIA_MAX_SECONDS = 600.0
FRAME_MAX_PIXELS = 8192 * 4352  # of one frame, before it is scaled down

# Demuxers of files that contain their media. Playlists (hls, concat, dash) and image sequences name other files.
DEMUXERS = (
    "wav,w64,aiff,au,caf,amr,amrnb,amrwb,mp3,aac,flac,ogg,mov,mp4,m4a,matroska,webm,avi,asf,mpegts,mpeg,flv,nut,gif,"
    "apng,webp_anim"
)
HDR_TRANSFERS = ("smpte2084", "arib-std-b67")  # PQ and HLG
NEEDED = {"-encoders": ("libx264", "aac"), "-filters": ("zscale", "tonemap", "aresample", "volume")}
PROBE_SECONDS = 30.0
STILL_ITEM = re.compile(r"\b1 fps, 1 tbr, 1 tbn")  # the still image of an AVIF, stored beside its animation
# Log lines that follow an error and do not give its reason.
CONSEQUENCE = re.compile("Terminating thread|Task finished|Last message repeated|Conversion failed|Nothing was written")
NO_MEDIA = "is not a sound or video file that can be read; give wav, mp3, m4a, flac, ogg or mp4."


@dataclass(frozen=True)
class Probe:
    """Header of a media file. A header can be wrong: `measure` counts the true length.

    seconds: length; None if the header has none. has_audio: whether there is a sound track; mono: whether the first one
    has one channel. width, height: size of the stored frame in px, before rotation; 0 without a picture.
    pixel_aspect: width of a pixel divided by its height. hdr: whether tone mapping is needed. picture: index of the
    moving video stream among those that are no cover art.
    """

    seconds: float | None
    has_audio: bool
    width: int
    height: int
    mono: bool = False
    pixel_aspect: float = 1.0
    hdr: bool = False
    picture: int = 0

    @property
    def has_video(self) -> bool:
        return self.width > 0


def program() -> list[str]:
    """First arguments of every command line: the binary and common options."""
    import imageio_ffmpeg

    return [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y"]


def untrusted(path: Path) -> list[str]:
    """Input options for an untrusted file. Without `file:`, a name such as `concat:x` would select a protocol."""
    guard = ["-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-max_pixels", str(FRAME_MAX_PIXELS)]
    return [*guard, "-i", f"file:{path.resolve()}"]


def decoder(path: Path, error: type[ThgenError], tick: Tick, *options: str) -> Child:
    """Start ffmpeg on an untrusted file; `options` define its output. Raises `error` during reads if it hangs."""
    stalled = error(f"{path.name} takes too long to read; convert it to mp4 or wav.")
    return Child([*program(), "-loglevel", "error", *untrusted(path), *options], stalled, tick)


def probe(path: PathLike, error: type[ThgenError] = ClipError, tick: Tick = no_tick) -> Probe:
    """Read the header of a sound or video file. Raises `error` if ffmpeg finds no media in it."""
    path = regular_file(path, error, "sound or video", MEDIA_MAX_BYTES)
    stalled = error(f"{path.name} takes too long to open; convert it to mp4 or wav.")
    with Child([*program(), *untrusted(path)], stalled, tick, stall=PROBE_SECONDS, cpu=int(PROBE_SECONDS)) as child:
        child.finish()
        text = child.log.decode(errors="replace")
    streams = [line for line in text.splitlines() if re.match(r"\s*Stream #0:\d+", line)]
    if not streams:
        raise error(f"{path.name} {NO_MEDIA}")
    length = re.search(r"Duration: (\d+):(\d+):(\d+\.?\d*)", text)
    seconds = float(length[1]) * 3600 + float(length[2]) * 60 + float(length[3]) if length else None
    sounds = [line for line in streams if " Audio: " in line]
    mono = bool(sounds) and re.search(r"Hz, (mono|1 channels)", sounds[0]) is not None
    pictures = [line for line in streams if " Video: " in line and "(attached pic)" not in line]
    moving = [n for n, line in enumerate(pictures) if not STILL_ITEM.search(line)]
    number = moving[0] if moving else 0
    size = re.search(r" Video: .*?, (\d{1,5})x(\d{1,5})", pictures[number]) if pictures else None
    if size is None:
        return Probe(seconds, bool(sounds), 0, 0, mono)
    line = pictures[number]
    stretch = re.search(r"\[?SAR (\d+):(\d+)", line)
    aspect = int(stretch[1]) / max(int(stretch[2]), 1) if stretch and int(stretch[1]) else 1.0
    hdr = any(f"/{transfer}" in line or f" {transfer}" in line for transfer in HDR_TRANSFERS)
    return Probe(seconds, bool(sounds), int(size[1]), int(size[2]), mono, aspect, hdr, number)


def measure(path: PathLike, error: type[ThgenError] = ClipError, tick: Tick = no_tick) -> float:
    """Length in seconds of the sound (error = AudioError) or the picture (error = ClipError) of a file, by counting.

    Reads all packets and decodes none. The count ends 2 s after MEDIA_MAX_SECONDS. Raises `error`.
    """
    path = regular_file(path, error, "sound or video", MEDIA_MAX_BYTES)
    stream = f"0:V:{probe(path, error, tick).picture}" if error is ClipError else "0:a:0"
    options = ("-map", stream, "-t", f"{MEDIA_MAX_SECONDS + 2}", "-c", "copy", "-f", "null", "-progress", "pipe:1", "-")
    with decoder(path, error, tick, *options) as child:
        # ffmpeg writes a report every half second; the last one has the length. All of them together are short.
        reports = child.read_all(1 << 20).decode(errors="replace")
        if child.finish() and "out_time_us=" not in reports:
            raise error(f"{path.name} {NO_MEDIA}")
    times = [int(us) for us in re.findall(r"out_time_us=(-?\d+)", reports)]
    return max(times[-1], 0) / 1e6 if times else 0.0


def failure_reason(log: bytes) -> str:
    """The last error in a log of ffmpeg, without memory addresses and paths, for the end of an error message.

    >>> failure_reason(b"[mov @ 0x55e9] moov atom not found\\nConversion failed!")
    'moov atom not found'
    """
    lines = (re.sub(r"\[[^\]]*@ 0x[0-9a-f]+\]\s*", "", line) for line in log.decode(errors="replace").splitlines())
    reasons = [
        re.sub(r"(file:)?/\S+", "the file", line).strip() for line in lines if not CONSEQUENCE.match(line.strip())
    ]
    reasons = [reason for reason in reasons if reason]
    return reasons[-1][:200].rstrip(".") if reasons else "ffmpeg stopped"


@functools.cache
def check_machine() -> None:
    """Check that ffmpeg has every encoder and filter that a video needs. Raises AssetError with the missing names."""
    try:
        output = {kind: subprocess.run([*program(), kind], capture_output=True, timeout=60, text=True).stdout
                for kind in NEEDED}  # fmt: skip
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as cause:
        raise AssetError(
            "ffmpeg cannot be started: run pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE."
        ) from cause
    missing = [name for kind, names in NEEDED.items() for name in names if not re.search(rf"\s{name}\s", output[kind])]
    if missing:
        raise AssetError(f"This ffmpeg has no {', '.join(missing)}: unset IMAGEIO_FFMPEG_EXE to take imageio-ffmpeg's.")
