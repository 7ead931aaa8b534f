"""The server process: one private folder for all that is temporary, and an end that leaves nothing behind.

The folder has to stand before gradio is imported, so this module imports neither gradio nor torch.
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
except ImportError:  # Windows: what a dead process left is not cleared there
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"  # a file in the folder; the process that holds its lock is alive
CLOSE_SECONDS = 3.0  # for a running job to end
SWEEP_SECONDS = 600.0
TICK_SECONDS = 0.2
TRUSTED_PROXIES = "FORWARDED_ALLOW_IPS"  # uvicorn's own variable
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))


class Closing(Protocol):
    """What the end of the process needs of `thgen.ui.session.Session`."""

    def close(self, seconds: float) -> None:
        """Cancel what runs, and wait at most so long for it."""


class PrivateFolder:
    """A folder of this process, readable by its user alone. It goes when the process ends, however it ends.

    gradio's uploads and results lie in it, and everything that this process and its children write with `tempfile`.
    What a process that was killed left behind is cleared by the next start.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self.uploads, self.scratch = path, path / "gradio", path / "tmp"
        self._lock, self._process = lock, os.getpid()
        self._own_files: frozenset[Path] = frozenset()

    @classmethod
    def create(cls) -> PrivateFolder:
        """Make the folder, clear those of dead processes, and let gradio, `tempfile` and children use it.

        It lies in GRADIO_TEMP_DIR if that is set, else in the system's folder for temporary files. Raises OSError.
        """
        base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
        base.mkdir(parents=True, exist_ok=True)
        # Of this installation: another one's leftovers are its own business.
        prefix = f"thgen-{hashlib.sha256(str(Path(__file__).resolve().parents[2]).encode()).hexdigest()[:8]}-"
        _clear_dead(base, prefix)
        # Made under another name and locked before it has its own: no neighbour ever sees it without its lock.
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
        """What lies among the uploads now belongs to the page (the examples' pictures) and stays as long as it does."""
        self._own_files = frozenset(p for p in self.uploads.rglob("*") if p.is_file())

    def forget(self, seconds: float = KEPT_SECONDS) -> None:
        """Delete uploads and results that are older, also those of which gradio does not know: of broken uploads."""
        oldest = time.time() - seconds
        for place, folders, files in os.walk(self.uploads, topdown=False):
            for path in (Path(place, name) for name in (*files, *folders)):
                with contextlib.suppress(OSError):  # not empty, or already gone
                    if path in self._own_files or path.lstat().st_ctime > oldest:
                        continue
                    (path.rmdir if path.is_dir() and not path.is_symlink() else path.unlink)()

    def remove(self) -> None:
        """Delete the folder with all that is in it. A forked child leaves it to its parent."""
        if os.getpid() != self._process:
            return
        doomed = self.path.with_name(self.path.name + "-ended")
        with contextlib.suppress(OSError):
            self.path.rename(doomed)  # a thread that still writes finds no folder any more
        for path in (doomed, self.path):
            shutil.rmtree(path, ignore_errors=True)


def _clear_dead(base: Path, prefix: str) -> None:
    """Delete the folders whose lock nobody holds."""
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
    """Ends the process with a sentence and status 2 when the machine lacks what every video needs."""
    from thgen.io.ffmpeg import check_machine

    try:
        check_machine()
    except AssetError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def serve(page: gr.Blocks, session: Closing, folder: PrivateFolder, options: Mapping[str, Any]) -> NoReturn:
    """Launch the page and serve it until SIGTERM, SIGHUP or Ctrl-C. Then the process ends with status 0.

    options: keyword arguments of `Blocks.launch`
    """
    check()
    # gradio's server believes X-Forwarded-Proto of everyone on this machine; see thgen.ui.guard for the rest.
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
    """Stop what runs, delete the folder, and end the process with status 0, within CLOSE_SECONDS and a little."""

    def close() -> None:
        try:  # first the job: once the page is closed, nobody knows of it any more
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
    # Not sys.exit: threads of torch that still compute would abort the interpreter's own end (status 134).
    os._exit(0)


def _asked_to_end() -> list[int]:
    """A list that fills with the numbers of the signals that ask the process to end. Main thread only.

    A handler may interrupt anything, also a lock being taken: it does next to nothing.
    """
    asked: list[int] = []
    process = os.getpid()

    def ask(number: int, frame: object) -> None:
        if os.getpid() == process:
            asked.append(number)
        else:  # a forked worker: it ends as if this handler were not there
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # ignored by nohup, or by a shell for a background job
            signal.signal(number, ask)
    return asked
