"""The server process: one private folder for all temporary files, and a shutdown that deletes it.

The folder must exist before gradio is imported, so this module imports neither gradio nor torch.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from thgen.errors import AssetError
from thgen.ui.uploads import KEPT_SECONDS

if TYPE_CHECKING:
    import gradio as gr

try:
    import fcntl
except ImportError:  # on Windows folders of killed processes are not deleted
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"  # file in the folder; its process holds a lock on it while it is alive
CLOSE_SECONDS = 3.0  # time in which a running job must end
SWEEP_SECONDS = 600.0  # time between deletions of old files
TICK_SECONDS = 0.2  # time between checks for a signal
TRUSTED_PROXIES = "FORWARDED_ALLOW_IPS"  # uvicorn's own variable
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))


class Closing(Protocol):
    """The part of `thgen.ui.session.PageSession` that the shutdown needs."""

    def close(self, seconds: float) -> None:
        """Cancel all running work and wait at most `seconds` for it."""


class PrivateFolder:
    """A folder of this process, readable by its user only. It is deleted when the process ends.

    It contains gradio's uploads and results, and all files that the process and its children make with `tempfile`. The
    folder of a killed process is deleted at the next start.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self.uploads, self.scratch = path, path / "gradio", path / "tmp"
        self._lock, self._process = lock, os.getpid()
        self._own_files: frozenset[Path] = frozenset()

    @classmethod
    def create(cls) -> PrivateFolder:
        """Make the folder, delete those of dead processes, and set it for gradio, `tempfile` and child processes.

        It is made in GRADIO_TEMP_DIR if set, else in the system's folder for temporary files. Raises OSError.
        """
        base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
        base.mkdir(parents=True, exist_ok=True)
        # The prefix is that of this installation, so that folders of others stay.
        prefix = f"thgen-{hashlib.sha256(str(Path(__file__).resolve().parents[2]).encode()).hexdigest()[:8]}-"
        _clear_dead(base, prefix)
        # The folder has a temporary name until it is locked, so that no other process sees it without a lock.
        new = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=base))
        lock = os.open(new / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = cls(new.rename(new.with_name(new.name[1:])), lock)
        folder.uploads.mkdir(mode=0o700)
        folder.scratch.mkdir(mode=0o700)
        os.environ["GRADIO_TEMP_DIR"] = str(folder.uploads)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder.scratch)
        atexit.register(folder.remove)  # for a process that imports app.py and does not serve
        return folder

    def keep_present_files(self) -> None:
        """Mark the present uploads (pictures of the examples) as part of the page, so that `forget` keeps them."""
        self._own_files = frozenset(p for p in self.uploads.rglob("*") if p.is_file())

    def forget(self, seconds: float = KEPT_SECONDS) -> None:
        """Delete uploads and results older than `seconds`, also those of failed uploads, which gradio misses."""
        oldest = time.time() - seconds
        for place, folders, files in os.walk(self.uploads, topdown=False):
            for path in (Path(place, name) for name in (*files, *folders)):
                with contextlib.suppress(OSError):  # not empty, or already gone
                    if path in self._own_files or path.lstat().st_ctime > oldest:
                        continue
                    (path.rmdir if path.is_dir() and not path.is_symlink() else path.unlink)()

    def remove(self) -> None:
        """Delete the folder and its contents. In a forked child it does nothing."""
        if os.getpid() != self._process:
            return
        doomed = self.path.with_name(self.path.name + "-ended")
        with contextlib.suppress(OSError):
            self.path.rename(doomed)  # so that running threads can no longer write to it
        for path in (doomed, self.path):
            shutil.rmtree(path, ignore_errors=True)


def _clear_dead(base: Path, prefix: str) -> None:
    """Delete the folders in `base` whose lock no process holds."""
    for folder in base.glob(f"{prefix}*") if fcntl else ():
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises OSError while its process lives
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def check() -> None:
    """Print an error and exit with status 2 if the machine lacks a program that every video needs."""
    from thgen.io.ffmpeg import check_machine

    try:
        check_machine()
    except AssetError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def serve(page: gr.Blocks, session: Closing, folder: PrivateFolder, options: Mapping[str, Any]) -> NoReturn:
    """Launch the page and serve it until SIGTERM, SIGHUP or Ctrl-C. The process then ends with status 0.

    options: keyword arguments of `Blocks.launch`
    """
    check()
    # gradio's server trusts X-Forwarded-Proto from every process of this machine. thgen.ui.guard handles other headers.
    from thgen.ui.guard import behind_proxy

    if not behind_proxy(os.environ):
        os.environ.setdefault(TRUSTED_PROXIES, "")
    asked_to_end = _asked_to_end()
    folder.keep_present_files()
    try:
        page.launch(prevent_thread_lock=True, **options)
    except OSError as error:  # the port is taken
        print(error, file=sys.stderr)
        sys.exit(2)
    swept = time.monotonic()
    while not asked_to_end:
        time.sleep(TICK_SECONDS)
        if time.monotonic() - swept > SWEEP_SECONDS:
            folder.forget()
            swept = time.monotonic()
    end(page, session, folder)


def end(page: gr.Blocks, session: Closing, folder: PrivateFolder) -> NoReturn:
    """Cancel running work, delete the folder, and end the process with status 0 after about CLOSE_SECONDS."""

    def close() -> None:
        try:  # the job first: a closed page no longer knows it
            session.close(CLOSE_SECONDS)
        finally:
            page.close(verbose=False)

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS + 1)
    folder.remove()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Not sys.exit: running threads of torch would abort the interpreter's shutdown (status 134).
    os._exit(0)


def _asked_to_end() -> list[int]:
    """A list to which handlers append the numbers of signals that end the process. Main thread only.

    A handler can interrupt any code, even one that takes a lock, so it does almost nothing.
    """
    received: list[int] = []
    process = os.getpid()

    def ask(number: int, frame: object) -> None:
        if os.getpid() == process:
            received.append(number)
        else:  # a forked worker ends as without this handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup and shells ignore some signals for a process
            signal.signal(number, ask)
    return received
