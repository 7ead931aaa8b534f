"""A fake engine for the page: the same methods, a real still and a small real mp4, no weights."""

from __future__ import annotations

import os
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from thgen.declare import Declaration, View
from thgen.errors import AudioError, ClipError, FaceError, PhotoError
from thgen.methods import METHODS
from thgen.pipeline import Result
from thgen.request import Request, ViewRequest
from thgen.schema import FACTORS, FPS, SLIDERS
from thgen.ui.session import PageSession

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported, which happens later
SIDE = 64


@dataclass
class FakeEngine:
    """`seconds_per_frame` slows it down for the tests of Cancel; `calls` records its calls.

    `fault` is raised by every still, and by every video after its first frame.
    """

    seconds_per_frame: float = 0.0
    fault: Exception | None = None
    calls: list[tuple[str, Any]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def methods(self) -> tuple[str, ...]:
        return ("rig", "lips_only")

    def absent(self) -> dict[str, str]:
        return {"far_away": "The weights of 'far_away' are not here (far); fetch them."}

    def seconds(self, request: Request) -> float:
        return self._sound_seconds(request.audio)

    @staticmethod
    def _sound_seconds(audio: Any) -> float:
        try:
            with wave.open(str(audio)) as sound:
                return sound.getnframes() / sound.getframerate()
        except (wave.Error, EOFError) as error:
            raise AudioError("The audio cannot be read: use wav, mp3, m4a, flac or ogg.") from error

    def _photo(self, path: Any) -> np.ndarray:
        try:
            photo = np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE)))
        except Exception as error:
            raise PhotoError("The photo cannot be read: use a jpg, png, webp or heic file.") from error
        if photo.std() < 4:
            raise FaceError("No face was found in the photo: use one with a face seen from the front.")
        return photo

    def preview(self, request: Request) -> np.ndarray:
        """The photo with colours changed by the sliders, so that each slider has a visible effect."""
        self.calls.append(("preview", request))
        if self.fault:
            raise self.fault
        photo = self._photo(request.photo).astype(np.float32)
        for i, key in enumerate(SLIDERS):
            c = SLIDERS[key]
            photo[..., i % 3] += 200 * (request.controls.values.get(key, c.neutral) - c.neutral) / (c.high - c.low)
        return photo.clip(0, 255).astype(np.uint8)

    def view(self, request: ViewRequest, progress: Callable[[float, str], None]) -> np.ndarray:
        """The photos side by side."""
        self.calls.append(("view", request))
        progress(0.0, "Finding the faces")
        if self.fault:
            raise self.fault
        if request.clip is not None and Path(request.clip).stat().st_size < 100:
            raise ClipError("No frame of the driving clip shows a human face; use a clip of one face.")
        return np.concatenate([self._photo(path) for path in request.photos], axis=1)

    def render_video(self, request: Request, out: Path, progress: Callable[[float, str], None],
                     longest: float | None = None) -> Result:  # fmt: skip
        self.calls.append(("render", request))
        with self._lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            return self._render(request, out, progress)
        finally:
            with self._lock:
                self.running -= 1

    def _render(self, request: Request, out: Path, progress: Callable[[float, str], None]) -> Result:
        start = time.monotonic()
        progress(0.0, "Reading the photo")
        photo = self._photo(request.photo)
        for factor, clip in request.drivers.items():
            if Path(clip).stat().st_size < 100:
                raise ClipError(f"The clip for {factor} cannot be read.")
        seconds = self._sound_seconds(request.audio)
        frames = max(1, round(seconds * FPS))
        writer = imageio_ffmpeg.write_frames(
            str(out), (SIDE, SIDE), fps=FPS, codec="libx264", macro_block_size=2, audio_path=str(request.audio),
            audio_codec="aac", ffmpeg_log_level="error", output_params=["-preset", "ultrafast"],
        )  # fmt: skip
        writer.send(None)
        try:
            for t in range(frames):
                progress(t / frames, f"Frame {t + 1} of {frames}")
                time.sleep(self.seconds_per_frame)
                writer.send(np.ascontiguousarray(np.roll(photo, t, axis=1)))
                if self.fault:
                    raise self.fault
        finally:
            writer.close()
        weights = [{"name": "rig", "sha256": "0" * 64, "bytes": 1}, {"name": "audio", "sha256": "1" * 64, "bytes": 1}]
        warnings = ["The face is turned far to the side."] if request.seed == 7 else []
        return Result(
            out, seconds, frames, FPS, request.method, request.seed, weights, warnings, time.monotonic() - start
        )


LIPS_ONLY = Declaration(
    "lips_only", "Lips only", "A method of one latent.", "nowhere:Lips", weights=(), controls=(),
    factors=(replace(FACTORS["lip"], unit=None, relative=False, zero="the closed mouth"),),
    views=(View("faces", "All faces", "Faces side by side.", photos=(1, 3), frames=4),),
)  # fmt: skip
FAR_AWAY = replace(LIPS_ONLY, name="far_away", label="Far away")
MORE = {d.name: d for d in (LIPS_ONLY, FAR_AWAY)}


@pytest.fixture(scope="module", autouse=True)
def known_methods() -> Iterator[None]:
    """Two methods in addition to those of thgen."""
    METHODS.update(MORE)
    yield
    for name in MORE:
        METHODS.pop(name, None)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with portrait_1.png, portrait_2.png, voice_1.wav (0.6 s), blank.png and broken.jpg."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    for name in ("portrait_1.png", "portrait_2.png"):
        rough = rng.integers(60, 160, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(rough).resize((96, 96)).save(folder / name)
    Image.new("RGB", (96, 96), (90, 90, 90)).save(folder / "blank.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(50))
    tone = (8000 * np.sin(np.arange(int(0.6 * 16_000)) / 10)).astype("<i2")
    with wave.open(str(folder / "voice_1.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(tone.tobytes())
    return folder


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def session(engine: FakeEngine, media: Path) -> PageSession:
    return PageSession(engine, examples=media)


@dataclass
class Server:
    url: str
    engine: FakeEngine
    media: Path
    page: Any  # gr.Blocks


@pytest.fixture(scope="session")
def running(media: Path) -> Iterator[Server]:
    """The page on its own port, with the fake engine."""
    import gradio as gr

    from thgen.ui.layout import build_ui, launch_options

    METHODS.update(MORE)  # a fixture of the session comes before those of a module
    engine = FakeEngine()
    session = PageSession(engine, examples=media)
    page: gr.Blocks = build_ui(session)
    _, url, _ = page.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options(session)
    )  # fmt: skip
    yield Server(url.rstrip("/"), engine, media, page)
    page.close()


@pytest.fixture
def server(running: Server) -> Server:
    """The running page with a reset fake engine."""
    running.engine.seconds_per_frame = 0.0
    running.engine.fault = None
    running.engine.most_running = 0
    running.engine.calls.clear()
    return running
