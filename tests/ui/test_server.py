"""The server process from start to end, with real processes and signals and one folder for its files."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.ui.plain_http import ask, fire, upload
from thgen.ui.server import PrivateFolder

ROOT = Path(__file__).parents[2]
# The machine may be busy. The job runs for 60 s, so a server that waits for its end is too late.
START_SECONDS, END_SECONDS = 60.0, 45.0


@dataclass
class Started:
    process: subprocess.Popen
    url: str
    base: Path  # where the server makes its folder
    log: Path

    @property
    def folder(self) -> Path:
        """The only folder of this server, with its uploads."""
        return self.uploaded.parents[2]

    @property
    def uploaded(self) -> Path:
        return Path(upload(self.url, ROOT / "LICENSE"))

    def begin_video(self, media: Path) -> None:
        """Request a video and return as soon as its job has a folder."""
        arguments = {
            "photo": upload(self.url, media / "portrait_1.png"),
            "audio": upload(self.url, media / "voice_1.wav"),
        }
        folder = self.folder
        posted = httpx.post(f"{self.url}/gradio_api/call/v2/generate", json=arguments)
        assert posted.status_code == 200
        assert wait(lambda: list(folder.glob("tmp/thgen_*")), START_SECONDS)

    def end(self, number: int) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)


def wait(condition: Callable[[], object], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return bool(condition())


def environment(base: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("GRADIO_TEMP_DIR", "SPACE_ID")}
    return {**kept, "TMPDIR": str(base), "GRADIO_SERVER_NAME": "127.0.0.1", **more}


@pytest.fixture(scope="module")
def start(media, tmp_path_factory) -> Iterator[Callable[..., Started]]:
    """start(pace, **environment) runs tests.ui.stand_in_server. All share one folder for temporary files."""
    base, logs, servers = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("logs"), []

    def run(pace: str, **more: str) -> Started:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = logs / f"{port}.txt"
        own = environment(base, GRADIO_SERVER_PORT=str(port), **more)
        command = [sys.executable, "-m", "tests.ui.stand_in_server", str(media), pace]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log.open("w"), stderr=subprocess.STDOUT, env=own)
        servers.append(Started(process, f"http://127.0.0.1:{port}", base, log))
        assert wait(lambda: process.poll() is not None or "Running on" in log.read_text(), START_SECONDS)
        assert process.poll() is None, log.read_text()
        return servers[-1]

    yield run
    for server in servers:
        server.process.kill()


@pytest.fixture(scope="module")
def first(start, tmp_path_factory) -> Started:
    """A slow server. Its PATH has an `ffmpeg` that does not work, and no ffprobe."""
    path = tmp_path_factory.mktemp("bin")
    (path / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (path / "ffmpeg").chmod(0o755)
    return start("0.1", PATH=str(path))


def test_all_that_is_temporary_lies_in_one_private_folder(first, media):
    folder = first.folder
    assert folder.parent == first.base and list(first.base.iterdir()) == [folder]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    first.begin_video(media)
    assert list(first.base.iterdir()) == [folder]
    assert wait(lambda: not list(folder.glob("tmp/thgen_*")), START_SECONDS)


def test_a_finished_video_and_an_example_need_no_ffprobe(first, media):
    photo, voice = (upload(first.url, media / name) for name in ("portrait_1.png", "voice_1.wav"))
    answer = ask(first.url, "generate", {"photo": photo, "audio": voice})
    assert answer.event == "complete" and answer.data[1]["frames"] == 15
    video = httpx.get(f"{first.url}/gradio_api/file={answer.data[0]['path']}")
    assert video.content[4:8] == b"ftyp" and video.headers["content-type"] == "video/mp4"
    config = httpx.get(f"{first.url}/config").json()
    values = {component["id"]: component["props"].get("value") for component in config["components"]}
    events = {event["api_name"]: event for event in config["dependencies"]}
    made = fire(first.url, events["make"]["id"], [photo, voice, *(values[i] for i in events["make"]["inputs"][2:])])
    assert made.event == "complete", made
    filled = fire(first.url, events["fill"]["id"], [0])
    assert filled.event == "complete" and filled.data["data"][1]["path"].endswith("voice_1.wav")


def test_only_an_operator_says_that_a_proxy_tells_the_truth(first):
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/evil",
            "Forwarded": "host=evil.example;proto=https", "X-Gradio-Server": "https://evil.example"}  # fmt: skip
    config = httpx.get(f"{first.url}/config", headers=forwarded).json()
    assert config["root"] == first.url


def test_a_start_clears_what_a_killed_process_left_and_nothing_of_a_living_one(first, start, media):
    killed = "import time; from thgen.ui.server import PrivateFolder; f = PrivateFolder.create(); "
    killed += "(f.uploads / 'face.png').write_bytes(b'a face'); print(f.path, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", killed], cwd=ROOT, env=environment(first.base),
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    left = Path(process.stdout.readline().strip())
    process.kill()
    process.wait()
    living = first.folder
    assert (left / "gradio" / "face.png").exists() and left != living
    not_ours = first.base / left.name.replace("thgen-", "thgen-0")
    not_ours.mkdir()
    second = start("stubborn", THGEN_BEHIND_PROXY="1")
    assert sorted(first.base.iterdir()) == sorted([living, not_ours, second.folder])
    assert (living / "lock").exists() and list(living.glob("gradio/*/portrait_1.png"))
    not_ours.rmdir()
    forwarded = {"X-Forwarded-Host": "talks.example", "X-Forwarded-Proto": "https"}
    assert httpx.get(f"{second.url}/config", headers=forwarded).json()["root"] == "https://talks.example"
    second.begin_video(media)
    folder = second.folder
    assert second.end(signal.SIGINT) == 0, second.log.read_text()
    assert not folder.exists() and list(first.base.iterdir()) == [living]


def test_sigterm_in_the_middle_of_a_job_ends_with_0_and_leaves_nothing(first, media):
    first.begin_video(media)
    assert first.end(signal.SIGTERM) == 0, first.log.read_text()
    assert list(first.base.iterdir()) == []


def test_what_the_machine_lacks_is_said_before_anything_is_served(tmp_path):
    code = "from thgen.ui.server import PrivateFolder, serve; serve(None, None, PrivateFolder.create(), {})"
    lacking = environment(tmp_path, IMAGEIO_FFMPEG_EXE=str(tmp_path / "none"))
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=lacking, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 2 and "ffmpeg cannot be started" in ended.stderr and "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_forked_worker_neither_deletes_the_folder_nor_survives_a_signal(tmp_path):
    code = """
import os, signal, sys, time
from thgen.ui.server import PrivateFolder, _asked_to_end
folder, _ = PrivateFolder.create(), _asked_to_end()
if os.fork() == 0:
    sys.exit(3)  # with all that belongs to an orderly end
assert os.waitstatus_to_exitcode(os.wait()[1]) == 3 and folder.path.exists()
ready, tell = os.pipe()
child = os.fork()
if child == 0:
    os.write(tell, b"1")  # before that, Python itself would lose the signal
    time.sleep(60)
os.read(ready, 1)
os.kill(child, signal.SIGTERM)
assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGTERM and folder.path.exists()
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(tmp_path), check=True, timeout=30)
    assert list(tmp_path.iterdir()) == []


def test_old_uploads_go_also_those_that_gradio_does_not_know(tmp_path):
    folder = PrivateFolder(tmp_path, lock=-1)
    (folder.uploads / "examples").mkdir(parents=True)
    (folder.uploads / "examples" / "portrait.png").write_bytes(b"the page's own")
    folder.keep_present_files()
    (folder.uploads / "0af").mkdir()
    (folder.uploads / "0af" / "face.png").write_bytes(b"a face")
    (folder.uploads / "tmpx1").write_bytes(b"half a face: the visitor went away")
    folder.forget(seconds=60)
    assert len(list(folder.uploads.rglob("*"))) == 5
    folder.forget(seconds=-1)
    folder.forget(seconds=-1)
    assert [p.name for p in sorted(folder.uploads.rglob("*"))] == ["examples", "portrait.png"]
