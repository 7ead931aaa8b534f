"""Read sound. One decoding gives the samples for the lips and the wave file for the video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thgen.errors import AudioError
from thgen.io.ffmpeg import MEDIA_MAX_SECONDS, decoder, failure_reason, probe
from thgen.io.files import PathLike, regular_file
from thgen.io.process import Tick, no_tick
from thgen.schema import SAMPLE_RATE

AUDIO_MAX_BYTES = 256 << 20
AUDIO_MAX_SECONDS = MEDIA_MAX_SECONDS
AUDIO_MIN_SECONDS = 0.4
SILENCE_PEAK = 1e-3  # -60 dBFS: a recording with a lower peak counts as silent
ABSURD_PEAK = 1e4  # +80 dBFS: samples above it are no recording
WAVE_RATE = 48_000  # Hz, sound of the video: an AAC packet has 21 ms, so that sound ends within one video frame
CANCELLED = 0.1  # power of the mean of both channels / power of the louder one; below it the channels cancel


@dataclass(frozen=True)
class Sound:
    """A recording.

    samples: float32 [L], 16 kHz mono in [-1, 1], for the lips
    wave:    WAV file for the video, 48 kHz, mono or stereo, float, not yet scaled by `gain`; None if not requested
    gain:    factor that scales the wave to [-1, 1]; 1 if it lies inside already
    channel: index of the one channel that the video plays on both sides, if the wave has only one or if its channels
             cancel; None: the video plays both channels
    """

    samples: np.ndarray
    wave: Path | None = None
    gain: float = 1.0
    channel: int | None = None


def read_audio(audio: PathLike | np.ndarray, tick: Tick = no_tick) -> np.ndarray:
    """Sound as float32 [L], 16 kHz mono in [-1, 1]; see `read_sound`."""
    return read_sound(audio, tick=tick).samples


def read_sound(audio: PathLike | np.ndarray, wave: Path | None = None, tick: Tick = no_tick) -> Sound:
    """Read a recording. wave: path of a WAV file to write for the video; None: no file.

    audio: a path (wav, mp3, m4a, flac, ogg, opus, amr and others, or a video with sound, any rate and channels; the
    content decides, not the name), or float [L] at 16 kHz. A recording that exceeds 1 is scaled down, not clipped. If
    the channels cancel, only the louder one is used. The length is counted, since headers can be wrong.
    Raises AudioError: unreadable, without sound, silent, shorter than 0.4 s, longer than 10 min, or with samples that
    are not numbers.
    """
    if isinstance(audio, np.ndarray):
        return _from_samples(audio, wave)
    path = regular_file(audio, AudioError, "audio", AUDIO_MAX_BYTES)
    info = probe(path, AudioError, tick)
    if not info.has_audio:
        raise AudioError(f"{path.name} has no sound track; give a file with a voice.")
    both, peak = _decode(path, 1 if info.mono else 2, wave, tick)
    mono, channel = _one_channel(both)
    samples, gain = _checked(mono, path.name, peak)
    return Sound(samples, wave, gain, channel)


def _from_samples(samples: np.ndarray, wave: Path | None) -> Sound:
    """Sound from float [L] at 16 kHz. Raises AudioError."""
    import soundfile

    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(f"Audio samples are float [L] at 16 kHz mono, not {samples.dtype} {list(samples.shape)}.")
    with np.errstate(over="ignore"):
        samples = samples.astype(np.float32)
    scaled, _ = _checked(samples, "The audio", float(np.abs(samples).max(initial=0)))
    if wave is not None:
        soundfile.write(wave, scaled, SAMPLE_RATE, subtype="FLOAT")
    return Sound(scaled, wave, channel=0)


def _decode(path: Path, channels: int, wave: Path | None, tick: Tick) -> tuple[np.ndarray, float]:
    """The 1 or 2 channels as float32 [L C] at 16 kHz, and the peak at 48 kHz. Raises AudioError."""
    import soundfile
    import soxr

    resampler = soxr.ResampleStream(WAVE_RATE, SAMPLE_RATE, channels, dtype="float32")
    parts, peak = [], 0.0
    file = None if wave is None else soundfile.SoundFile(wave, "w", WAVE_RATE, channels, "FLOAT", format="WAV")
    try:
        for block in _blocks(path, channels, tick):
            peak = max(peak, float(np.abs(block).max(initial=0)))
            if not peak <= ABSURD_PEAK:  # NaN as well
                raise AudioError(f"{path.name} holds samples that are not numbers or far too large; export it again.")
            if file is not None:
                file.write(block)
            parts.append(resampler.resample_chunk(block))
    finally:
        if file is not None:
            file.close()
    parts.append(resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True))
    return np.concatenate(parts), peak


def _blocks(path: Path, channels: int, tick: Tick) -> Iterator[np.ndarray]:
    """The sound in blocks of one second, float32 [n C] at 48 kHz. Raises AudioError."""
    # first_pts=0: if the sound of a video starts later than the picture, keep the gap. rematrix_maxval=1: mixing many
    # channels into two does not make the sound louder.
    options = ("-map", "0:a:0", "-af", f"aresample={WAVE_RATE}:async=1:first_pts=0:rematrix_maxval=1",
               "-ac", str(channels), "-f", "f32le", "-")  # fmt: skip
    block, done = np.empty((WAVE_RATE, channels), "<f4"), 0
    with decoder(path, AudioError, tick, *options) as child:
        while count := child.read_into(block.data.cast("B")):
            tick()
            done += count // block.strides[0]
            if done > (AUDIO_MAX_SECONDS + 1) * WAVE_RATE:
                raise AudioError(f"{path.name} is longer than {AUDIO_MAX_SECONDS:.0f} s; give a shorter one.")
            yield block[: count // block.strides[0]].astype(np.float32)
        if child.finish() and not done:
            raise AudioError(f"The sound of {path.name} cannot be read ({failure_reason(child.log)}).")


def _one_channel(both: np.ndarray) -> tuple[np.ndarray, int | None]:
    """Channels [L C] -> one channel [L], and its index: the only one, or the louder of two that cancel.

    Otherwise it is the mean of both, and the index is None.
    """
    if both.shape[1] == 1:
        return np.ascontiguousarray(both[:, 0]), 0
    mean = both.mean(axis=1)
    powers = [float(np.square(both[:, c], dtype=np.float64).mean()) if len(both) else 0.0 for c in (0, 1)]
    louder = int(powers[1] > powers[0])
    if float(np.square(mean, dtype=np.float64).mean() if len(mean) else 0.0) < CANCELLED * powers[louder]:
        return np.ascontiguousarray(both[:, louder]), louder
    return mean, None


def _checked(samples: np.ndarray, name: str, peak: float) -> tuple[np.ndarray, float]:
    """The samples scaled to [-1, 1], and the factor. peak: highest value of all channels. Raises AudioError."""
    seconds = samples.size / SAMPLE_RATE
    if seconds > AUDIO_MAX_SECONDS + 1:
        raise AudioError(f"{name} is longer than {AUDIO_MAX_SECONDS:.0f} s; give a shorter one.")
    if seconds < AUDIO_MIN_SECONDS:
        raise AudioError(f"{name} is too short ({seconds:.2f} s); give at least {AUDIO_MIN_SECONDS} s of sound.")
    if not np.isfinite(samples).all() or not peak <= ABSURD_PEAK:
        raise AudioError(f"{name} holds samples that are not numbers or far too large; export it again.")
    if float(np.abs(samples).max()) < SILENCE_PEAK:
        raise AudioError(f"{name} is silent: no sound in it rises above -60 dB; give a file with a voice.")
    gain = 1 / max(1.0, peak, float(np.abs(samples).max()))  # resampling can overshoot a little
    return samples if gain == 1 else (samples * np.float32(gain)).clip(-1, 1), gain
