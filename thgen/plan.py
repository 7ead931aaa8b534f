"""Prepares a request for the decoder: reads photo, voice and clips, and encodes them as factors over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from thgen.errors import AudioError, ClipError
from thgen.face.crop import limit_side
from thgen.face.track import Motion, check_gaps, fill_gaps, stop_at_gap
from thgen.io.clip import CLIP_MAX_SIDE, read_clip
from thgen.io.files import PathLike
from thgen.io.photo import is_photo, read_photo
from thgen.io.process import Tick
from thgen.io.sound import Sound, read_sound
from thgen.methods.base import Factors
from thgen.request import Request
from thgen.schema import FPS, SAMPLES_PER_FRAME

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop
    from thgen.pipeline import Prepared, Session

Progress = Callable[[float, str], None]  # fraction 0 to 1, current step; raising an exception ends the work


class Reporter:
    """A `Progress` that repeats its last report at each `tick`, so that the callback can cancel a long wait."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress or (lambda fraction, text: None)
        self._last = (0.0, "Starting")

    def __call__(self, fraction: float, text: str) -> None:
        self._last = (fraction, text)
        self._progress(fraction, text)

    def tick(self) -> None:
        self._progress(*self._last)


@dataclass(frozen=True)
class Plan:
    """All inputs of the decoder.

    driven, second: values of the first and the second sources, per factor [N D] at 25 fps; voiced: driven factors that
    come from the voice; frames: length of the video; sound: of the video.
    """

    prepared: Prepared
    driven: Factors
    second: Factors
    voiced: tuple[str, ...]
    frames: int
    warnings: list[str]
    sound: Sound | None = None


@dataclass
class _Clips:
    """The encoded driving clips of one request; one clip may drive several factors."""

    session: Session
    report: Reporter
    frames: int | None  # length of the video if there is a voice
    longest: float | None  # longest allowed video, s
    warnings: list[str]
    encoded: dict[Path, Factors] = field(default_factory=dict)
    motions: dict[Path, Motion] = field(default_factory=dict)  # of the clips that are no pictures

    def add(self, path: Path, still: bool) -> None:
        """Encode the frames of a clip that the video needs; all of them if there is no voice.

        Short gaps without a face are interpolated. still: the file is a picture. Raises ClipError, PhotoError,
        AudioError.
        """
        valid: list[bool] = []
        motion = Motion()
        if not still:
            self.motions[path] = motion
        fps = self.session.method.declaration.clip_fps
        frames = _still(path, self.report.tick) if still else read_clip(path, self.report.tick, fps)
        wanted = None if self.frames is None else math.ceil(self.frames * fps / FPS)
        if wanted is None and self.longest is not None:
            wanted = math.ceil(self.longest * fps) + 1
        try:
            factors = self.session.method.encode_clip(self._faces(path.name, islice(frames, wanted), valid, motion))
        finally:
            frames.close()
        if self.frames is None:
            check_length(len(valid) / fps, self.longest)
        if wanted and self.frames and 1 < len(valid) < wanted - 1:
            self.warnings.append(f"{path.name} is shorter than the video: it plays forwards and backwards in turn.")
        if lost := valid.count(False):
            self.warnings.append(
                f"{path.name} shows no face in {lost} of its frames; the motion is interpolated there."
            )
            mask = np.array(valid)
            factors = {n: torch.from_numpy(fill_gaps(v.cpu().numpy(), mask)).to(v) for n, v in factors.items()}
        self.encoded[path] = {name: resampled(track, fps) for name, track in factors.items()}

    def _faces(self, name: str, frames: Iterable[np.ndarray], valid: list[bool],
               motion: Motion) -> Iterator[FaceCrop]:  # fmt: skip
        """One face per frame of a clip. A frame without a face gets that of a neighbour.

        valid: filled with one entry per frame, False for a frame without a face. Raises ClipError if
        too many frames have no face. motion: sees each face.
        """
        last: FaceCrop | None = None
        size, fps = self.session.method.declaration.clip_size, self.session.method.declaration.clip_fps
        for crop in self.session.finder.track(frames, size):
            if len(valid) % fps == 0:
                self.report(0.05, f"Watching {name}, {len(valid) // fps} s")
            valid.append(crop is not None)
            stop_at_gap(valid, fps)
            if crop is not None:
                if last is None:
                    yield from [crop] * (len(valid) - 1)  # for the frames before the first face
                last = crop
                motion.see(crop.image)
            if last is not None:
                yield last
        check_gaps(np.array(valid), fps)

    def check_motion(self) -> None:
        """Raises ClipError if there is no voice and nothing moves in any clip. With a voice a still clip is a picture,
        about which there is a warning."""
        still = [path.name for path, motion in self.motions.items() if motion.still]
        if self.frames is None and len(still) == len(self.motions):
            raise ClipError(
                f"Nothing moves in {' and '.join(still)}: give a clip in which the face moves, or a voice as well."
            )
        self.warnings.extend(f"Nothing moves in {name}: it acts as a picture does." for name in still)


def resampled(track: torch.Tensor, fps: float) -> torch.Tensor:
    """Values [N D] at `fps` -> the same at 25 fps, by linear interpolation."""
    if fps == FPS or len(track) == 1:
        return track
    here = torch.arange(round(len(track) * FPS / fps), dtype=torch.float64) * (fps / FPS)
    before = here.long().clamp(max=len(track) - 1)
    after = (before + 1).clamp(max=len(track) - 1)
    return torch.lerp(track[before], track[after], (here - before).to(track)[:, None])


def check_length(seconds: float, longest: float | None) -> None:
    """Raises AudioError if a video of `seconds` would be longer than `longest`, s; None: any length."""
    if longest is not None and seconds > longest:
        raise AudioError(
            f"This would be a video of more than {longest:.0f} s, which is the most that is made here: give a shorter "
            "voice or clip, or use the command line."
        )


def plan(request: Request, session: Session, progress: Progress | None = None, *, wave: Path | None = None,
         longest: float | None = None) -> Plan:  # fmt: skip
    """Read and encode all inputs. Raises a ThgenError for any invalid input, before a frame is made.

    wave: file into which the video's sound is written; longest: longest allowed video, s.
    """
    report = Reporter(progress)
    sources = tuple(dict.fromkeys(Path(clip) for clip in request.clips))
    if request.audio is None and not sources:
        raise AudioError("There is nothing to animate: give a voice, or a driving clip.")
    stills = {path: is_photo(path, report.tick) for path in sources}
    if request.audio is None and all(stills.values()):
        raise AudioError("A still picture does not say how long the video is: give a voice, or a driving clip too.")
    report(0.0, "Finding the face")
    prepared = session.prepare(request, report.tick)
    warnings = list(prepared.warnings)
    report(0.03, "Reading the voice")
    sound = None if request.audio is None else read_sound(request.audio, wave, report.tick)
    frames = None if sound is None else math.ceil(sound.samples.size / SAMPLES_PER_FRAME)
    check_length(0.0 if frames is None else (frames - 1) / FPS, longest)  # the last frame may be incomplete
    clips = _Clips(session, report, frames, longest, warnings)
    for path, still in stills.items():
        clips.add(path, still)
    clips.check_motion()
    driven, second = (_tracks(given, clips.encoded) for given in (request.drivers, request.second_sources))
    if sound is None or frames is None:
        frames = max(len(track) for track in (*driven.values(), *second.values()))
        return Plan(prepared, driven, second, (), frames, warnings)
    report(0.1, "Listening")
    voice = session.method.encode_audio(sound.samples, frames)
    voiced = tuple(name for name in voice if name not in driven)
    driven = {**driven, **{name: voice[name] for name in voiced}}
    return Plan(prepared, driven, second, voiced, frames, warnings, sound)


def _tracks(sources: Mapping[str, PathLike], clips: Mapping[Path, Factors]) -> Factors:
    """The track [N D] of each driven factor."""
    return {name: clips[Path(path)][name] for name, path in sources.items()}


def _still(path: Path, tick: Tick) -> Generator[np.ndarray]:
    """A still picture as a clip of one frame. Raises PhotoError."""
    yield limit_side(read_photo(path, tick), CLIP_MAX_SIDE)[0]
