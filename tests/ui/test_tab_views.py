"""Views on the running page: an accordion for each declared view, its endpoint, and bad inputs as sentences."""

from __future__ import annotations

import tempfile
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.ui.conftest import SIDE, FakeEngine
from tests.ui.plain_http import ask, fire, upload
from thgen.errors import ClosedError, WeightsError
from thgen.ui.layout import build_ui
from thgen.ui.session import PageSession


@pytest.fixture(scope="module")
def config(running) -> dict:
    return httpx.get(f"{running.url}/config").json()


@pytest.fixture
def photos(server) -> list[dict[str, str]]:
    return [{"path": upload(server.url, server.media / f"portrait_{n}.png")} for n in (1, 2)]


def call(server, **given):
    return ask(server.url, "view", {"method": "lips_only", "view": "faces", **given})


def test_each_declared_view_has_an_accordion_that_is_hidden_with_its_method(config):
    folds = {c["props"]["elem_id"]: c["props"] for c in config["components"] if c["type"] == "accordion"
             and str(c["props"].get("elem_id")).startswith("view-")}  # fmt: skip
    assert list(folds) == ["view-lips-only-faces", "view-far-away-faces"]
    assert folds["view-lips-only-faces"]["label"] == "All faces: Lips only"
    assert not any(fold["visible"] for fold in folds.values()), "rig is chosen at the start"


def test_a_change_of_the_method_shows_its_views(server, config):
    ids = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
    folds = [ids["view-lips-only-faces"], ids["view-far-away-faces"]]
    (event,) = (e for e in config["dependencies"] if e["outputs"] == folds)
    shown = fire(server.url, event["id"], ["lips_only"]).data["data"]
    assert [update["visible"] for update in shown] == [True, False]


def test_without_a_view_there_is_neither_accordion_nor_endpoint(media, monkeypatch):
    monkeypatch.setattr(FakeEngine, "methods", lambda self: ("rig",))
    monkeypatch.setattr(FakeEngine, "absent", lambda self: {})
    page = build_ui(PageSession(FakeEngine(), examples=media))
    assert "view" not in {fn.api_name for fn in page.fns.values()}
    assert not any(str(b.elem_id).startswith("view-") for b in page.blocks.values() if isinstance(b, gr.Accordion))


def test_the_button_makes_the_picture(server, config, photos):
    (event,) = (e for e in config["dependencies"] if e["outputs"] == [_picture(config, "All faces")])
    answer = fire(server.url, event["id"], [photos, None])
    assert answer.event == "complete" and answer.data["data"][0]["path"].endswith(".png")
    request = server.engine.calls[-1][1]
    assert (request.method, request.view, len(request.photos), request.clip) == ("lips_only", "faces", 2, None)
    told = fire(server.url, event["id"], [None, None])
    assert told.event == "error" and "not enough to show" in told.sentence


def _picture(config, label):
    return next(c["id"] for c in config["components"] if c["type"] == "image" and c["props"].get("label") == label)


def test_the_endpoint_by_name(server, tmp_path):
    client = Client(server.url, verbose=False, download_files=str(tmp_path))
    files = [handle_file(str(server.media / f"portrait_{n}.png")) for n in (1, 2)]
    picture, answer = client.predict(method="lips_only", view="faces", photos=files, size=128, api_name="/view")
    assert np.asarray(Image.open(picture)).shape[:2] == (SIDE, 2 * SIDE)
    assert answer == {"method": "lips_only", "view": "faces"}
    assert server.engine.calls[-1][1].size == 128
    with pytest.raises(AppError, match="takes 1 to 3 photos and a clip, not 4 photos"):
        client.predict(method="lips_only", view="faces", photos=files * 2, api_name="/view")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"view": "figure"}, "no view 'figure'; choose one of: faces"),
        ({"view": None}, "no view"),
        ({"method": "rig"}, "The method rig has no view"),
        ({"method": "magic"}, "There is no method 'magic'"),
        ({"method": "far_away"}, "are not here"),
        ({"size": 4096}, "from 64 to 512"),
        ({"photos": []}, "not enough to show"),
        ({"photos": [{"path": "/etc/passwd"}]}, "The photo is not a file that was uploaded"),
        ({"clip": {"path": "/etc/passwd"}}, "The clip is not a file that was uploaded"),
        ({"size": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}, "whole number|file was given"),
    ],
)
def test_errors_are_sentences(server, photos, given, says):
    import re

    answer = call(server, **{"photos": photos, **given})
    assert answer.event == "error" and re.search(says, answer.sentence), answer
    assert not server.engine.calls


def test_bad_files_are_told_apart_and_nothing_is_left(server, tmp_path):
    before = set(Path(tempfile.gettempdir()).glob("thgen_*"))
    short = tmp_path / "short.mp4"
    short.write_bytes(b"x")
    clip = {"path": upload(server.url, short)}
    for name, says in (("blank.png", "No face was found"), ("broken.jpg", "cannot be read")):
        answer = call(server, photos=[{"path": upload(server.url, server.media / name)}])
        assert says in answer.sentence
    photo = {"path": upload(server.url, server.media / "portrait_1.png")}
    assert "No frame of the driving clip" in call(server, photos=[photo], clip=clip).sentence
    assert set(Path(tempfile.gettempdir()).glob("thgen_*")) == before


def test_a_fault_has_a_code(server, photos):
    server.engine.fault = ZeroDivisionError("a secret of the server")
    sentence = call(server, photos=photos).sentence
    assert "inside thgen (code " in sentence and "secret" not in sentence


def test_absent_weights_and_the_end_of_the_server(session, media):
    photo = str(media / "portrait_1.png")
    with pytest.raises(WeightsError, match="fetch them"):
        session.view("far_away", "faces", [photo], None)
    assert session.view("lips_only", "faces", [photo], None).shape == (SIDE, SIDE, 3)
    session.close(0.1)
    with pytest.raises(ClosedError):
        session.view("lips_only", "faces", [photo], None)
