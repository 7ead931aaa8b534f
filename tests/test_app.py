"""app.py as a Space starts it: its own process, its own port, no weights asked for before the page stands."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]


def test_spaces_is_imported_before_anything_that_could_touch_cuda():
    first = next(line for line in (ROOT / "app.py").read_text().splitlines() if "import" in line and '"""' not in line)
    assert first.strip().startswith("import spaces")


def test_app_builds_where_spaces_is_not_installed(tmp_path):
    (tmp_path / "spaces.py").write_text("raise ImportError('not here')\n")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(temporary), "GRADIO_TEMP_DIR": ""}
    code = (
        f"import inspect, os, sys; sys.path.append({str(ROOT)!r}); import app; assert not app.borrowed and app.demo; "
        "assert app.session.run is app.render and inspect.isgeneratorfunction(app.render); "
        "assert os.environ['GRADIO_ANALYTICS_ENABLED'] == 'False'; "
        "assert app.demo.GRADIO_CACHE == str(app.folder.uploads)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True, timeout=120)
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_app_answers_on_its_port_and_ends_when_asked(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "TMPDIR": str(tmp_path),
           "GRADIO_TEMP_DIR": ""}  # fmt: skip
    server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 90
        while time.monotonic() < end and server.poll() is None:
            try:
                page = httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        assert page.status_code == 200 and "thgen" in page.text
        info = httpx.get(f"http://127.0.0.1:{port}/gradio_api/info", timeout=20).json()
        assert set(info["named_endpoints"]) == {"/generate", "/preview", "/view"}
        (folder,) = tmp_path.iterdir()
        assert list(folder.glob("gradio/*/portrait_1.png"))
        server.send_signal(signal.SIGINT)  # while the weights may still be loading
        assert server.wait(60) == 0 and list(tmp_path.iterdir()) == []
    finally:
        server.kill()
