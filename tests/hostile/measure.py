"""How dear hostile inputs are: seconds, memory, and another visitor's wait.

    PYTHONPATH=.:tests python tests/hostile/measure.py   # three minutes

Per kind of input: how many were tried, and the slowest refusal with its memory. Then how long a second visitor waits
for a still while the worst inputs run, beside how long on an idle server.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clip_files
import photo_files
import sound_files
from PIL import Image
from test_real_server import PORTRAIT, Server, quick

from tests.hostile.watch import MEGABYTE, is_sentence, watched
from tests.ui.plain_http import ask
from thgen.errors import ThgenError
from thgen.io.clip import read_clip
from thgen.io.photo import read_photo
from thgen.io.sound import read_sound

VISITS = 5


def refusals(kind: str, names: list[str], write: Callable[[Path, str], Path], read: Callable[[Path], object]) -> None:
    slowest, refused = (0.0, 0, ""), 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / "temporary"
            temporary.mkdir()
            path = write(Path(folder), name)
            with watched(temporary) as cost:
                try:
                    read(path)
                except ThgenError as error:
                    assert is_sentence(error), error
                    refused += 1
                    failed = True
                else:
                    failed = False
            if failed:
                slowest = max(slowest, (cost.seconds, cost.memory, name))
    seconds, memory, name = slowest
    print(f"{kind}: {len(names)} tried, {refused} refused; slowest refusal {seconds:.1f} s, {memory / MEGABYTE:.0f} MB"
          f" ({name})")  # fmt: skip


def written(files: dict, name_of: str) -> Callable[[Path, str], Path]:
    def write(folder: Path, name: str) -> Path:
        content = files[name][0](folder)
        path = folder / name_of
        path.write_bytes(content)
        return path

    return write


def waiting(server: Server, folder: Path) -> None:
    """The second visitor moves on to a photo of their own at every visit: nothing is known of it."""
    worst = {"endless scans": photo_files.endless_jpeg(4000), "large": photo_files.saved("JPEG", (8000, 7900))}
    for name, content in worst.items():
        (folder / name).write_bytes(content)

    def visits(tag: str) -> list[float]:
        taken = []
        for n in range(VISITS):
            picture = Image.open(PORTRAIT).convert("RGB")
            picture.putpixel((n, 0), (n, len(tag), 0))
            picture.save(folder / f"{tag}{n}.png")
            file = server.file(folder / f"{tag}{n}.png")
            begin = time.monotonic()
            assert ask(server.url, "preview", quick(file)).event == "complete"
            taken.append(time.monotonic() - begin)
        return taken

    visits("warm")
    idle = statistics.median(visits("idle"))
    with ThreadPoolExecutor(1) as attacker:
        attack = attacker.submit(lambda: [ask(server.url, "preview", quick(server.file(folder / n))) for n in worst])
        time.sleep(0.5)
        busy = visits("busy")
        attack.result()
    print(f"a still for a second visitor: {idle:.2f} s on an idle server, {statistics.median(busy):.2f} s (at most "
          f"{max(busy):.2f} s) while the worst inputs run: {statistics.median(busy) / idle:.1f} x")  # fmt: skip


def main() -> None:
    refusals("photos", list(photo_files.HOSTILE), photo_files.write, read_photo)
    sounds, clips = sound_files.HOSTILE, clip_files.HOSTILE
    refusals("sounds", list(sounds), written(sounds, "voice.wav"), read_sound)
    refusals("clips", list(clips), written(clips, "clip.mp4"), lambda path: [None for _ in read_clip(path)])
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            server.wait()
            waiting(server, Path(folder))
        finally:
            server.process.terminate()
            server.process.wait(20)


if __name__ == "__main__":
    main()
