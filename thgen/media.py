"""Read photos, sound and video; write mp4 with sound. The only file that runs ffmpeg (the binary of imageio-ffmpeg).

Everything read here is an upload of a stranger. Only known containers are opened, content decides and not the name,
sizes are checked in the header before a pixel is decoded, and ffmpeg may open plain files only: no playlist, no
protocol, no second file named by the first.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import wave
from collections.abc import Generator, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from thgen.errors import AudioError, ClipError, OutputError, ThgenError
from thgen.photo import PathLike, regular_file
from thgen.photo import is_photo as is_photo  # the door to everything that is read
from thgen.photo import read_photo as read_photo
from thgen.schema import FPS, SAMPLE_RATE

AUDIO_MAX_BYTES = 256 << 20
AUDIO_MAX_SECONDS = 600.0
AUDIO_MIN_SECONDS = 0.4
SILENCE_PEAK = 1e-3  # -60 dBFS: whatever never rises above it is no sound

CLIP_MAX_BYTES = 512 << 20
CLIP_MAX_SECONDS = 600.0
CLIP_MAX_PIXELS = 8192 * 4352  # of one frame, before it is made smaller
CLIP_MAX_SIDE = 1920

# Demuxers that hold their media themselves. Playlists (hls, concat, dash) and image sequences name other files.
DEMUXERS = "wav,w64,aiff,au,caf,mp3,aac,flac,ogg,mov,mp4,m4a,matroska,webm,avi,asf,mpegts,mpeg,flv"
CPU_SECONDS = 900  # a hostile file may keep a decoder busy, but not for ever
OUTPUT_SAMPLE_RATE = 48_000  # one AAC packet is then 21 ms: sound ends within one video frame


# --------------------------------------------------------------------------------------------------- ffmpeg
@dataclass(frozen=True)
class Probe:
    """What a media file holds. `seconds` is None where the container does not say; sizes are 0 without a picture."""

    seconds: float | None
    has_audio: bool
    width: int
    height: int

    @property
    def has_video(self) -> bool:
        return self.width > 0


def _ffmpeg() -> list[str]:
    import imageio_ffmpeg

    return [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y"]


def _input(path: Path) -> list[str]:
    """Input options for an untrusted file. `file:` keeps a name such as `concat:x` from being a protocol."""
    guard = ["-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-max_pixels", str(CLIP_MAX_PIXELS)]
    return [*guard, "-i", f"file:{path.resolve()}"]


def probe(path: PathLike, error: type[ThgenError] = ClipError) -> Probe:
    """Read the header of a sound or video file. Raises `error` when ffmpeg finds no media in it."""
    path = regular_file(path, error, "sound or video", CLIP_MAX_BYTES)
    try:
        run = subprocess.run([*_ffmpeg(), *_input(path)], capture_output=True, timeout=30)
    except subprocess.TimeoutExpired:
        raise error(f"{path.name} takes too long to open; convert it to mp4 or wav.") from None
    text = run.stderr.decode(errors="replace")
    streams = [line for line in text.splitlines() if re.match(r"\s*Stream #0:\d+", line)]
    if not streams:
        raise error(f"{path.name} is not a sound or video file that can be read; give wav, mp3, m4a, flac, ogg or mp4.")
    length = re.search(r"Duration: (\d+):(\d+):(\d+\.?\d*)", text)
    seconds = float(length[1]) * 3600 + float(length[2]) * 60 + float(length[3]) if length else None
    width = height = 0
    for line in streams:
        size = re.search(r" Video: .*?, (\d{1,5})x(\d{1,5})", line)
        if size and "(attached pic)" not in line:
            width, height = int(size[1]), int(size[2])
            break
    return Probe(seconds, any(" Audio: " in line for line in streams), width, height)


def _last_line(log: bytes) -> str:
    """ffmpeg's own last word, for the end of an error message."""
    lines = [line.strip() for line in log.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "ffmpeg stopped"


# ---------------------------------------------------------------------------------------------------- sound
def read_audio(audio: PathLike | np.ndarray) -> np.ndarray:
    """Sound as float32 [L], 16 kHz mono in [-1, 1].

    audio: a path (wav, mp3, m4a, flac, ogg, opus, ... or a video with sound, any rate and channels; the content
    decides, not the name) or float [L] at 16 kHz. A recording that exceeds 1 is scaled down, not clipped.
    Raises AudioError: unreadable, without sound, silent, shorter than 0.4 s, longer than 10 min, or with NaN samples.
    """
    if isinstance(audio, np.ndarray):
        if audio.ndim != 1 or not np.issubdtype(audio.dtype, np.floating):
            raise AudioError(f"Audio samples are float [L] at 16 kHz mono, not {audio.dtype} {list(audio.shape)}.")
        return _checked_samples(audio.astype(np.float32), "The audio")
    path = regular_file(audio, AudioError, "audio", AUDIO_MAX_BYTES)
    found = probe(path, AudioError)
    if not found.has_audio:
        raise AudioError(f"{path.name} has no sound track; give a file with a voice.")
    if found.seconds is not None and found.seconds > AUDIO_MAX_SECONDS + 1:
        raise AudioError(f"{path.name} is {found.seconds:.0f} s long; at most {AUDIO_MAX_SECONDS:.0f} s are taken.")
    # first_pts=0: in a video whose sound begins later than its picture, the gap stays
    command = [*_ffmpeg(), "-loglevel", "error", *_input(path), "-map", "0:a:0",
               "-t", f"{AUDIO_MAX_SECONDS + 2}", "-af", "aresample=async=1:first_pts=0",
               "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "f32le", "-"]  # fmt: skip
    try:
        run = subprocess.run(command, capture_output=True, timeout=300)
    except subprocess.TimeoutExpired:
        raise AudioError(f"{path.name} takes too long to read; convert it to wav.") from None
    samples = np.frombuffer(run.stdout[: len(run.stdout) // 4 * 4], dtype="<f4").astype(np.float32)
    if run.returncode and not samples.size:
        raise AudioError(f"The sound of {path.name} cannot be read ({_last_line(run.stderr)}).")
    return _checked_samples(samples, path.name)


def _checked_samples(samples: np.ndarray, name: str) -> np.ndarray:
    seconds = samples.size / SAMPLE_RATE
    if seconds > AUDIO_MAX_SECONDS + 1:
        raise AudioError(f"{name} is longer than {AUDIO_MAX_SECONDS:.0f} s; give a shorter one.")
    if seconds < AUDIO_MIN_SECONDS:
        raise AudioError(f"{name} is too short ({seconds:.2f} s); give at least {AUDIO_MIN_SECONDS} s of sound.")
    if not np.isfinite(samples).all():
        raise AudioError(f"{name} holds samples that are not numbers (NaN or infinite); export it again.")
    peak = float(np.abs(samples).max())
    if peak < SILENCE_PEAK:
        raise AudioError(f"{name} is silent: no sound in it rises above -60 dB; give a file with a voice.")
    return samples / peak if peak > 1 else samples


# ----------------------------------------------------------------------------------------------------- clip
def read_clip(path: PathLike) -> Generator[np.ndarray]:
    """Frames of a video, uint8 RGB [H W 3], resampled to 25 fps, turned upright, longest side at most 1920 px.

    Checks the file at once, decodes while iterated, and holds one frame at a time; closing the iterator ends ffmpeg.
    Raises ClipError: not a video, without a picture, too long, too large, or broken.
    """
    path = regular_file(path, ClipError, "video", CLIP_MAX_BYTES)
    found = probe(path, ClipError)
    if not found.has_video:
        raise ClipError(f"{path.name} has no picture; give a video.")
    if found.width * found.height > CLIP_MAX_PIXELS:
        raise ClipError(f"{path.name} is {found.width}x{found.height}; give a video of at most 8192x4352.")
    if found.seconds is not None and found.seconds > CLIP_MAX_SECONDS + 1:
        raise ClipError(f"{path.name} is {found.seconds:.0f} s long; at most {CLIP_MAX_SECONDS:.0f} s are taken.")
    return _clip_frames(path)


def _clip_frames(path: Path) -> Generator[np.ndarray]:
    side = CLIP_MAX_SIDE
    filters = (f"fps={FPS}:start_time=0,scale=w='max(2,round(iw*sar))':h=ih,setsar=1,"
               f"scale=w='min({side},iw)':h='min({side},ih)':force_original_aspect_ratio=decrease")  # fmt: skip
    # ppm carries each frame's size: what ffmpeg turned or scaled need not be computed a second time here
    command = [*_ffmpeg(), "-loglevel", "error", "-timelimit", str(CPU_SECONDS), *_input(path), "-map", "0:V:0",
               "-t", f"{CLIP_MAX_SECONDS + 2}", "-vf", filters, "-f", "image2pipe", "-c:v", "ppm", "-"]  # fmt: skip
    with tempfile.TemporaryFile() as log, ExitStack() as stack:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        stack.callback(_end, process)
        assert process.stdout is not None
        count = 0
        while (frame := _read_ppm(process.stdout)) is not None:
            count += 1
            if count > (CLIP_MAX_SECONDS + 1) * FPS:
                raise ClipError(f"{path.name} is longer than {CLIP_MAX_SECONDS:.0f} s; give a shorter one.")
            yield frame
        if process.wait() or not count:
            log.seek(0)
            raise ClipError(f"{path.name} cannot be read to its end ({_last_line(log.read())}).")


def _read_ppm(stream: IO[bytes]) -> np.ndarray | None:
    """The next binary ppm of a pipe as uint8 [H W 3], or None at the end."""
    if stream.readline() != b"P6\n":
        return None
    width, height = (int(n) for n in stream.readline().split())
    stream.readline()
    frame = np.empty((height, width, 3), np.uint8)
    return frame if stream.readinto(frame.data.cast("B")) == frame.size else None  # type: ignore[attr-defined]


def _end(process: subprocess.Popen) -> None:
    """Stop ffmpeg whatever it does, and close its pipes."""
    if process.poll() is None:
        process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(BrokenPipeError):
                pipe.close()
    process.wait()


# ---------------------------------------------------------------------------------------------------- write
def check_output(path: PathLike, suffix: str = ".mp4") -> Path:
    """The path, once it is known that a file can be written there. Raises OutputError; leaves nothing behind."""
    path = Path(path)
    if path.suffix.lower() != suffix or "\0" in str(path):
        raise OutputError(f"The output {str(path)!r} must be a file name that ends in {suffix}.")
    if path.is_dir():
        raise OutputError(f"The output {str(path)!r} is a folder; name a file.")
    if not path.parent.is_dir():
        raise OutputError(f"The folder {str(path.parent)!r} does not exist; create it first.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"Nothing can be written to {str(path.parent)!r}: {error.strerror}.") from error
    return path


class Mp4Writer:
    """Write frames and sound to an mp4 that appears under its name only when it is whole.

        with Mp4Writer(path, (width, height), frames=125, audio="voice.m4a", comment="...") as video:
            video.write(frames)  # uint8 [n H W 3] or [H W 3], any number of times

    H.264 yuv420p bt709 at 25 fps, AAC 48 kHz, index first (faststart). An odd width or height loses its last column
    or row. Sound starts with the first frame and is padded or cut to `frames` frames. audio: None, a path, or float
    [L] at 16 kHz. Any exception inside the block, GeneratorExit and KeyboardInterrupt included, removes all traces.
    Raises OutputError.
    """

    def __init__(self, path: PathLike, size: tuple[int, int], frames: int,
                 audio: PathLike | np.ndarray | None = None, comment: str = "") -> None:  # fmt: skip
        self.path = check_output(path)
        self.width, self.height = size
        self.frames = frames
        self.audio = audio
        self.comment = comment

    def __enter__(self) -> Mp4Writer:
        with ExitStack() as stack:
            self._part = _part_file(self.path, stack)
            self._log = stack.enter_context(tempfile.TemporaryFile())
            sound = self._sound(stack)
            self._process = subprocess.Popen(self._command(sound), stdin=subprocess.PIPE,
                                             stdout=subprocess.DEVNULL, stderr=self._log)  # fmt: skip
            stack.callback(_end, self._process)
            self._cleanup = stack.pop_all()
        return self

    def _sound(self, stack: ExitStack) -> Path | None:
        """The file that ffmpeg reads the sound from; samples go into a private folder that is removed at the end."""
        if not isinstance(self.audio, np.ndarray):
            return None if self.audio is None else Path(self.audio)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="thgen-"))
        path = Path(folder) / "sound.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, self.audio.size, "NONE", ""))
            file.writeframes((np.clip(self.audio, -1, 1) * 32767).astype("<i2").tobytes())
        return path

    def _command(self, sound: Path | None) -> list[str]:
        filters = ("crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0,"
                   "scale=in_range=pc:out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,"
                   "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv")  # fmt: skip
        command = [c for c in _ffmpeg() if c != "-nostdin"]
        command += ["-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
                    "-s", f"{self.width}x{self.height}", "-r", str(FPS), "-i", "pipe:0"]  # fmt: skip
        if sound:
            command += [*_input(sound), "-map", "0:v:0", "-map", "1:a:0", "-c:a", "aac", "-b:a", "160k", "-ac", "2",
                        "-ar", str(OUTPUT_SAMPLE_RATE), "-af", "aresample=async=1:first_pts=0,apad"]  # fmt: skip
        return [*command, "-vf", filters, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-crf", "18",
                "-t", f"{self.frames / FPS:.6f}", "-map_metadata", "-1", "-metadata", f"comment={self.comment}",
                "-movflags", "+faststart", "-f", "mp4", f"file:{self._part.resolve()}"]  # fmt: skip

    def write(self, frames: np.ndarray) -> None:
        """frames: uint8 RGB [n H W 3] or [H W 3] of the announced size."""
        if frames.dtype != np.uint8 or frames.shape[-3:] != (self.height, self.width, 3):
            raise ValueError(f"expected uint8 [.. {self.height} {self.width} 3], got {frames.dtype} {frames.shape}")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frames).data)
        except OSError as error:
            self._process.wait()
            raise self._failure() from error

    def _failure(self) -> OutputError:
        self._log.seek(0)
        return OutputError(f"{str(self.path)!r} could not be written ({_last_line(self._log.read())}).")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._cleanup:
            if kind is not None:
                return
            assert self._process.stdin is not None
            with suppress(BrokenPipeError):
                self._process.stdin.close()
            if self._process.wait():
                raise self._failure()
            try:
                os.replace(self._part, self.path)
            except OSError as cause:
                raise OutputError(f"{str(self.path)!r} cannot be written: {cause.strerror}.") from cause


def write_mp4(path: PathLike, frames: Iterable[np.ndarray], size: tuple[int, int], count: int,
              audio: PathLike | np.ndarray | None = None, comment: str = "") -> Path:  # fmt: skip
    """Write `count` frames (an iterable of uint8 [H W 3] or [n H W 3]) with sound; see Mp4Writer. Returns the path."""
    with Mp4Writer(path, size, count, audio, comment) as video:
        for frame in frames:
            video.write(frame)
    return video.path


def write_png(path: PathLike, image: np.ndarray) -> Path:
    """Write uint8 RGB [H W 3] as png; like a video it appears only when whole. Raises OutputError."""
    from PIL import Image

    path = check_output(path, ".png")
    with ExitStack() as stack:
        part = _part_file(path, stack)
        try:
            Image.fromarray(image).save(part, format="PNG")
            os.replace(part, path)
        except OSError as error:
            raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}.") from error
    return path


def _part_file(path: Path, stack: ExitStack) -> Path:
    """An empty file next to `path`, which the stack removes if it still lies there. Raises OutputError."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:100]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}.") from error
    os.close(handle)
    part = Path(name)
    stack.callback(part.unlink, missing_ok=True)
    mask = os.umask(0)
    os.umask(mask)
    part.chmod(0o666 & ~mask)  # mkstemp's 0600 would stay on the finished file
    return part


def recompressed(frames: np.ndarray, crf: int) -> np.ndarray:
    """Frames uint8 RGB [T H W 3], even sides, as an H.264 video of that rate factor shows them; always the same."""
    count, height, width = frames.shape[:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    coder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-pix_fmt", "yuv420p", "-threads", "1"]
    to_video = [*raw, "-s", f"{width}x{height}", "-r", str(FPS), "-i", "-", *coder, "-f", "matroska", "-"]
    made = frames.tobytes()
    for command in (to_video, ["-i", "-", *raw, "-"]):
        made = subprocess.run([*_ffmpeg(), *command], input=made, capture_output=True, check=True).stdout
    return np.frombuffer(made, np.uint8).reshape(count, height, width, 3)
