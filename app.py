"""Build and launch the page: `python app.py`, or a Hugging Face Space. On ZeroGPU each video borrows a GPU."""

try:
    import spaces  # must precede everything that may initialise CUDA

    gpu, borrowed = spaces.GPU, spaces.config.Config.zero_gpu
except ImportError:  # not on a Space

    def gpu(duration):
        return lambda function: function

    borrowed = False

import os
import threading
from collections.abc import Iterator
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from thgen.ui.server import PrivateFolder, serve

folder = PrivateFolder.create()  # gradio reads the folder's path during its import

from thgen import logs  # noqa: E402
from thgen.request import Request  # noqa: E402
from thgen.ui.engine import PipelineEngine  # noqa: E402
from thgen.ui.layout import build_ui, launch_options  # noqa: E402
from thgen.ui.session import PageSession, Update  # noqa: E402

logs.show(logs.level_of())
engine = PipelineEngine(preview_device="cpu" if borrowed else None)
session = PageSession(engine)
if borrowed:  # each video runs in a forked process, which would otherwise load the weights again
    engine.preload()


@gpu(duration=session.gpu_seconds)
def render(request: Request, out: Path) -> Iterator[Update]:
    """The only function that runs on a borrowed GPU."""
    yield from session.steps(request, out)


session.run = render
demo = build_ui(session)

if __name__ == "__main__":
    threading.Thread(target=engine.preload, daemon=True).start()
    serve(demo, session, folder, launch_options(session))
