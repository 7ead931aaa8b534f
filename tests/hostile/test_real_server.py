"""The real server with the bundled weights, as `python app.py` starts it, under hostile files and requests over HTTP.

Whatever comes in: the right result, or one typed sentence; afterwards the server is as before, and nothing is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from tests.hostile.clip_files import animation
from tests.hostile.photo_files import endless_jpeg, saved
from tests.hostile.pixel_formats import run
from tests.hostile.sound_files import HOSTILE as SOUNDS
from tests.hostile.sound_files import tone, wav
from tests.hostile.watch import ADDRESS, MEGABYTE
from tests.ui.plain_http import Answer, ask, upload

pytestmark = pytest.mark.weights
ROOT = Path(__file__).parents[2]
PORTRAIT = ROOT / "examples/portrait_1.png"
MEMORY = 1500 * MEGABYTE  # that hostile inputs may add to what the server holds after its first video
CLIP_FRAMES = 6  # of a driving clip: the server looks for a face in each
FILE = {"_type": "gradio.FileData"}


class Server:
    """The process, and what has been uploaded to it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.folder, self.log = f"http://127.0.0.1:{self.port}", folder, folder / "log"
        (folder / "tmp").mkdir()
        environment = {**os.environ, "GRADIO_SERVER_PORT": str(self.port), "TMPDIR": str(folder / "tmp")}
        environment.pop("GRADIO_TEMP_DIR", None)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def wait(self) -> None:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(self.url, timeout=5).status_code == 200:
                    return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.2)
        raise AssertionError("the server did not come up")

    def file(self, path: Path) -> dict[str, object]:
        return {"path": upload(self.url, path), "meta": FILE}

    def memory(self) -> int:
        """Bytes that the server and its children hold now."""
        held, parent = 0, psutil.Process(self.process.pid)
        for one in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                held += one.memory_info().rss
        return held


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.wait()
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)


@pytest.fixture(scope="module")
def photo(server) -> dict[str, object]:
    return server.file(PORTRAIT)


@pytest.fixture(scope="module")
def voice(server, tmp_path_factory) -> dict[str, object]:
    return server.file(wav(tmp_path_factory.mktemp("voice"), tone(0.8)))


def driving(folder: Path, *options: str, suffix: str = "mp4") -> Path:
    """A portrait that moves from left to right for CLIP_FRAMES."""
    path = folder / f"clip.{suffix}"
    run("-loop", 1, "-framerate", 25, "-i", PORTRAIT, "-frames:v", CLIP_FRAMES, "-vf",
        "scale=360:450,crop=320:380:x=6*n:y=10", *options, path)  # fmt: skip
    return path


def words(answer: Answer) -> str:
    """The sentence of a refusal; fails if it was none, or is not fit for a visitor."""
    assert answer.event in ("error", "refused"), answer
    sentence = answer.sentence
    assert len(sentence) <= 2000 and not ADDRESS.search(sentence) and "/tmp" not in sentence
    assert "inside thgen" not in sentence, sentence
    return sentence


def quick(photo: dict, **more: object) -> dict[str, object]:
    return {"photo": photo, "size": 128, "max_side": 256, **more}


CLIPS = {
    "h264 of 10 bits": ("mp4", "-c:v libx264 -pix_fmt yuv420p10le"),
    "hevc of 10 bits": ("mp4", "-c:v libx265 -pix_fmt yuv420p10le -x265-params log-level=none"),
    "hevc of 12 bits, 4:4:4": ("mkv", "-c:v libx265 -pix_fmt yuv444p12le -x265-params log-level=none"),
    "vp9 of 10 bits": ("webm", "-c:v libvpx-vp9 -pix_fmt yuv420p10le -profile:v 2 -deadline realtime"),
    "av1 of 10 bits": ("mp4", "-c:v libsvtav1 -pix_fmt yuv420p10le -preset 12"),
    "prores": ("mov", "-c:v prores_ks"),
    "grey of 10 bits": ("mkv", "-c:v libx264 -pix_fmt gray10le"),
    "grey of 16 bits": ("mkv", "-c:v ffv1 -pix_fmt gray16le"),
    "gif": ("gif", ""),
    "webp": ("webp", "-c:v libwebp_anim"),
    "apng": ("apng", ""),
}


@pytest.mark.parametrize("name", CLIPS)
def test_clips_of_phones_and_cameras_drive(server, photo, tmp_path, name):
    suffix, options = CLIPS[name]
    clip = server.file(driving(tmp_path, *options.split(), suffix=suffix))
    answer = ask(server.url, "generate", quick(photo, pose_clip=clip))
    assert answer.event == "complete", answer
    video, info = answer.data
    assert info["frames"] in range(CLIP_FRAMES - 1, CLIP_FRAMES + 3) and info["method"] == "rig"
    (tmp_path / "o.mp4").write_bytes(httpx.get(video["url"]).content)
    assert cv2.VideoCapture(str(tmp_path / "o.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == info["frames"]


PHOTOS = {  # a slow one: test_a_slow_photo_keeps_no_other_visitor_waiting
    "tall strip": (lambda: saved("PNG", (33, 2000)), "strip"),
    "nothing in it": (lambda: saved("PNG", (256, 256)), "No human face"),
    "not a photo": (lambda: b"hello", "not an image"),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_hostile_photos_are_refused(server, tmp_path, name):
    content, says = PHOTOS[name]
    (tmp_path / "photo.jpg").write_bytes(content())
    assert says in words(ask(server.url, "preview", quick(server.file(tmp_path / "photo.jpg"))))


@pytest.mark.parametrize(
    "name,says",
    [
        ("m4a of 150 s that says 1 s", "more than 120 s"),
        ("peak of 1e38", "not numbers"),
        ("NaN", "not numbers"),
        ("silence", "silent"),
        ("rate of 1 Hz", "more than 120 s|longer than"),
        ("hls", "not a sound"),
    ],
)
def test_hostile_sounds_are_refused(server, photo, tmp_path, name, says):
    path = tmp_path / "voice.wav"
    path.write_bytes(SOUNDS[name][0](tmp_path))
    sentence = words(ask(server.url, "generate", quick(photo, audio=server.file(path))))
    assert any(part in sentence for part in says.split("|")), sentence


@pytest.mark.parametrize("name", ["inverted stereo", "peak of 6.9", "length of 4 GB"])
def test_odd_sounds_speak(server, photo, tmp_path, name):
    path = tmp_path / "voice.wav"
    path.write_bytes(SOUNDS[name][0](tmp_path))
    answer = ask(server.url, "generate", quick(photo, audio=server.file(path)))
    assert answer.event == "complete" and answer.data[1]["frames"] == 50, answer


def test_a_still_picture_alone_says_no_length_and_an_animated_one_does(server, photo, tmp_path):
    still = server.file(PORTRAIT)
    assert "still picture" in words(ask(server.url, "generate", quick(photo, pose_clip=still)))
    moving = server.file(animation(tmp_path, "GIF", frames=2))  # no face in it: but it was looked for in its frames
    assert "No frame of the driving clip" in words(ask(server.url, "generate", quick(photo, pose_clip=moving)))


def test_a_photo_on_its_side_is_turned_and_this_is_said(server, voice, tmp_path):
    Image.open(PORTRAIT).convert("RGB").transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png")
    answer = ask(server.url, "generate", quick(server.file(tmp_path / "lying.png"), audio=voice))
    assert answer.event == "complete" and "it was turned upright" in answer.data[1]["warnings"][0]
    (tmp_path / "o.mp4").write_bytes(httpx.get(answer.data[0]["url"]).content)
    video = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_HEIGHT) > video.get(cv2.CAP_PROP_FRAME_WIDTH)


@pytest.mark.parametrize("colour", ["black", "white"])
@pytest.mark.parametrize("frames", [8, 40])
def test_black_and_white_frames_show_no_face(server, photo, tmp_path, colour, frames):
    """A short cut is bridged with a warning, a long one is refused; nothing is read out of frames that show nothing."""
    plain = f"color={colour}:s=320x380:r=25:d={frames / 25}"
    path = tmp_path / "cut.mp4"
    still = (
        "[0:v]scale=320:400,crop=320:380,setsar=1[a];[a]split[b][d];[d]crop=300:356:20:24,scale=320:380,setsar=1[c];"
        "[1:v]setsar=1[p];[b][p][c]concat=n=3"  # the picture jumps: a clip in which nothing moves is refused
    )
    run("-loop", 1, "-framerate", 25, "-t", 0.4, "-i", PORTRAIT, "-f", "lavfi", "-i", plain, "-filter_complex", still,
        "-pix_fmt", "yuv420p", path)  # fmt: skip
    answer = ask(server.url, "generate", quick(photo, pose_clip=server.file(path)))
    if frames > 25:
        assert "shows no human face for more than 1 s" in words(answer)
    else:
        assert answer.event == "complete", answer
        assert any(f"no face in {frames} of its frames" in w for w in answer.data[1]["warnings"])


# Values of JSON as a stranger may send them, for every argument that is no file.
VALUES: dict[str, object] = {
    "null": None, "list": ["rig"], "nested": [[["pose.yaw"]]], "object": {"a": {"b": 1}}, "text": "left",
    "true": True, "negative": -1, "half": 0.5, "digits": "9" * 400, "inf": "inf", "nan": "NaN",
    "script": "<script>alert(1)</script>", "control": "\u202e\u0007", "empty": "", "long": "x" * 10_000,
}  # fmt: skip
RAW = {"1e999": "1e999", "-1e999": "-1e999", "400 digits": "9" * 400, "NaN": "NaN"}
ARGUMENTS = (
    *("controls", "strength", "idle", "live", "blend", "motion", "undriven", "others"),
    *("method", "seed", "face", "size", "paste_back", "max_side"),
)


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("value", [*VALUES, *RAW])
def test_any_value_of_any_argument(server, photo, argument, value):
    body = json.dumps({**quick(photo), argument: VALUES.get(value, "RAW")})
    if value in RAW:
        body = body.replace('"RAW"', RAW[value])
    answer = ask(server.url, "preview", body)
    if answer.event == "complete":
        assert isinstance(answer.data[1]["method"], str) and isinstance(answer.data[1]["seed"], int)
    else:
        words(answer)


@pytest.mark.parametrize("dictionary", ["controls", "strength", "idle", "live", "blend"])
@pytest.mark.parametrize("value", [*VALUES, *RAW])
def test_any_value_inside_a_dictionary(server, photo, dictionary, value):
    key = {"controls": "pose.yaw", "strength": "lip", "idle": "gaze", "live": "gaze", "blend": "expression"}[dictionary]
    body = json.dumps({**quick(photo), dictionary: {key: VALUES.get(value, "RAW")}})
    if value in RAW:
        body = body.replace('"RAW"', RAW[value])
    answer = ask(server.url, "preview", body)
    if answer.event != "complete":
        words(answer)


def test_a_slow_photo_keeps_no_other_visitor_waiting(server, photo, tmp_path):
    """The other visitor's still comes while the slow photo is still being decoded."""
    (tmp_path / "slow.jpg").write_bytes(endless_jpeg(4000))
    slow = server.file(tmp_path / "slow.jpg")
    Image.fromarray(np.asarray(Image.open(PORTRAIT).convert("RGB"))[::-1][::-1]).save(tmp_path / "other.png")
    other = server.file(tmp_path / "other.png")
    ended: list[str] = []

    def visit(name: str, file: dict[str, object]) -> Answer:
        answer = ask(server.url, "preview", quick(file))
        ended.append(name)
        return answer

    with ThreadPoolExecutor(2) as visitors:
        first = visitors.submit(visit, "slow", slow)
        time.sleep(1)
        second = visitors.submit(visit, "other", other)
    assert "takes too long" in words(first.result()) and second.result().event == "complete"
    assert ended == ["other", "slow"]


def test_a_client_that_leaves_ends_the_decoder(server, photo, tmp_path):
    """Nothing goes on working for a visitor who has closed the page during a slow photo."""
    (tmp_path / "slow.jpg").write_bytes(endless_jpeg(4000))
    body = json.dumps(quick(server.file(tmp_path / "slow.jpg"), audio=server.file(wav(tmp_path, tone(0.8)))))
    asked = httpx.post(f"{server.url}/gradio_api/call/v2/generate", content=body,
                       headers={"Content-Type": "application/json"}).json()["event_id"]  # fmt: skip
    with httpx.stream("GET", f"{server.url}/gradio_api/call/generate/{asked}", timeout=30):
        for _ in range(50):
            if decoders(server):
                break
            time.sleep(0.1)
        assert decoders(server), "the photo is being decoded"
    deadline = time.monotonic() + 4  # the decoder's own limit is 10 s of a core
    while decoders(server) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not decoders(server)


def decoders(server: Server) -> list[str]:
    children = psutil.Process(server.process.pid).children(recursive=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        return [" ".join(c.cmdline()) for c in children if "photo_decoder" in " ".join(c.cmdline())]
    return []


def test_memory_stays_within_bounds(server, photo, tmp_path):
    """The worst inputs at once add no more than MEMORY to what the server holds."""
    peak, stop, before = [0], threading.Event(), server.memory()

    def sample() -> None:
        while not stop.wait(0.05):
            peak[0] = max(peak[0], server.memory())

    sampler = threading.Thread(target=sample)
    sampler.start()
    for name, content in {"large": saved("JPEG", (5000, 5000)), "strip": saved("PNG", (33, 190))}.items():
        (tmp_path / f"{name}.png").write_bytes(content)
        words(ask(server.url, "preview", quick(server.file(tmp_path / f"{name}.png"))))
    stop.set()
    sampler.join()
    assert peak[0] - before < MEMORY, f"{(peak[0] - before) / MEGABYTE:.0f} MB"


def test_afterwards_the_server_works_and_ends_cleanly(server, photo, voice):
    """Last of all: a video, then the end; no job's folder and no process stays, no traceback is in the log."""
    answer = ask(server.url, "generate", quick(photo, audio=voice))
    assert answer.event == "complete" and answer.data[1]["frames"] == 20
    scratch = list((server.folder / "tmp").glob("*/tmp/*"))
    assert scratch == [], scratch
    children = psutil.Process(server.process.pid).children(recursive=True)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert list((server.folder / "tmp").iterdir()) == []
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[-3000:]
