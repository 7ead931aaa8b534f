"""Calls of the page's endpoints and events by plain HTTP, without gradio_client."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, NamedTuple

import httpx

TIMEOUT = 30.0  # s; httpx's own 5 s are few where other tests run beside this one


class Answer(NamedTuple):
    """event: "complete", "error", or "refused" if the request was not accepted; data: its content."""

    event: str
    data: Any

    @property
    def sentence(self) -> str:
        """The message of an error; fails if there is none."""
        sentence = self.data["error" if self.event == "error" else "detail"]
        assert isinstance(sentence, str) and sentence and "Traceback" not in sentence and "\n" not in sentence
        return sentence


def upload(url: str, file: Path) -> str:
    """The path that the server gives to an uploaded file."""
    files = {"files": (file.name, file.read_bytes())}
    return httpx.post(f"{url}/gradio_api/upload", files=files, timeout=TIMEOUT).json()[0]


def ask(url: str, endpoint: str, arguments: dict[str, Any] | str) -> Answer:
    """Call an endpoint with named arguments, or with the text of a JSON object."""
    body = arguments if isinstance(arguments, str) else json.dumps(arguments)
    headers = {"Content-Type": "application/json"}
    posted = httpx.post(f"{url}/gradio_api/call/v2/{endpoint}", content=body, headers=headers, timeout=TIMEOUT)
    if posted.status_code != 200:
        return Answer("refused", posted.json())
    return _last(httpx.get(f"{url}/gradio_api/call/{endpoint}/{posted.json()['event_id']}", timeout=TIMEOUT).text)


def _last(stream: str) -> Answer:
    events = [block.split("\n", 1) for block in stream.strip().split("\n\n")]
    name, data = events[-1]
    return Answer(name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))


def fire(url: str, fn_index: int, data: list[Any]) -> Answer:
    """Trigger an event of the page by its number in the config, as the page's script does."""
    session = secrets.token_hex(6)
    body = {"fn_index": fn_index, "data": data, "session_hash": session}
    posted = httpx.post(f"{url}/gradio_api/queue/join", json=body, timeout=TIMEOUT)
    if posted.status_code != 200:
        return Answer("refused", posted.json())
    stream = httpx.get(f"{url}/gradio_api/queue/data", params={"session_hash": session}, timeout=TIMEOUT).text
    messages = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line]
    done = next(message for message in messages if message["msg"] == "process_completed")
    return Answer("complete" if done["success"] else "error", done["output"])
