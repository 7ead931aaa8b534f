"""The outermost ASGI layer of the server. It removes untrusted request headers and adds response headers."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gradio.route_utils import FnIndexInferError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thgen.errors import shown, typed

BEHIND_PROXY = "THGEN_BEHIND_PROXY"  # 1: the server is behind a proxy, whose headers of host and protocol are trusted

# Headers from which gradio builds the page's address. Anyone can send them.
CLAIMS = ("forwarded", "x-gradio-server", "x-real-ip")
# Routes of gradio that thgen closes. They fetch foreign addresses, publish a visitor's session, or run ffmpeg on an
# uploaded video outside the queue (without it the browser keeps its recording as it is).
CLOSED = re.compile(r"/gradio_api/(file[=/]\s*https?:|proxy=|deep_link|process_recording)", re.IGNORECASE)
UNKNOWN_ARGUMENT = re.compile("Parameter `(.*)` is not a valid", re.DOTALL)
NOT_FOUND = "There is nothing at this address."

SPACE_FRAMES = "https://huggingface.co https://*.hf.space"  # pages that may embed a Space
SPACE_SOURCES = "https://huggingface.co https://*.huggingface.co https://*.hf.co https://*.hf.space"


def behind_proxy(environment: Mapping[str, str]) -> bool:
    """Whether the server is behind a trusted proxy: BEHIND_PROXY is set, or it runs on a Space."""
    return environment.get(BEHIND_PROXY, "").lower() in ("1", "true", "yes") or "SPACE_ID" in environment


def answer_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The headers of every response.

    gradio's page has an inline script for its config and evaluates the text of `js=`, so the policy must allow both.
    """
    on_space = "SPACE_ID" in environment
    more = f" {SPACE_SOURCES}" if on_space else ""
    policy = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": f"'self' data: blob:{more}",
        "media-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' data: blob:{more}",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": f"'self' {SPACE_FRAMES}" if on_space else "'self'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


class Guard:
    """Wraps an ASGI app. It does not change bodies, so event streams work."""

    def __init__(self, app: ASGIApp, environment: Mapping[str, str]) -> None:
        self._app, self._trusts_proxy = app, behind_proxy(environment)
        self._headers = [(k.lower().encode(), v.encode()) for k, v in answer_headers(environment).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._with_ours(message.get("headers", ()))}
            await send(message)

        if CLOSED.search(scope["path"]):
            await JSONResponse({"detail": NOT_FOUND}, 404)(scope, receive, answer)
            return
        await self._app({**scope, "headers": self._trusted(scope["headers"])}, receive, answer)

    def _trusted(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The request headers without untrusted ones and without Origin, so that gradio's CORS layer is inactive.

        That layer allows most origins, with cookies. The page has the same origin and needs no CORS.
        """
        return [(name, value) for name, value in headers if not self._is_dropped(name.decode("latin-1").lower())]

    def _is_dropped(self, name: str) -> bool:
        return name == "origin" or (not self._trusts_proxy and (name.startswith("x-forwarded-") or name in CLAIMS))

    def _with_ours(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        ours = {name for name, _ in self._headers}
        return [*((name, value) for name, value in headers if name.lower() not in ours), *self._headers]


async def no_endpoint(request: Request, error: Exception) -> JSONResponse:
    """Answer for an unknown endpoint or event, for which gradio raises FnIndexInferError or KeyError."""
    name = f"/{request.path_params.get('api_name', '')}"
    if isinstance(error, KeyError) and any(isinstance(key, int) for key in error.args):
        return JSONResponse({"detail": "The server has another version of this page: load it again."}, 404)
    if isinstance(error, KeyError) and error.args != (name,):
        return await fault(request, error)
    public = [f"/{fn.api_name}" for fn in request.app.get_blocks().fns.values() if fn.api_visibility == "public"]
    return JSONResponse({"detail": f"There is no endpoint {shown(name)}; there are: {', '.join(public)}."}, 404)


async def no_argument(request: Request, error: Exception) -> JSONResponse:
    """Answer for an unknown argument of an endpoint, for which gradio raises TypeError."""
    unknown = UNKNOWN_ARGUMENT.match(str(error))
    if unknown is None:
        return await fault(request, error)
    return JSONResponse({"detail": f"There is no argument {shown(unknown[1])}: the page's API view lists them."}, 422)


async def fault(request: Request, error: Exception) -> JSONResponse:
    """Answer for any other exception: one sentence with a code. The log has the traceback."""
    return JSONResponse({"detail": str(typed(error))}, 500)


@asynccontextmanager
async def _guarded(app: Starlette) -> AsyncIterator[None]:
    """Put the guard around all layers. gradio adds layers outside of those in `middleware=`, so it is done here."""
    assert app.middleware_stack is not None  # the call that starts this lifespan has built it
    app.middleware_stack = Guard(app.middleware_stack, os.environ)
    yield


def app_options() -> dict[str, Any]:
    """Value of `app_kwargs` for `Blocks.launch`."""
    handlers = {FnIndexInferError: no_endpoint, KeyError: no_endpoint, TypeError: no_argument, Exception: fault}
    return {"lifespan": _guarded, "exception_handlers": handlers}
