"""Write mp4 files with sound."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from thgen.errors import OutputError, shown
from thgen.io.ffmpeg import failure_reason, program
from thgen.io.files import PathLike, check_output, part_file
from thgen.io.process import Child, Tick, no_tick
from thgen.io.sound import WAVE_RATE, Sound
from thgen.schema import FPS, SAMPLE_RATE

# Generous limits: the encoder gets our own frames, and at the end it moves a large index to the front of the file.
ENCODER_CPU_SECONDS, ENCODER_STALL_SECONDS = 24 * 3600, 120.0


class Mp4Writer:
    """Write frames and sound to an mp4. The file gets its name only when it is complete.

        with Mp4Writer(path, (width, height), frames=125, audio=read_sound("voice.m4a", wave)) as video:
            video.write(frames)  # uint8 [n H W 3] or [H W 3], any number of times

    Format: H.264 yuv420p bt709 at 25 fps, AAC 48 kHz, index at the start (faststart). size: (width, height) in px; an
    odd width or height loses its last column or row. frames: length of the video; sound starts with the first frame
    and is padded or cut to it. audio: None, a Sound with its wave, or float [L] at 16 kHz. comment: metadata of the
    file. Any exception inside the block, GeneratorExit and KeyboardInterrupt included, removes all files that it wrote.
    Raises OutputError.
    """

    def __init__(self, path: PathLike, size: tuple[int, int], frames: int, audio: Sound | np.ndarray | None = None,
                 comment: str = "", tick: Tick = no_tick) -> None:  # fmt: skip
        self.path = check_output(path)
        self.width, self.height = size
        self.frames = frames
        self.audio = audio
        self.comment = comment
        self._tick = tick

    def __enter__(self) -> Mp4Writer:
        with ExitStack() as stack:
            self._part = part_file(self.path, stack)
            stalled = OutputError(f"{shown(str(self.path))} could not be written: the encoder stands still.")
            command = self._command(self._sound(stack))
            self._child = stack.enter_context(
                Child(command, stalled, self._tick, stall=ENCODER_STALL_SECONDS, cpu=ENCODER_CPU_SECONDS)
            )
            self._cleanup = stack.pop_all()
        return self

    def _sound(self, stack: ExitStack) -> Sound | None:
        """The sound as a file. Samples are written to a private folder that `stack` removes."""
        if not isinstance(self.audio, np.ndarray):
            return self.audio
        import soundfile

        wave = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thgen-"))) / "sound.wav"
        soundfile.write(wave, np.clip(self.audio, -1, 1), SAMPLE_RATE, subtype="PCM_16")
        return Sound(self.audio, wave, channel=0)

    def _command(self, sound: Sound | None) -> list[str]:
        filters = ("crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0,"
                   "scale=in_range=pc:out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,"
                   "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv")  # fmt: skip
        command = [c for c in program() if c != "-nostdin"]
        command += ["-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
                    "-s", f"{self.width}x{self.height}", "-r", str(FPS), "-i", "pipe:0"]  # fmt: skip
        if sound and sound.wave:
            chosen = "" if sound.channel is None else f"pan=stereo|c0=c{sound.channel}|c1=c{sound.channel},"
            command += ["-i", f"file:{sound.wave.resolve()}", "-map", "0:v:0", "-map", "1:a:0", "-c:a", "aac",
                        "-b:a", "160k", "-ac", "2", "-ar", str(WAVE_RATE),
                        "-af", f"{chosen}volume={sound.gain:.9g}:precision=float,apad"]  # fmt: skip
        return [*command, "-vf", filters, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-crf", "18",
                "-t", f"{self.frames / FPS:.6f}", "-map_metadata", "-1", "-metadata", f"comment={self.comment}",
                "-movflags", "+faststart", "-f", "mp4", f"file:{self._part.resolve()}"]  # fmt: skip

    def write(self, frames: np.ndarray) -> None:
        """frames: uint8 RGB [n H W 3] or [H W 3] of the writer's size. Raises ValueError, OutputError."""
        if frames.dtype != np.uint8 or frames.shape[-3:] != (self.height, self.width, 3):
            raise ValueError(f"expected uint8 [.. {self.height} {self.width} 3], got {frames.dtype} {frames.shape}")
        try:
            self._child.write(np.ascontiguousarray(frames).data)
        except OSError as error:
            self._child.finish()
            raise self._failure() from error

    def _failure(self) -> OutputError:
        return OutputError(f"{shown(str(self.path))} could not be written ({failure_reason(self._child.log)}).")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._cleanup:
            if kind is not None:
                return
            if self._child.finish():
                raise self._failure()
            try:
                os.replace(self._part, self.path)
            except OSError as cause:
                raise OutputError(f"{shown(str(self.path))} cannot be written: {cause.strerror}.") from cause


def write_mp4(path: PathLike, frames: Iterable[np.ndarray], size: tuple[int, int], count: int,
              audio: Sound | np.ndarray | None = None, comment: str = "") -> Path:  # fmt: skip
    """Write `count` frames (an iterable of uint8 [H W 3] or [n H W 3]) with sound; see Mp4Writer. Returns the path."""
    with Mp4Writer(path, size, count, audio, comment) as video:
        for frame in frames:
            video.write(frame)
    return video.path


def recompress(frames: np.ndarray, crf: int) -> np.ndarray:
    """Frames uint8 RGB [T H W 3] with even sides, after H.264 compression with rate factor `crf`. Repeatable."""
    count, height, width = frames.shape[:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    coder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-pix_fmt", "yuv420p", "-threads", "1"]
    to_video = [*raw, "-s", f"{width}x{height}", "-r", str(FPS), "-i", "-", *coder, "-f", "matroska", "-"]
    made = frames.tobytes()
    for command in (to_video, ["-i", "-", *raw, "-"]):
        made = subprocess.run([*program(), *command], input=made, capture_output=True, check=True).stdout
    return np.frombuffer(made, np.uint8).reshape(count, height, width, 3)
