"""Every error between a visitor and the handlers is one sentence. Tested on the running page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.ui.plain_http import Answer, ask, fire, upload
from thgen.errors import MESSAGE_MAX

# As JSON text, because Python cannot write some of it.
NONSENSE = ['["rig"]', '{"a": {"b": [null]}}', "1e999", "9" * 400]


@pytest.fixture(scope="module")
def photo(running) -> str:
    return upload(running.url, running.media / "portrait_1.png")


@pytest.fixture(scope="module")
def voice(running) -> str:
    return upload(running.url, running.media / "voice_1.wav")


@pytest.fixture(scope="module")
def events(running) -> list[dict]:
    config = httpx.get(f"{running.url}/config").json()
    return [event for event in config["dependencies"] if event["backend_fn"]]


def sane(answer: Answer) -> bool:
    """Whether it is a result, or an error with a sentence of reasonable length."""
    return answer.event == "complete" or (answer.event == "error" and len(answer.sentence) <= MESSAGE_MAX)


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:20])
def test_nonsense_in_any_setting_of_the_api_is_called_by_its_name(server, photo, text):
    settings = {name: text for name in ("motion", "method", "seed", "size", "paste_back", "max_side", "controls")}
    keys = {"controls": "pose.yaw", "strength": "pose", "live": "gaze", "blend": "expression"}
    for name, value in [*settings.items(), *((name, f'{{"{key}": {text}}}') for name, key in keys.items())]:
        answer = ask(server.url, "preview", f'{{"photo": {json.dumps(photo)}, "{name}": {value}}}')
        assert answer.event == "error" and "went wrong" not in answer.sentence, (name, answer)
    assert not server.engine.calls


@pytest.mark.parametrize(
    "text", ["[" * 300 + "]" * 300, '"\\ud800"', '"\\u0000"', f'"{"9" * 5000}"', "NaN"], ids=lambda text: text[:9]
)
def test_stranger_things_get_a_sentence_too(server, photo, text):
    for name, value in {"method": text, "controls": text, "blend": f'{{"expression": [[0, 0], [{text}, 1]]}}'}.items():
        assert sane(ask(server.url, "preview", f'{{"photo": {json.dumps(photo)}, "{name}": {value}}}'))


@pytest.mark.parametrize(
    "value", [["rig"], {"a": {"b": None}}, 10**400, "9" * 5000], ids=["list", "dict", "int", "text"]
)
def test_nonsense_in_every_input_of_every_event_gets_a_sentence(server, events, value):
    for event in events:
        if event["inputs"]:
            assert sane(fire(server.url, event["id"], [value] * len(event["inputs"]))), event["api_name"]


@pytest.mark.parametrize("endpoint", ["preview", "generate"])
def test_a_fault_of_thgen_has_a_code_and_the_log_has_the_rest(server, photo, voice, endpoint, caplog):
    server.engine.fault = ZeroDivisionError("a secret of the server")
    sentence = ask(server.url, endpoint, {"photo": photo, "audio": voice}).sentence
    code = re.search(r"Something went wrong inside thgen \(code ([0-9a-f]{8})\)", sentence)[1]
    assert "secret" not in sentence
    assert code in caplog.text and "a secret of the server" in caplog.text and "Traceback" in caplog.text
    server.engine.fault = None
    assert ask(server.url, endpoint, {"photo": photo, "audio": voice}).event == "complete"


def test_the_page_shows_the_same_of_a_fault_in_a_still(server, events, photo):
    config = httpx.get(f"{server.url}/config").json()
    values = {component["id"]: component["props"].get("value") for component in config["components"]}
    still = next(event for event in events if event["api_name"] == "still")
    server.engine.fault = ZeroDivisionError("a secret of the server")
    picture, note = fire(server.url, still["id"], [photo, *(values[i] for i in still["inputs"][1:])]).data["data"]
    assert picture is None and "Something went wrong inside thgen (code" in note["value"] and "secret" not in str(note)


def test_too_few_and_too_many_values(server):
    for count in (0, 2, 40):
        posted = httpx.post(f"{server.url}/gradio_api/call/preview", json={"data": [None] * count}).json()
        answer = httpx.get(f"{server.url}/gradio_api/call/preview/{posted['event_id']}", timeout=20).text
        assert "event: error" in answer and f"values, but {count} came" in answer


def test_a_broken_recipe_is_named_without_the_servers_folders(server, events, tmp_path):
    load = next(event for event in events if event["api_name"] == "from_recipe")
    for text, words in {"{": "not valid JSON", '{"seed": "x"}': "seed", "[]": "recipe", '{"nose": 1}': "nose"}.items():
        file = tmp_path / "mine.json"
        file.write_text(text)
        path = upload(server.url, file)
        sentence = fire(server.url, load["id"], [{"path": path}]).sentence
        assert words in sentence and str(Path(path).parent.parent) not in sentence
    assert "no recipe yet" in fire(server.url, load["id"], [None]).sentence


@pytest.mark.parametrize(("arguments", "words"), [
    ({"paste_back": "false"}, "paste_back must be true or false"), ({"paste_back": 0}, "true or false"),
    ({"live": {"gaze": "no"}}, "true or false"), ({"live": '{"gaze": "false"}'}, "true or false"),
])  # fmt: skip
def test_text_is_no_switch(server, photo, arguments, words):
    assert words in ask(server.url, "preview", {"photo": photo, **arguments}).sentence
    assert not server.engine.calls


def test_requests_that_gradio_itself_answers_have_sentences(server):
    unknown = ask(server.url, "nose", {})
    assert unknown.sentence == "There is no endpoint '/nose'; there are: /generate, /preview, /view."
    assert ask(server.url, "preview", {"nose": 1}).sentence.startswith("There is no argument 'nose'")
    older = httpx.post(f"{server.url}/gradio_api/call/nose", json={"data": []})
    assert older.status_code == 404 and older.json()["detail"] == unknown.sentence
    stale = httpx.post(f"{server.url}/gradio_api/queue/join", json={"data": [], "fn_index": 999, "session_hash": "a"})
    assert stale.status_code == 404 and "load it again" in stale.json()["detail"]
    past = httpx.post(f"{server.url}/gradio_api/run/generate", json={"data": [None] * 20})
    assert past.status_code == 404 and "queue" in past.json()["detail"]
    assert not server.engine.calls
