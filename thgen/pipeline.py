"""Photo + voice + driving clips -> video: the whole path, called by the command line, the page and the evaluation.

    photo --FaceFinder.crop--> crop --encode_photo--> Identity
    voice --encode_audio--> Factors{lip};   clips --FaceFinder.track, encode_clip--> Factors, one set per clip
    controls.apply -> target Factors;   decode -> frames, in windows;   Paster -> photo;   media.Mp4Writer -> mp4

Frames exist only one window at a time, so memory does not grow with the length of the voice.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thgen import controls as factor_controls
from thgen import media
from thgen.errors import AudioError, ControlError, MethodError
from thgen.methods import METHODS
from thgen.methods.base import UNITS, Factors, Identity, Method
from thgen.preprocess.crop import limit_side
from thgen.preprocess.paste import Paster
from thgen.preprocess.track import check_gaps, fill_gaps
from thgen.recipe import Recipe
from thgen.schema import FACTORS, FPS, SAMPLES_PER_FRAME, Controls

if TYPE_CHECKING:
    from thgen.preprocess.face import FaceCrop, FaceFinder

WINDOW = 8  # frames that exist at once; 16 take twice the memory and are no faster
CPU_CHUNK = 2  # frames that a CPU decodes at once: more no longer fit its cache, 8 cost half as much again per frame
SIZE_RANGE = (128, 1024)  # px of the generated crop, a multiple of SIZE_STEP
SIZE_STEP = 32
MAX_SIDE_RANGE = (256, 4096)  # px of the longer side of a video that keeps the whole photo
CLIP_SIZE = 256  # px of the tracked crops of a driving clip
CACHED_PHOTOS = 4

PathLike = media.PathLike
Progress = Callable[[float, str], None]  # fraction 0 to 1, what is going on; it may raise, which ends the work


@dataclass(frozen=True)
class Request:
    """Everything that one video is made of. Raises ControlError when something is unknown or outside its range.

    photo:      path, or uint8 RGB [H W 3]
    audio:      path (sound, or a video with sound), float32 [L] at 16 kHz, or None: as long as the longest driver
    drivers:    factor -> path of a driving clip, or of a still picture
    toward:     factor that may lie between two sources -> path of the second one; `controls.blend` says how far
    face:       which face of the photo, 0 = the largest
    size:       px of the generated square crop
    paste_back: put the crop back into the photo (its longer side then limited to max_side), or give the crop alone
    """

    photo: PathLike | np.ndarray
    audio: PathLike | np.ndarray | None = None
    drivers: Mapping[str, PathLike] = field(default_factory=dict)
    controls: Controls = field(default_factory=Controls)
    method: str = "rig"
    seed: int = 0
    face: int = 0
    size: int = 512
    paste_back: bool = True
    max_side: int = 1080
    toward: Mapping[str, PathLike] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.drivers, *self.toward):
            if name not in FACTORS or "clip" not in FACTORS[name].drivers:
                raise ControlError(f"A clip cannot drive {name!r}; choose one of: {', '.join(FACTORS)}.")
        for name in self.toward:
            if not FACTORS[name].blends:
                raise ControlError(f"{FACTORS[name].label} cannot lie between two sources; give one clip.")
        low, high = SIZE_RANGE
        if not low <= self.size <= high or self.size % SIZE_STEP:
            raise ControlError(f"The size must be a multiple of {SIZE_STEP} from {low} to {high}, not {self.size}.")
        low, high = MAX_SIDE_RANGE
        if not low <= self.max_side <= high:
            raise ControlError(f"The longer side must be from {low} to {high} pixels, not {self.max_side}.")
        if not 0 <= self.seed < 2**63:
            raise ControlError(f"The seed must be a whole number from 0 on, not {self.seed}.")
        if self.face < 0:
            raise ControlError(f"Faces are counted from 0, the largest; {self.face} is none.")

    def recipe(self) -> Recipe:
        """The settings alone, without the names of any file."""
        return Recipe(self.method, self.seed, self.face, self.size, self.paste_back, self.max_side, self.controls)


@dataclass(frozen=True)
class Window:
    """A run of finished frames: uint8 RGB [n H W 3], the first being frame `start` of `total`."""

    frames: np.ndarray
    start: int
    total: int


@dataclass(frozen=True)
class Result:
    """A written video and how it came about."""

    path: Path
    seconds: float
    frames: int
    fps: int
    method: str
    seed: int
    weights: list[dict[str, Any]]  # each network that ran: name, sha256, ...
    warnings: list[str]
    elapsed: float  # seconds of work


@dataclass(frozen=True)
class Prepared:
    """A photo, found, cropped and encoded: all that does not depend on time."""

    crop: FaceCrop
    identity: Identity
    paster: Paster | None  # None: the crop alone is wanted

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the video's frames."""
        shape = self.crop.image.shape if self.paster is None else self.paster.photo.shape
        return shape[1], shape[0]


class Session:
    """A loaded method and face finder, and the last photos that they encoded. Safe to share between threads."""

    def __init__(self, method: Method, finder: FaceFinder) -> None:
        self.method = method
        self.finder = finder
        self._photos: OrderedDict[tuple, Prepared] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, method: str = "rig", device: str | None = None, landmarks: str = "analyser") -> Session:
        """device: "cpu", "cuda", ... or None for the best there is. Raises MethodError, WeightsError."""
        from thgen import hub
        from thgen.preprocess.face import FaceFinder

        target = _device(device)
        kind = method_class(method)  # an unknown name is told before any weights are loaded
        finder = FaceFinder(hub.load_network("analyser", target), target, landmarks=landmarks)
        return cls(kind.load(target), finder)

    def prepare(self, request: Request) -> Prepared:
        """Read, find, crop and encode the request's photo, or take it from the last few. PhotoError, FaceError."""
        key = (_photo_key(request.photo), request.face, request.size, request.paste_back, request.max_side)
        with self._lock:
            if key in self._photos:
                self._photos.move_to_end(key)
                return self._photos[key]
            photo = media.read_photo(request.photo)
            if request.paste_back:
                photo, _ = limit_side(photo, request.max_side)
            crop = self.finder.crop(photo, request.face, request.size)
            paster = Paster(photo, crop.square, request.size) if request.paste_back else None
            prepared = Prepared(crop, self.method.encode_photo(np.array(crop.image)), paster)
            self._photos[key] = prepared
            while len(self._photos) > CACHED_PHOTOS:
                self._photos.popitem(last=False)
            return prepared

    def weights(self) -> list[dict[str, Any]]:
        """What `hub.describe` says of every network that runs: the analyser's, and the method's own."""
        from thgen import hub

        names = dict.fromkeys(("analyser", *(self.method.networks or (self.method.weights_name,))))
        return [hub.describe(name) for name in names]


def _device(name: str | None) -> torch.device:
    """Raises ControlError for a device that torch does not know or that is not there."""
    best = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name or best)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ControlError(f"There is no device {name!r} here; leave it out to use {best}.") from error
    return device


def method_class(name: str) -> type[Method]:
    """The class behind a method's name. Raises MethodError."""
    if name not in METHODS:
        raise MethodError(f"There is no method {name!r}; choose one of: {', '.join(METHODS)}.")
    module, _, attribute = METHODS[name].partition(":")
    return getattr(import_module(module), attribute)


def _photo_key(photo: PathLike | np.ndarray) -> tuple:
    """What changes when the photo does; cheap, because a slider asks for it at every move."""
    if isinstance(photo, np.ndarray):
        return photo.shape, hashlib.sha256(photo.tobytes()).hexdigest()
    try:
        stat = Path(photo).stat()
    except (OSError, ValueError):
        return (str(photo),)  # read_photo says what is wrong with it
    return str(Path(photo).resolve()), stat.st_mtime_ns, stat.st_size


@dataclass(frozen=True)
class Plan:
    """A request up to the decoder: only frames are still to be made."""

    prepared: Prepared
    driven: Factors  # per driven factor [N D]
    toward: Factors  # the second sources, likewise
    voiced: tuple[str, ...]
    frames: int
    warnings: list[str]


def plan(request: Request, session: Session, progress: Progress | None = None) -> Plan:
    """Read and encode everything. Raises every typed error that an input can cause, before a frame is made."""
    report = progress or (lambda fraction, text: None)
    sources = [*request.drivers.items(), *request.toward.items()]
    absent = [name for name, _ in sources if name not in session.method.factors]
    if absent:
        raise ControlError(f"The method {session.method.name} has no factor {absent[0]!r} that a clip could drive.")
    if request.audio is None and not sources:
        raise AudioError("There is nothing to animate: give a voice, or a driving clip.")
    if request.audio is None and all(media.is_photo(path) for _, path in sources):
        raise AudioError("A still picture does not say how long the video is: give a voice, or a driving clip too.")
    report(0.0, "Finding the face")
    prepared = session.prepare(request)
    warnings = list(prepared.crop.warnings)
    report(0.03, "Reading the voice")
    samples = None if request.audio is None else media.read_audio(request.audio)
    frames = None if samples is None else math.ceil(samples.size / SAMPLES_PER_FRAME)
    clips: dict[Path, Factors] = {}  # one clip may drive several factors
    for _, path in sources:
        if Path(path) not in clips:
            clips[Path(path)] = _encode_clip(Path(path), frames, session, report, warnings)
    driven, toward = (_tracks(given, clips, session.method) for given in (request.drivers, request.toward))
    if samples is None or frames is None:
        frames = max(len(track) for track in (*driven.values(), *toward.values()))
        return Plan(prepared, driven, toward, (), frames, warnings)
    report(0.1, "Listening")
    voice = session.method.encode_audio(samples, frames)
    voiced = tuple(name for name in voice if name not in driven)
    return Plan(prepared, {**driven, **{name: voice[name] for name in voiced}}, toward, voiced, frames, warnings)


def _tracks(sources: Mapping[str, PathLike], clips: Mapping[Path, Factors], method: Method) -> Factors:
    """What drives each factor, [N D]. Raises ControlError."""
    for name, path in sources.items():
        if name not in clips[Path(path)]:
            raise ControlError(f"With {method.name} a clip cannot drive {name!r}.")
    return {name: clips[Path(path)][name] for name, path in sources.items()}


def _encode_clip(path: Path, wanted: int | None, session: Session, report: Progress, warnings: list[str]) -> Factors:
    """Factors of the first `wanted` frames of a driving clip (None: all) or of a still, each [N D]; short gaps without
    a face are interpolated. Raises ClipError, PhotoError."""
    found: list[bool] = []
    frames = _still(path) if media.is_photo(path) else media.read_clip(path)
    try:
        factors = session.method.encode_clip(_faces(path.name, islice(frames, wanted), session, report, found))
    finally:
        frames.close()
    if wanted and 1 < len(found) < wanted - 1:
        warnings.append(f"{path.name} is shorter than the video: it plays forwards and backwards in turn.")
    lost = found.count(False)
    if not lost:
        return factors
    warnings.append(f"{path.name} shows no face in {lost} of its frames; the motion is interpolated there.")
    seen = np.array(found)
    return {name: torch.from_numpy(fill_gaps(v.cpu().numpy(), seen)).to(v) for name, v in factors.items()}


def _still(path: Path) -> Generator[np.ndarray]:
    """A still picture as a clip of one frame. Raises PhotoError."""
    yield limit_side(media.read_photo(path), media.CLIP_MAX_SIDE)[0]


def _faces(name: str, frames: Iterable[np.ndarray], session: Session, report: Progress,
           found: list[bool]) -> Iterator[np.ndarray]:  # fmt: skip
    """The clip's crops, uint8 [S S 3], one per frame; where there is none a neighbour stands in, told in `found`.

    Raises ClipError after the last frame when too many were without a face.
    """
    last: np.ndarray | None = None
    for crop in session.finder.track(frames, CLIP_SIZE):
        if len(found) % FPS == 0:
            report(0.05, f"Watching {name}, {len(found) // FPS} s")
        found.append(crop is not None)
        if crop is not None:
            if last is None:
                yield from [crop.image] * (len(found) - 1)  # the first face also stands for the frames before it
            last = crop.image
        if last is not None:
            yield last
    check_gaps(np.array(found))


def frames_of(plan: Plan, request: Request, session: Session) -> Iterator[Window]:
    """Decode a plan window by window. Only the target factors, 200 bytes per frame, exist for the whole video."""
    target = _targets(plan.prepared.identity, plan, request, session.method.canonical)
    for start in range(0, plan.frames, WINDOW):
        window = {name: values[start : start + WINDOW] for name, values in target.items()}
        yield Window(_render(plan.prepared, window, session.method), start, plan.frames)


def _targets(identity: Identity, plan: Plan | None, request: Request, latents: bool) -> Factors:
    """Target values of every factor, [frames D]; of latents, those of the factors with units beside them. Without a
    plan those of one still that nothing drives."""
    controls, seed = request.controls, request.seed
    driven, toward, frames = (plan.driven, plan.toward, plan.frames) if plan else ({}, {}, 1)
    voiced = plan.voiced if plan else ()
    target = factor_controls.targets(latents, identity.own, driven, controls, seed, frames, voiced=voiced,
                                     toward=toward)  # fmt: skip
    if identity.units is None:
        return target
    # What is driven does not live beside its driver.
    still = replace(controls, live={**controls.live, **{n: False for n in driven if FACTORS[n].live}})
    units = factor_controls.apply(identity.units, {}, still, seed, frames)
    return target | {UNITS + name: values for name, values in units.items()}


def _render(prepared: Prepared, target: Factors, method: Method) -> np.ndarray:
    """Target factors of n frames -> uint8 RGB [n H W 3], pasted back if so prepared."""
    count = len(next(iter(target.values())))
    step = CPU_CHUNK if prepared.identity.image.device.type == "cpu" else count
    parts = [_decode(prepared, {name: v[i : i + step] for name, v in target.items()}, method)
             for i in range(0, count, step)]  # fmt: skip
    frames, masks = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if prepared.paster is None:
        return frames
    result = np.repeat(prepared.paster.photo[None], count, axis=0)
    for frame, mask, out in zip(frames, masks, result, strict=True):
        prepared.paster.paste(frame, mask, out)
    return result


@torch.inference_mode()
def _decode(prepared: Prepared, target: Factors, method: Method) -> tuple[np.ndarray, np.ndarray]:
    """Frames of the crop uint8 RGB [n S S 3], and their mask float32 [n S S] in [0, 1]."""
    decoded = method.decode(prepared.identity, target)
    return decoded.images(), decoded.mask[:, 0].float().cpu().numpy()


def generate(request: Request, session: Session | None = None, progress: Progress | None = None) -> Iterator[Window]:
    """The frames of a video, in windows. Inputs are read and checked at once; decoding happens while iterated.

    Closing the iterator stops the work. Raises any ThgenError.
    """
    session = session or Session.load(request.method)
    return frames_of(plan(request, session, progress), request, session)


def preview(request: Request, session: Session) -> np.ndarray:
    """One still, uint8 RGB [H W 3]: the photo with the sliders applied; voice and clips are not looked at."""
    prepared = session.prepare(request)
    target = _targets(prepared.identity, None, request, session.method.canonical)
    return _render(prepared, target, session.method)[0]


def render_video(request: Request, out: PathLike, progress: Progress | None = None,
                 session: Session | None = None) -> Result:  # fmt: skip
    """Make the mp4. It appears under its name only when whole; an error or interruption leaves nothing behind.

    Raises any ThgenError; OutputError before the work starts when `out` cannot be written.
    """
    begin = time.monotonic()
    report = progress or (lambda fraction, text: None)
    out = media.check_output(out)
    report(0.0, "Loading the weights")
    session = session or Session.load(request.method)
    work = plan(request, session, report)
    weights = session.weights()
    sound = request.audio if isinstance(request.audio, np.ndarray) or request.audio is None else Path(request.audio)
    with media.Mp4Writer(out, work.prepared.size, work.frames, sound, _comment(request, weights)) as video:
        for window in frames_of(work, request, session):
            video.write(window.frames)
            done = window.start + len(window.frames)
            report(0.1 + 0.88 * done / work.frames, f"Frame {done} of {work.frames}")
        report(0.98, "Finishing the file")
    return Result(out, work.frames / FPS, work.frames, FPS, request.method, request.seed, weights, work.warnings,
                  time.monotonic() - begin)  # fmt: skip


def _comment(request: Request, weights: list[dict[str, Any]]) -> str:
    """What the mp4 says about itself: that it is synthetic, by what, and with which weights."""
    names = ", ".join(f"{w.get('name')} {str(w.get('sha256', ''))[:12]}".strip() for w in weights)
    return f"Synthetic video made by thgen; method {request.method}; seed {request.seed}; weights {names}"
