"""Photos + voice + driving clips -> video: the whole path, called by the command line, the page and the evaluation.

    photos --FaceFinder.crop--> crops --encode_photos--> Identity
    voice  --encode_audio--> Factors;   clips --FaceFinder.track, encode_clip--> Factors, one set per clip
    controls.targets, steer, finish -> target Factors;   decode -> frames, in windows;   Paster -> photo;   Mp4Writer

Frames exist only one window at a time, so memory does not grow with the length of the voice.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thgen import controls as factor_controls
from thgen.errors import FaceError, MethodError, PhotoError, WeightsError, shown
from thgen.face.crop import limit_side
from thgen.face.paste import Paster
from thgen.io.files import PathLike, check_output
from thgen.io.mp4 import Mp4Writer
from thgen.io.photo import read_photo
from thgen.io.process import TICK_SECONDS, Tick, no_tick
from thgen.methods import METHODS, declaration_of
from thgen.methods.base import Factors, Identity, Method
from thgen.plan import Plan, Progress, Reporter, plan
from thgen.request import Request
from thgen.schema import FACTORS, FPS, SLIDERS
from thgen.settings import Controls

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop, FaceFinder
    from thgen.weights.hub import Networks

LOG = logging.getLogger(__name__)
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
    elapsed: float  # s: time that the work took


@dataclass(frozen=True)
class Prepared:
    """A photo after face search, crop and encoding: all inputs that do not depend on time."""

    crop: FaceCrop
    identity: Identity
    paster: Paster | None  # None: the video shows the crop alone
    warnings: tuple[str, ...] = ()  # sentences for the visitor about the photo

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the video's frames."""
        shape = self.crop.image.shape if self.paster is None else self.paster.photo.shape
        return shape[1], shape[0]


class Session:
    """A loaded method, a face finder, and a cache of the last photos that they encoded. Thread-safe."""

    def __init__(self, method: Method, finder: FaceFinder) -> None:
        self.method = method
        self.finder = finder
        self._photos: OrderedDict[tuple, Prepared] = OrderedDict()
        self._busy: dict[tuple, threading.Lock] = {}  # photos that are being prepared
        self._lock = threading.Lock()  # guards both dictionaries; held only while one is read or changed

    @classmethod
    def load(cls, method: str = "rig", device: str | None = None, landmarks: str = "analyser",
             networks: Networks | None = None) -> Session:  # fmt: skip
        """Load a method and its weights. Raises MethodError, WeightsError.

        device: "cpu", "cuda", ...; None: CUDA if available, else the CPU. networks: loaded networks that this session
        shares with others; then their device counts and `device` is ignored.
        """
        from thgen.face.finder import FaceFinder
        from thgen.weights import hub

        kind = method_class(method)  # errors about the name or absent weights come before anything is loaded
        if why := why_absent(method):
            raise WeightsError(why)
        shared = networks or hub.Networks(device)
        LOG.info("method %s on %s, landmarks of %s", method, shared.device, landmarks)
        finder = FaceFinder(shared.get("analyser"), shared.device, landmarks=landmarks)
        return cls(kind.load(shared), finder)

    def prepare(self, request: Request, tick: Tick = no_tick) -> Prepared:
        """Read the request's photos, find and crop the faces and encode them, or return the cached result.

        A second call with the same photos waits for the first one. Calls with other photos do not wait. Raises
        PhotoError, FaceError; MethodError if the request is for another method.
        """
        self.check(request.method)
        photos = tuple(_photo_key(photo) for photo in request.photos)
        key = (photos, request.face, request.size, request.paste_back, request.max_side)
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

    def check(self, wanted: str) -> None:
        """Raises MethodError if a request is for another method."""
        name = self.method.declaration.name
        if wanted != name:
            raise MethodError(
                f"The request asks for the method {shown(wanted)}, but {name!r} is loaded: load that one, or ask for "
                "this one."
            )

    def _prepare(self, request: Request, tick: Tick) -> Prepared:
        photo = read_photo(request.photo, tick)
        if request.paste_back:
            photo, _ = limit_side(photo, request.max_side)
        upright = self.finder.upright(photo)
        crop = self.finder.crop(upright.photo, request.face, request.size, upright.faces)
        paster = Paster(upright.photo, crop.square, request.size) if request.paste_back else None
        further = [self.face_of(other, n, request.size, tick) for n, other in enumerate(request.more_photos, 2)]
        warnings = (*upright.warnings, *crop.warnings)
        return Prepared(crop, self.method.encode_photos([crop, *further]), paster, warnings)

    def face_of(self, photo: PathLike | np.ndarray, number: int, size: int, tick: Tick = no_tick) -> FaceCrop:
        """The largest face of one of several photos, a crop of `size` px. PhotoError and FaceError name the number."""
        try:
            upright = self.finder.upright(read_photo(photo, tick))
            return self.finder.crop(upright.photo, 0, size, upright.faces)
        except (PhotoError, FaceError) as error:
            raise type(error)(f"Photo {number}: {error}") from error

    def weights(self) -> list[dict[str, Any]]:
        """Facts (`hub.describe`) about the weights of every network that runs: the analyser and those of the method."""
        from thgen.weights import hub

        return [hub.describe(name) for name in dict.fromkeys(("analyser", *self.method.declaration.weights))]


def method_class(name: str) -> type[Method]:
    """The class behind a method's name. Raises MethodError."""
    module, _, attribute = declaration_of(name).method.partition(":")
    return getattr(import_module(module), attribute)  # type: ignore[no-any-return]


def why_absent(name: str) -> str | None:
    """Error message, with the remedy, if weights of the method are missing; None if the method can run.

    Raises MethodError.
    """
    from thgen.weights import hub

    method = declaration_of(name)
    try:
        missing = hub.absent(("analyser", *method.weights))
    except WeightsError as error:  # there is no manifest
        return str(error)
    return f"The weights of {name!r} are not here ({', '.join(missing)}); {method.weights_from}." if missing else None


def available_methods() -> list[str]:
    """The methods whose weights are available, in the order of METHODS."""
    return [name for name in METHODS if why_absent(name) is None]


def _photo_key(photo: PathLike | np.ndarray) -> tuple:
    """A key that changes if the photo changes. It does not read a file: every step of a slider needs the key."""
    if isinstance(photo, np.ndarray):
        return photo.shape, hashlib.sha256(photo.tobytes()).hexdigest()
    try:
        stat = Path(photo).stat()
    except (OSError, ValueError):
        return (str(photo),)  # read_photo says what is wrong with it
    return str(Path(photo).resolve()), stat.st_mtime_ns, stat.st_size


@dataclass(frozen=True)
class Targets:
    """Target values of every frame.

    factors: of the method, each [frames D]
    sliders: for a method with latents: the measured face (`Identity.measured`) after common sliders and idle motion,
             each [frames D] in the units of schema.FACTORS; else None
    """

    factors: Factors
    sliders: Factors | None = None

    def __len__(self) -> int:
        return len(next(iter(self.factors.values())))

    def part(self, start: int, stop: int) -> Targets:
        """Frames [start, stop)."""
        cut = {name: values[start:stop] for name, values in self.factors.items()}
        return Targets(cut, self.sliders and {name: values[start:stop] for name, values in self.sliders.items()})


def targets(method: Method, identity: Identity, controls: Controls, seed: int = 0, frames: int = 1,
            driven: Mapping[str, torch.Tensor] | None = None, voiced: tuple[str, ...] = (),
            second: Mapping[str, torch.Tensor] | None = None) -> Targets:  # fmt: skip
    """Target values of a whole video: `controls.targets`, then the method's own `steer` and `finish`.

    driven, second: factor -> [N D], see `controls.targets`; None: no factor has a driver.
    """
    driven = dict(driven or {})
    track = factor_controls.targets(method.declaration.factors, identity.own, driven, controls, seed, frames,
                                    voiced=voiced, second=dict(second or {}))  # fmt: skip
    own = {key: value for key, value in controls.values.items() if key not in SLIDERS}
    for name, offset in method.steer(identity, own).items() if own else ():
        track[name] = track[name] + offset.to(track[name])
    track = method.finish(identity, track)
    if identity.measured is None:
        return Targets(track)
    # A factor with a driver has no idle motion.
    idle = {
        common: factor.name not in driven and controls.is_idle(factor)
        for factor in method.declaration.factors
        for common in factor.moves or (factor.name,)
    }
    still = controls.model_copy(update={"idle": idle})
    return Targets(track, factor_controls.targets(tuple(FACTORS.values()), identity.measured, {}, still, seed, frames))


def frames_of(plan: Plan, request: Request, session: Session) -> Iterator[Window]:
    """Decode a plan window by window. Only the target values are in memory for the whole video."""
    identity = plan.prepared.identity
    target = targets(session.method, identity, request.controls, request.seed, plan.frames, plan.driven, plan.voiced,
                     plan.second)  # fmt: skip
    for start in range(0, plan.frames, WINDOW):
        yield Window(_render(plan.prepared, target.part(start, start + WINDOW), session.method), start, plan.frames)


def _render(prepared: Prepared, target: Targets, method: Method) -> np.ndarray:
    """Targets of n frames -> uint8 RGB [n H W 3], pasted into the photo if there is a `paster`."""
    count = len(target)
    step = CPU_CHUNK if prepared.identity.image.device.type == "cpu" else count
    parts = [_decode(prepared, target.part(i, i + step), method) for i in range(0, count, step)]
    frames, masks = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if prepared.paster is None:
        return frames
    result = np.repeat(prepared.paster.photo[None], count, axis=0)
    for frame, mask, out in zip(frames, masks, result, strict=True):
        prepared.paster.paste(frame, mask, out)
    return result


@torch.inference_mode()
def _decode(prepared: Prepared, target: Targets, method: Method) -> tuple[np.ndarray, np.ndarray]:
    """Frames of the crop uint8 RGB [n S S 3], and their mask float32 [n S S] in [0, 1]."""
    decoded = method.decode(prepared.identity, target.factors, target.sliders)
    return decoded.images(), decoded.mask[:, 0].float().cpu().numpy()


def generate(request: Request, session: Session | None = None, progress: Progress | None = None) -> Iterator[Window]:
    """The frames of a video, in windows. The call reads and checks the inputs; the iteration decodes.

    Closing the iterator stops the work. Raises any ThgenError.
    """
    session = session or Session.load(request.method)
    return frames_of(plan(request, session, progress), request, session)


def preview(request: Request, session: Session) -> np.ndarray:
    """One still, uint8 RGB [H W 3]: the photo with the sliders applied, without voice and clips."""
    prepared = session.prepare(request)
    target = targets(session.method, prepared.identity, request.controls, request.seed)
    return _render(prepared, target, session.method)[0]


def render_video(request: Request, out: PathLike, progress: Progress | None = None, session: Session | None = None,
                 longest: float | None = None) -> Result:  # fmt: skip
    """Make the mp4. The file gets its name only when it is complete; an error or interruption leaves no file.

    longest: longest allowed video, s; None: any length. Raises any ThgenError. Raises OutputError, before the work
    starts, if `out` cannot be written or would replace one of the inputs.
    """
    begin = time.monotonic()
    report = Reporter(progress)
    out = check_output(out, inputs=request.inputs)
    report(0.0, "Loading the weights")
    session = session or Session.load(request.method)
    with tempfile.TemporaryDirectory(prefix="thgen-") as folder:
        work = plan(request, session, report, wave=Path(folder) / "sound.wav", longest=longest)
        planned = time.monotonic() - begin
        LOG.info("loading and encoding of photo, voice and clips took %.1f s", planned)
        weights = session.weights()
        comment = _comment(request.method, request.seed, weights)
        with Mp4Writer(out, work.prepared.size, work.frames, work.sound, comment, report.tick) as video:
            for window in frames_of(work, request, session):
                video.write(window.frames)
                done = window.start + len(window.frames)
                report(0.1 + 0.88 * done / work.frames, f"Frame {done} of {work.frames}")
            report(0.98, "Finishing the file")
        LOG.info("%d frames took %.1f s", work.frames, time.monotonic() - begin - planned)
    return Result(out, work.frames / FPS, work.frames, FPS, request.method, request.seed, weights, work.warnings,
                  time.monotonic() - begin)  # fmt: skip


def _comment(method: str, seed: int, weights: list[dict[str, Any]]) -> str:
    """Metadata of the mp4: that it is synthetic, and its method, seed and weights."""
    names = ", ".join(f"{w.get('name')} {str(w.get('sha256', ''))[:12]}".strip() for w in weights)
    return f"Synthetic video made by thgen; method {method}; seed {seed}; weights {names}"
