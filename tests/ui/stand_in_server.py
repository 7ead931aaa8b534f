"""The server of app.py with the fake engine: `python -m tests.ui.stand_in_server EXAMPLES FRAME_SECONDS`.

FRAME_SECONDS may be `stubborn`: it computes with torch, and asks nobody whether it should go on.
"""

import sys
import time
from pathlib import Path

from thgen.ui.server import PrivateFolder, serve

if __name__ == "__main__":
    folder = PrivateFolder.create()
    import torch

    from tests.ui.conftest import MORE, FakeEngine
    from thgen.methods import METHODS
    from thgen.ui.layout import build_ui, launch_options
    from thgen.ui.session import PageSession

    class Stubborn(FakeEngine):
        def render_video(self, request, out, progress, longest=None):
            matrix, until = torch.rand(64, 64, requires_grad=True), time.monotonic() + 60
            while time.monotonic() < until:
                (matrix @ matrix).sum().backward()

    METHODS.update(MORE)
    examples, pace = sys.argv[1:]
    engine = Stubborn() if pace == "stubborn" else FakeEngine(seconds_per_frame=float(pace))
    session = PageSession(engine, examples=Path(examples))
    serve(build_ui(session), session, folder, launch_options(session))
