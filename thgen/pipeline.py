"""Photo + voice + driving clips -> video: the whole path, called by the command line, the page and the evaluation.

    photo --FaceFinder.crop--> crop --encode_photo--> Identity
    voice --encode_audio--> Factors{lip};   clips --FaceFinder.track, encode_clip--> Factors, one set per clip
    controls.apply -> target Factors;   decode -> frames, in windows;   Paster -> photo;   media.Mp4Writer -> mp4

Frames exist only one window at a time, so memory does not grow with the length of the voice.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thgen import controls as factor_controls
from thgen.errors import ControlError, MethodError, WeightsError, shown
from thgen.face.crop import limit_side
from thgen.face.paste import Paster
from thgen.io.files import PathLike, check_output
from thgen.io.mp4 import Mp4Writer
from thgen.io.photo import read_photo
from thgen.io.process import TICK_SECONDS, Tick, no_tick
from thgen.methods import METHODS
from thgen.methods.base import UNITS, Factors, Identity, Method
from thgen.plan import Plan, Progress, Reporter, plan
from thgen.request import Request
from thgen.schema import CONTROLS, FACTORS, FPS, MOTIONS, OTHERS

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop, FaceFinder

WINDOW = 8  # frames that exist at once; 16 take twice the memory and are no faster
CPU_CHUNK = 2  # frames that a CPU decodes at once: more no longer fit its cache, 8 cost half as much again per frame
CACHED_PHOTOS = 4


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
    warnings: tuple[str, ...] = ()  # sentences for the visitor about the photo

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
        self._busy: dict[tuple, threading.Lock] = {}  # photos that are being prepared
        self._lock = threading.Lock()  # of the two dictionaries; held for no longer than a look into them

    @classmethod
    def load(cls, method: str = "rig", device: str | None = None, landmarks: str = "analyser") -> Session:
        """device: "cpu", "cuda", ... or None for the best there is. Raises MethodError, WeightsError."""
        from thgen.face.finder import FaceFinder
        from thgen.weights import hub

        target = _device(device)
        kind = method_class(method)  # an unknown name, or absent weights, are told before any are loaded
        if why := why_absent(method):
            raise WeightsError(why)
        finder = FaceFinder(hub.load_network("analyser", target), target, landmarks=landmarks)
        return cls(kind.load(target), finder)

    def prepare(self, request: Request, tick: Tick = no_tick) -> Prepared:
        """Read, find, crop and encode the request's photo, or take it from the last few.

        Raises PhotoError, FaceError; MethodError when the request asks for another method than this one.

        Whoever asks for the same photo meanwhile waits for it; whoever asks for another one does not.
        """
        self._check(request)
        key = (_photo_key(request.photo), request.face, request.size, request.paste_back, request.max_side)
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        while not busy.acquire(timeout=TICK_SECONDS):
            tick()
        try:
            with self._lock:
                known = self._photos.get(key)
            prepared = known or self._prepare(request, tick)
            with self._lock:
                self._photos[key] = prepared
                self._photos.move_to_end(key)
                while len(self._photos) > CACHED_PHOTOS:
                    self._photos.popitem(last=False)
            return prepared
        finally:
            with self._lock:
                self._busy.pop(key, None)
            busy.release()

    def _check(self, request: Request) -> None:
        """Refuse what this method would ignore. Raises MethodError, ControlError."""
        method, controls = self.method, request.controls
        if request.method != method.name:
            raise MethodError(
                f"The request asks for the method {shown(request.method)}, but {method.name!r} is loaded: load that "
                "one, or ask for this one."
            )
        if method.canonical and controls.motion != MOTIONS[0]:
            raise ControlError(
                f"With {method.name} a clip's own values always count: leave the motion {MOTIONS[0]}, not "
                f"{controls.motion}."
            )
        if not method.canonical and controls.others != OTHERS[0]:
            raise ControlError(
                f"The factors of {method.name} have no canonical position: leave others {OTHERS[0]}, not "
                f"{controls.others}."
            )
        moved = [key for key, value in controls.values.items() if value != CONTROLS[key].neutral]
        if moved and not method.sliders:
            raise ControlError(f"{method.name} has no sliders: leave out {moved[0]}, or choose another method.")

    def _prepare(self, request: Request, tick: Tick) -> Prepared:
        photo = read_photo(request.photo, tick)
        if request.paste_back:
            photo, _ = limit_side(photo, request.max_side)
        upright = self.finder.upright(photo)
        crop = self.finder.crop(upright.photo, request.face, request.size, upright.faces)
        paster = Paster(upright.photo, crop.square, request.size) if request.paste_back else None
        warnings = (*upright.warnings, *crop.warnings)
        return Prepared(crop, self.method.encode_photo(np.array(crop.image)), paster, warnings)

    def weights(self) -> list[dict[str, Any]]:
        """What `hub.describe` says of every network that runs: the analyser's, and the method's own."""
        from thgen.weights import hub

        names = dict.fromkeys(("analyser", *(self.method.networks or (self.method.weights_name,))))
        return [hub.describe(name) for name in names]


def _device(name: str | None) -> torch.device:
    """Raises ControlError for a device that torch does not know or that is not there."""
    best = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name or best)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ControlError(f"There is no device {shown(name)} here; leave it out to use {best}.") from error
    return device


def method_class(name: str) -> type[Method]:
    """The class behind a method's name. Raises MethodError."""
    if name not in METHODS:
        raise MethodError(f"There is no method {shown(name)}; choose one of: {', '.join(METHODS)}.")
    module, _, attribute = METHODS[name].partition(":")
    return getattr(import_module(module), attribute)


def why_absent(name: str) -> str | None:
    """The sentence about a method whose weights are not here, with what to do; None where it can run.

    Raises MethodError.
    """
    from thgen.weights import hub

    kind = method_class(name)
    try:
        missing = hub.absent(("analyser", *(kind.networks or (kind.weights_name,))))
    except WeightsError as error:  # there is no manifest
        return str(error)
    return f"The weights of {name!r} are not here ({', '.join(missing)}); {kind.weights_from}." if missing else None


def available_methods() -> list[str]:
    """The methods whose weights are here, in the order of METHODS."""
    return [name for name in METHODS if why_absent(name) is None]


def _photo_key(photo: PathLike | np.ndarray) -> tuple:
    """What changes when the photo does; cheap, because a slider asks for it at every move."""
    if isinstance(photo, np.ndarray):
        return photo.shape, hashlib.sha256(photo.tobytes()).hexdigest()
    try:
        stat = Path(photo).stat()
    except (OSError, ValueError):
        return (str(photo),)  # read_photo says what is wrong with it
    return str(Path(photo).resolve()), stat.st_mtime_ns, stat.st_size


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


def render_video(request: Request, out: PathLike, progress: Progress | None = None, session: Session | None = None,
                 longest: float | None = None) -> Result:  # fmt: skip
    """Make the mp4. It appears under its name only when whole; an error or interruption leaves nothing behind.

    longest: seconds of video, more are refused. Raises any ThgenError; OutputError before the work starts when `out`
    cannot be written, or would replace one of the inputs.
    """
    begin = time.monotonic()
    report = Reporter(progress)
    out = check_output(out, inputs=request.inputs)
    report(0.0, "Loading the weights")
    session = session or Session.load(request.method)
    with tempfile.TemporaryDirectory(prefix="thgen-") as folder:
        work = plan(request, session, report, wave=Path(folder) / "sound.wav", longest=longest)
        weights = session.weights()
        comment = _comment(session.method.name, request.seed, weights)
        with Mp4Writer(out, work.prepared.size, work.frames, work.sound, comment, report.tick) as video:
            for window in frames_of(work, request, session):
                video.write(window.frames)
                done = window.start + len(window.frames)
                report(0.1 + 0.88 * done / work.frames, f"Frame {done} of {work.frames}")
            report(0.98, "Finishing the file")
    return Result(out, work.frames / FPS, work.frames, FPS, session.method.name, request.seed, weights, work.warnings,
                  time.monotonic() - begin)  # fmt: skip


def _comment(method: str, seed: int, weights: list[dict[str, Any]]) -> str:
    """What the mp4 says about itself: that it is synthetic, by what, and with which weights."""
    names = ", ".join(f"{w.get('name')} {str(w.get('sha256', ''))[:12]}".strip() for w in weights)
    return f"Synthetic video made by thgen; method {method}; seed {seed}; weights {names}"
