"""A visitor may name uploads of this server and the examples' media only. Tested on the running page."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import httpx
import pytest
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file

from tests.ui.plain_http import Answer, ask, fire, upload
from thgen.declare import CLIP
from thgen.errors import PhotoError
from thgen.methods import METHODS
from thgen.settings import all_factors
from thgen.ui.page import FILES
from thgen.ui.uploads import uploaded_path

META = {"meta": {"_type": "gradio.FileData"}}
DRIVEN = {n: f for n, f in all_factors().items() if CLIP in f.sources}
API_FILES = [
    "photo",
    "audio",
    "clip",
    *(f"{n}_clip" for n in DRIVEN),
    *(f"{n}_to" for n, f in DRIVEN.items() if f.blends),
]
VIEWS = sum(len(method.views) for method in METHODS.values())
OF_VIEWS = 2 * (VIEWS + 1)  # photos and a clip, of each view on the page and of the endpoint
WRAPS = {
    "without meta": lambda path: {"path": path},
    "with meta": lambda path: {"path": path, **META},
    "plain": lambda path: path,
    "list": lambda path: [{"path": path, **META}],
    "list of paths": lambda path: [path],
    "video": lambda path: {"video": {"path": path, **META}},
    "video without meta": lambda path: {"video": {"path": path}, "subtitles": None},
    "nested": lambda path: {"path": {"path": path}},
    "deeper": lambda path: {"video": {"video": {"path": path}}},
    "only a url": lambda path: {"path": None, "url": f"file://{path}", **META},
    "file url": lambda path: {"path": f"file://{path}", **META},
    "web": lambda path: {"path": f"http://127.0.0.1:9{path}", **META},
    "stream": lambda path: {"path": path, "is_stream": True, **META},
}


@pytest.fixture(scope="module")
def secret(media, tmp_path_factory) -> Path:
    """A picture on the server that was not uploaded. It shows a face, so its use would be visible."""
    path = tmp_path_factory.mktemp("private") / "secret.png"
    path.write_bytes((media / "portrait_1.png").read_bytes())
    return path


def refused(answer: Answer, path: Path) -> str:
    """The sentence, which must not repeat the path."""
    assert answer.event == "error", f"taken: {answer.data}"
    sentence = answer.sentence
    assert "upload it first" in sentence and path.name not in sentence and str(path.parent) not in sentence
    return sentence


@pytest.mark.parametrize("wrap", WRAPS)
def test_no_shape_names_a_file_of_the_server(server, secret, wrap):
    absent = secret.with_name("absent.png")
    there, gone = (
        refused(ask(server.url, "preview", {"photo": WRAPS[wrap](str(path))}), path) for path in (secret, absent)
    )
    assert there == gone and not server.engine.calls


@pytest.mark.parametrize("name", API_FILES)
@pytest.mark.parametrize("endpoint", ["preview", "generate"])
def test_no_field_of_the_api_takes_a_file_of_the_server(server, secret, endpoint, name):
    given = {"photo": upload(server.url, server.media / "portrait_1.png"), name: {"path": str(secret)}}
    refused(ask(server.url, endpoint, given), secret)
    assert not server.engine.calls


def test_no_event_of_the_page_takes_a_file_of_the_server(server, secret):
    """All events of the page's config with a file input, called once for each file."""
    config = httpx.get(f"{server.url}/config").json()
    components = {component["id"]: component for component in config["components"]}
    tried = []
    for event in config["dependencies"]:
        inputs = [components[i] for i in event["inputs"]]
        for i, component in enumerate(inputs):
            if component["type"] in ("image", "audio", "file", "uploadbutton") and event["backend_fn"]:
                values = [c["props"].get("value") for c in inputs]
                answer = fire(server.url, event["id"], [*values[:i], {"path": str(secret)}, *values[i + 1 :]])
                refused(answer, secret)
                tried.append((event["api_name"], component["type"]))
    makers = {"make", *(f"make_{number}" for number in range(1, VIEWS + 1))}
    assert {name for name, _ in tried} == {"still", "from_recipe", "generate", "preview", "view", *makers}
    assert len(tried) == 4 * len(API_FILES) + 1 + OF_VIEWS and not server.engine.calls


def test_no_link_leads_out_of_the_uploads(server, secret):
    uploads = Path(get_upload_folder())
    folder = Path(tempfile.mkdtemp(dir=uploads))
    (folder / "link.png").symlink_to(secret)
    (folder / "folder").symlink_to(secret.parent)
    (folder / "round").symlink_to(folder / "round")
    ways = ["link.png", "folder/secret.png", "round", ".", "", "absent.png", os.path.relpath(secret, folder)]
    sentences = {refused(ask(server.url, "preview", {"photo": {"path": f"{folder}/{way}"}}), secret) for way in ways}
    assert len(sentences) == 1 and not server.engine.calls


def test_files_among_the_settings_are_neither_read_nor_fetched(server, secret):
    for path in (str(secret), "http://127.0.0.1:9/a.png"):
        given = {"controls": {"pose.yaw": [{"path": path, **META}]}}
        assert "where a setting belongs" in ask(server.url, "preview", given).sentence


def test_uploads_are_taken_in_every_shape_of_gradios_clients(server):
    path = upload(server.url, server.media / "portrait_1.png")
    voice = upload(server.url, server.media / "voice_1.wav")
    for wrap in ("without meta", "with meta", "plain", "video", "video without meta"):
        given = {"photo": WRAPS[wrap](path), "audio": {"path": voice}, "pose_clip": WRAPS[wrap](path)}
        assert ask(server.url, "preview", given).event == "complete"
        assert str(server.engine.calls[-1][1].drivers["pose"]) == path
    for nothing in (None, ""):
        assert "There is no photo yet" in ask(server.url, "preview", {"photo": nothing}).sentence


def test_uploads_of_gradio_client_are_taken(server, tmp_path):
    client = Client(server.url, verbose=False, download_files=str(tmp_path))
    face = handle_file(str(server.media / "portrait_1.png"))
    client.predict(photo=face, api_name="/preview")
    assert server.engine.calls[-1][1].photo.name == "portrait_1.png"


def test_the_examples_media_are_taken_and_served_and_nothing_else_of_their_folder(server):
    example, other = server.media / "portrait_1.png", server.media / "blank.png"
    assert ask(server.url, "preview", {"photo": {"path": str(example)}}).event == "complete"
    refused(ask(server.url, "preview", {"photo": {"path": str(other)}}), other)
    assert httpx.get(f"{server.url}/gradio_api/file={example}").status_code == 200
    for path in (other, Path(__file__), server.media):
        assert httpx.get(f"{server.url}/gradio_api/file={path}").status_code == 403


def test_the_page_knows_every_component_that_takes_a_file(running):
    """A new component that is missing in FILES would not be checked."""
    inputs = {component for fn in running.page.fns.values() for component in fn.inputs}

    def holds_files(model) -> bool:
        fields = getattr(model, "model_fields", {})
        return model is not None and ("path" in fields or any(FileData.__name__ in str(f) for f in fields.values()))

    takers = {c for c in inputs if holds_files(getattr(c, "data_model", None))}
    assert len(takers) == len(API_FILES) + 1 + OF_VIEWS and all(isinstance(c, tuple(FILES)) for c in takers)


@pytest.mark.parametrize(
    "value", [3, True, [], {}, {"path": ["a"]}, "a\0b", "a" * 5000, b"x", {"video": None}, "\ud800"]
)
def test_what_is_no_path_is_refused_and_not_an_accident(value, tmp_path):
    with pytest.raises(PhotoError, match="not a file that was uploaded"):
        uploaded_path(value, "photo", PhotoError, tmp_path, [])


def test_a_linked_upload_folder_works(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    (real / "a.png").write_bytes(b"x")
    for named in (link / "a.png", real / "a.png"):
        assert uploaded_path({"path": str(named)}, "photo", PhotoError, link, []) == str(real / "a.png")
    near = tmp_path / "real-not"
    near.mkdir()
    (near / "b.png").write_bytes(b"x")
    with pytest.raises(PhotoError):
        uploaded_path(str(near / "b.png"), "photo", PhotoError, link, [])
