"""The page: header, tabs, footer. There is one call per tab. With a single tab there is no tab bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from thgen.ui.guard import app_options
from thgen.ui.page import Page
from thgen.ui.session import EXAMPLE_FILES, PageSession
from thgen.ui.tab_generate import build_generate_tab
from thgen.ui.tab_views import build_views
from thgen.ui.uploads import KEPT_SECONDS

TITLE = "thgen: a photo that talks"
HEADER = """
<h1>thgen <small>a photo that talks</small></h1>
<p>Give it a photo and a voice. The lips follow the voice; head pose, gaze, blinks and expression each come from a
source of their own: the photo, a slider, a driving clip, or natural motion by themselves.</p>
"""
FOOTER = """
<p><b>Use it responsibly.</b> Animate only people who have agreed to it, and say that the result is synthetic; every
video carries in its metadata that thgen made it. Uploads and results stay on the server that runs this page and are
deleted after about an hour; there is no run history, and no usage data is sent anywhere.</p>
"""
# Every ten minutes gradio deletes uploads and results that are older than an hour. thgen.ui.server deletes those that
# gradio misses, and all of them when the server stops.
DELETE_CACHE = (600, int(KEPT_SECONDS))
MAX_FILE_SIZE = "50mb"
QUEUE_LENGTH = 16


def build_ui(session: PageSession) -> Page:
    """Build the page of a session. Weights are loaded later, for the first still or video."""
    with Page(title=TITLE, analytics_enabled=False, delete_cache=DELETE_CACHE, fill_width=True) as page:
        gr.HTML(HEADER, elem_classes="header", padding=False)
        build_views(session, build_generate_tab(session, page))
        gr.HTML(FOOTER, elem_classes="footer-note", padding=False)
    page.queue(max_size=QUEUE_LENGTH, api_open=False)  # True would allow API calls outside the queue
    return page


def example_media(session: PageSession) -> list[str]:
    """The pictures, voices and clips of the examples, without the scripts in the same folder."""
    folder = session.examples_folder
    return [str(path) for pattern in EXAMPLE_FILES for path in sorted(folder.glob(pattern)) if path.is_file()]


def launch_options(session: PageSession) -> dict[str, Any]:
    """Keyword arguments of `Blocks.launch`: theme, limits, privacy and security."""
    return {
        "theme": gr.themes.Default(
            primary_hue="teal",
            secondary_hue="teal",
            neutral_hue="slate",
            spacing_size="sm",
            # Fonts of the visitor's system, so that no font is downloaded.
            font=["ui-sans-serif", "system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        "css_paths": [Path(__file__).with_name("page.css")],
        "footer_links": ["api", "settings"],
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": MAX_FILE_SIZE,
        "allowed_paths": example_media(session),
        "app_kwargs": app_options(),
        "ssr_mode": False,
        "pwa": False,
    }
