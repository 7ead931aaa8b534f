"""A stand-in of the Hub that speaks its HTTP: redirects to a CDN, LFS uploads, error codes. Fixtures in conftest.py."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO = "someone/weights"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class StandIn:
    """What the server holds and saw."""

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)  # (revision, path) -> content
    blobs: dict[str, bytes] = field(default_factory=dict)  # LFS: SHA-256 -> content
    requests: Counter = field(default_factory=Counter)
    redirect: bool = True
    reported_size: int | None = None
    url: str = ""
    cdn: str = ""  # another address: huggingface_hub follows redirects within the Hub by itself


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandIn

    def log_message(self, *_):
        pass

    def _answer(self, status: int, body: bytes = b"", **headers) -> None:
        self.send_response(status)
        if "Content_Length" not in headers:
            headers["Content_Length"] = len(body)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _file(self) -> None:
        self.hub.requests[self.command] += 1
        if self.path.startswith("/cdn/"):
            content = self.hub.blobs[self.path.removeprefix("/cdn/")]
            return self._answer(200, content if self.command == "GET" else b"", Content_Length=len(content))
        repo, _, place = self.path.lstrip("/").partition("/resolve/")
        revision, _, path = place.partition("/")
        if repo != REPO:
            return self._answer(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        if (revision, path) not in self.hub.files:
            return self._answer(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")
        content = self.hub.files[revision, path]
        digest = hashlib.sha256(content).hexdigest()
        self.hub.blobs[digest] = content
        size = self.hub.reported_size or len(content)
        about = {"X_Repo_Commit": revision, "ETag": f'"{digest}"', "X_Linked_Etag": f'"{digest}"'}
        about["X_Linked_Size"] = str(size)
        if self.hub.redirect:
            return self._answer(302, Location=f"{self.hub.cdn}/cdn/{digest}", **about)
        return self._answer(200, content if self.command == "GET" else b"", Content_Length=size, **about)

    do_GET = do_HEAD = _file  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_PUT(self) -> None:
        content = self._body()
        assert hashlib.sha256(content).hexdigest() == self.path.removeprefix("/lfs/")
        self.hub.blobs[self.path.removeprefix("/lfs/")] = content
        self._answer(200)

    def do_POST(self) -> None:
        body = self._body()
        self.hub.requests[self.path] += 1
        answer: dict = {}
        if self.path == "/api/repos/create":
            answer = {"url": f"{self.hub.url}/{REPO}", "name": REPO}
        elif self.path == f"/api/models/{REPO}/preupload/main":
            answer = {"files": [{"path": f["path"], "uploadMode": "lfs", "shouldIgnore": False}
                                for f in json.loads(body)["files"]]}  # fmt: skip
        elif self.path == f"/{REPO}.git/info/lfs/objects/batch":
            answer = {"objects": [{**o, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{o['oid']}"}}}
                                  for o in json.loads(body)["objects"]]}  # fmt: skip
        elif self.path == f"/api/models/{REPO}/commit/main":
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "lfsFile":
                    self.hub.files[REVISION, line["value"]["path"]] = self.hub.blobs[line["value"]["oid"]]
            answer = {"commitOid": REVISION, "commitUrl": f"{self.hub.url}/{REPO}/commit/{REVISION}", "success": True}
        else:
            return self._answer(404)
        self._answer(200, json.dumps(answer).encode(), Content_Type="application/json")


@contextmanager
def serve() -> Iterator[StandIn]:
    """The servers run as long as the context does."""
    state = StandIn()
    handler = type("Handler", (_Handler,), {"hub": state})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    state.url, state.cdn = (f"http://127.0.0.1:{s.server_port}" for s in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield state
    for server in servers:
        server.shutdown()
        server.server_close()
