"""Headers of responses, untrusted request headers, and closed routes of gradio."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.ui.plain_http import upload
from thgen.ui.guard import Guard, answer_headers, behind_proxy

EVIL = "https://evil.example"
CLAIMS = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "Forwarded": "host=evil.example",
          "X-Gradio-Server": EVIL, "X-Real-IP": "6.6.6.6"}  # fmt: skip


def answers(server) -> dict[str, httpx.Response]:
    """One response of each kind: page, assets, data, files, streams, errors of gradio and of thgen."""
    photo = upload(server.url, server.media / "portrait_1.png")
    call = httpx.post(f"{server.url}/gradio_api/call/v2/preview", json={"photo": photo}).json()["event_id"]
    page = httpx.get(server.url)
    parts = ["config", page.text.split('crossorigin src="./')[1].split('"')[0], "theme.css", "gradio_api/info"]
    files = [f"gradio_api/file={photo}", f"gradio_api/call/preview/{call}", "gradio_api/file=/etc/passwd"]
    bad = {
        "upload": httpx.post(f"{server.url}/gradio_api/upload"),
        "no endpoint": httpx.post(f"{server.url}/gradio_api/call/nose", json={"data": []}),
        "broken": httpx.post(f"{server.url}/gradio_api/queue/join", content="{"),
        "preflight": httpx.options(server.url, headers={"Origin": EVIL, "Access-Control-Request-Method": "POST"}),
        "fault": httpx.get(f"{server.url}/gradio_api/file={photo}", headers={"Range": "bytes=1-2-3"}),
    }
    paths = [*parts, *files, "nothing", "gradio_api/deep_link?session_hash=a"]
    return {"page": page, **{path: httpx.get(f"{server.url}/{path}") for path in paths}, **bad}


def test_every_answer_carries_the_headers(server):
    responses = answers(server)
    assert {response.status_code for response in responses.values()} == {200, 400, 403, 404, 405, 422, 500}
    for name, response in responses.items():
        assert response.headers.get_list("x-content-type-options") == ["nosniff"], name
        assert response.headers["referrer-policy"] == "same-origin", name
        policy = [part.strip() for part in response.headers["content-security-policy"].split(";")]
        assert {"default-src 'self'", "frame-ancestors 'self'", "object-src 'none'"} <= set(policy), name
        assert not [header for header in response.headers if header.startswith("access-control-")], name
    assert "Something went wrong inside thgen (code" in responses["fault"].json()["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1", "talks.example"])
@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:1", "https://talks.example"])
def test_no_other_origin_is_let_in(server, host, origin):
    headers = {"Host": host, "Origin": origin, "Cookie": "a=b"}
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for response in (
        httpx.get(f"{server.url}/config", headers=headers),
        httpx.post(f"{server.url}/gradio_api/call/v2/preview", json={}, headers=headers),
        httpx.options(f"{server.url}/gradio_api/call/v2/preview", headers=headers | preflight),
    ):
        assert not [header for header in response.headers if header.startswith("access-control-")]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_stranger_does_not_say_where_the_page_lies(server, claim):
    for path in ("config", "", "gradio_api/openapi.json", "gradio_api/info"):
        answer = httpx.get(f"{server.url}/{path}", headers={claim: CLAIMS[claim]})
        assert answer.status_code == 200 and "evil" not in answer.text
    assert httpx.get(f"{server.url}/config", headers=CLAIMS).json()["root"] == server.url


@pytest.mark.parametrize("path", [
    "gradio_api/file=https://example.com/a.png", "gradio_api/file=HTTP://a.b", "gradio_api/file/https://example.com",
    "gradio_api/file=%20https://a.b", "gradio_api/proxy=https://x.hf.space/", "gradio_api/deep_link?session_hash=a",
    "gradio_api/process_recording",
])  # fmt: skip
def test_gradios_doors_that_thgen_does_not_use_are_shut(server, path):
    for answer in (httpx.get(f"{server.url}/{path}"), httpx.post(f"{server.url}/{path}", files={"video": b"x"})):
        assert answer.status_code == 404 and answer.json() == {"detail": "There is nothing at this address."}


@pytest.mark.parametrize(("environment", "believed"), [
    ({}, False), ({"THGEN_BEHIND_PROXY": "0"}, False), ({"THGEN_BEHIND_PROXY": "1"}, True), ({"SPACE_ID": "a/b"}, True),
])  # fmt: skip
def test_an_operator_or_a_space_says_that_a_proxy_is_believed(environment, believed):
    passed = []

    async def app(scope, receive, send):
        passed.extend(name for name, _ in scope["headers"])

    scope = {
        "type": "http",
        "path": "/",
        "headers": [(b"x-forwarded-host", b"a"), (b"origin", b"b"), (b"accept", b"c")],
    }
    asyncio.run(Guard(app, environment)(scope, None, None))
    assert behind_proxy(environment) is believed
    assert passed == ([b"x-forwarded-host"] if believed else []) + [b"accept"]


def test_a_space_may_be_framed_where_it_is_shown():
    policy = answer_headers({"SPACE_ID": "a/b"})["Content-Security-Policy"]
    assert "frame-ancestors 'self' https://huggingface.co https://*.hf.space" in policy


def test_a_stream_passes_as_it_comes():
    """The first event arrives before the app has made the next one."""
    sent, gate = [], asyncio.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"referrer-policy", b"unsafe-url")]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.wait_for(gate.wait(), 5)
        await send({"type": "http.response.body", "body": b"two"})

    async def send(message):
        sent.append(message)
        if message.get("body") == b"one":
            gate.set()

    asyncio.run(Guard(app, {})({"type": "http", "path": "/", "headers": []}, None, send))
    assert [message.get("body") for message in sent] == [None, b"one", b"two"]
    assert [v for k, v in sent[0]["headers"] if k == b"referrer-policy"] == [b"same-origin"]
