"""The endpoints of the running page, called with gradio_client."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import imageio_ffmpeg
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from thgen.recipe import Recipe


@pytest.fixture(scope="module")
def client(running, tmp_path_factory) -> Client:
    return Client(running.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def photo(server):
    return handle_file(str(server.media / "portrait_1.png"))


@pytest.fixture
def voice(server):
    return handle_file(str(server.media / "voice_1.wav"))


def test_generate_with_defaults(client, server, photo, voice):
    video, info = client.predict(photo=photo, audio=voice, api_name="/generate")
    path = video["video"] if isinstance(video, dict) else video
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(path)
    assert frames == 15 and abs(seconds - 0.6) < 0.05
    assert info["method"] == "rig" and info["seed"] == 0 and info["warnings"] == []
    assert [w["name"] for w in info["weights"]] == ["rig", "audio"]
    assert Recipe.from_dict(info["recipe"]) == Recipe()


def test_generate_with_everything(client, server, photo, voice):
    client.predict(
        photo=photo, audio=voice, pose_clip=handle_file(str(server.media / "portrait_1.png")),
        controls={"pose.yaw": 10, "expression.happy": 0.7}, strength={"lip": 1.2}, idle={"gaze": False},
        expression_to=handle_file(str(server.media / "portrait_1.png")), blend={"expression": [[0, 0], [2, 1]]},
        motion="absolute", seed=7, size=256, paste_back=False, api_name="/generate",
    )  # fmt: skip
    request = server.engine.calls[-1][1]
    assert dict(request.controls.values) == {"pose.yaw": 10, "expression.happy": 0.7}
    assert request.controls.gain("lip") == 1.2 and request.controls.idle == {"gaze": False}
    assert request.controls.motion == "absolute"
    assert list(request.drivers) == ["pose"] and list(request.second_sources) == ["expression"]
    assert request.controls.path("expression") == ((0, 0), (2, 1))
    assert (request.seed, request.size, request.paste_back) == (7, 256, False)


def test_one_clip_drives_all_that_has_none_of_its_own(client, server, photo, voice):
    clip = handle_file(str(server.media / "portrait_1.png"))
    client.predict(photo=photo, audio=voice, clip=clip, gaze_clip=handle_file(str(server.media / "portrait_2.png")),
                   api_name="/generate")  # fmt: skip
    drivers = {name: Path(path).name for name, path in server.engine.calls[-1][1].drivers.items()}
    assert drivers == {"pose": "portrait_1.png", "gaze": "portrait_2.png", "blink": "portrait_1.png",
                       "expression": "portrait_1.png"}  # fmt: skip
    with pytest.raises(AppError, match="lips_only leaves all that a clip could drive to the voice"):
        client.predict(photo=photo, audio=voice, clip=clip, method="lips_only", api_name="/generate")


def test_calls_of_version_1_do_what_they_did(client, server, photo, voice):
    client.predict(photo=photo, audio=voice, method="lips_only", others="zero", live={}, api_name="/generate")
    assert server.engine.calls[-1][1].controls.undriven == "zero"
    client.predict(photo=photo, audio=voice, live={"gaze": False}, api_name="/generate")
    assert server.engine.calls[-1][1].controls.idle == {"gaze": False}


def test_preview_needs_no_voice(client, server, photo):
    still, _ = client.predict(photo=photo, api_name="/preview")
    turned, answer = client.predict(photo=photo, controls={"pose.yaw": 30}, seed=3, api_name="/preview")
    assert (np.asarray(Image.open(still)) != np.asarray(Image.open(turned))).any()
    assert answer["method"] == "rig" and answer["seed"] == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"controls": {"pose.yaw": 60}}, "pose.yaw=60 is outside its range: give a number from -45 to 45"),
        ({"controls": {"nose": 1}}, "There is no control 'nose'"),
        ({"strength": {"lip": -1}}, "from 0 to 2"),
        ({"blend": {"expression": [[1, 0], [0, 1]]}}, "each keyframe must lie after the one before"),
        ({"seed": -1}, "The seed must be a whole number"),
        ({"method": "magic"}, "There is no method 'magic'"),
        ({"audio": None}, "There is no voice yet"),
        ({"photo": None}, "There is no photo yet"),
    ],
)
def test_errors_are_sentences(client, photo, voice, settings, words):
    with pytest.raises(AppError, match=words):
        client.predict(**{"photo": photo, "audio": voice, **settings}, api_name="/generate")


@pytest.mark.parametrize(("name", "words"), [("blank.png", "No face"), ("broken.jpg", "cannot be read")])
def test_bad_photos_are_told_apart(client, server, voice, name, words):
    for endpoint in ("/generate", "/preview"):
        with pytest.raises(AppError, match=words):
            client.predict(photo=handle_file(str(server.media / name)), audio=voice, api_name=endpoint)


@pytest.mark.parametrize("wrap", [lambda path: {"path": path, "meta": {"_type": "gradio.FileData"}}, lambda path: path])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_files_of_the_server_cannot_be_asked_for(server, wrap, place):
    data = [None] * len(server.page.get_api_info()["named_endpoints"]["/preview"]["parameters"])
    data[place] = wrap(str(server.media / "blank.png"))
    posted = httpx.post(f"{server.url}/gradio_api/call/preview", json={"data": data}).json()
    answer = httpx.get(f"{server.url}/gradio_api/call/preview/{posted['event_id']}", timeout=20).text
    assert "uploaded to this server" in answer and "event: error" in answer and not server.engine.calls


def test_cancelled_job_stops_and_the_next_one_runs(client, server, photo, voice):
    server.engine.seconds_per_frame = 0.3
    job = client.submit(photo=photo, audio=voice, api_name="/generate")
    end = time.monotonic() + 10
    while not job.outputs() and time.monotonic() < end:
        time.sleep(0.05)
    assert job.outputs()[0][1]["doing"]
    job.cancel()
    while server.engine.running and time.monotonic() < end:
        time.sleep(0.05)
    assert server.engine.running == 0
    server.engine.seconds_per_frame = 0.0
    video, _ = client.predict(photo=photo, audio=voice, api_name="/generate")
    assert Path(video["video"] if isinstance(video, dict) else video).is_file()
    assert server.engine.most_running == 1
