"""The tab that makes a video: form, live preview, Generate with progress and Cancel, and result."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from thgen import recipe as recipes
from thgen.errors import ControlError
from thgen.methods import METHODS
from thgen.ui.endpoints import wire_api
from thgen.ui.fields import all_controls, recipe_fields
from thgen.ui.form import Form, build_controls, build_inputs
from thgen.ui.links import read_query, write_query
from thgen.ui.page import shown_error, unprobed
from thgen.ui.session import Finished, PageSession, Update

# Options of events that only copy values: immediate, without a spinner, not part of the API.
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
WAITING = "<p>Waiting for a free place in the queue</p>"


@dataclass(frozen=True)
class Result:
    """The output widgets."""

    preview: gr.Image
    note: gr.HTML
    generate: gr.Button
    cancel: gr.Button
    status: gr.HTML
    video: gr.Video
    ran: gr.Markdown
    downloads: gr.Row
    download: gr.DownloadButton
    recipe_file: gr.DownloadButton
    details: gr.Accordion
    recipe: gr.JSON


def build_generate_tab(session: PageSession, page: gr.Blocks) -> Form:
    """Build the tab in the current context of `page`, with its events and API endpoints."""
    with gr.Row(elem_classes="workbench", equal_height=False):
        with gr.Column(elem_classes="inputs", min_width=280, scale=4):
            widgets = build_inputs()
            examples = _examples(session)
        with gr.Column(elem_classes="controls", min_width=320, scale=6):
            form = build_controls(session, widgets)
            with gr.Row():
                reset = gr.Button("Reset all controls", size="sm", min_width=120)
                load = gr.UploadButton("Load a recipe", file_types=[".json"], size="sm", min_width=120, elem_id="load")
                link = gr.Button("Link to these settings", size="sm", min_width=120)
            link_text = gr.Textbox(label="Link (settings only, never a photo or a voice)", visible=False, lines=1,
                                   buttons=["copy"], elem_classes="link")  # fmt: skip
        with gr.Column(elem_classes="result", min_width=300, scale=5):
            result = _result()
    _wire_preview(session, form, result)
    _wire_generate(session, form, result)
    _wire_form(session, page, form, examples, reset, load)
    _wire_link(form, link, link_text)
    wire_api(session, form)
    return form


def _examples(session: PageSession) -> tuple[gr.Dataset, list[dict[str, Any]]] | None:
    rows = session.example_rows()
    if not rows:
        return None
    picture = gr.Image(type="filepath", visible=False, render=False)
    gr.HTML("<p>Or start from an example: rendered faces, synthesised voices</p>", elem_classes="hint")
    data = gr.Dataset(components=[picture], samples=[[row["photo"]] for row in rows], type="index", layout="gallery",
                      show_label=False, elem_id="examples")  # fmt: skip
    return data, rows


def _result() -> Result:
    with gr.Column(elem_classes="still", min_width=200):
        preview = gr.Image(label="Preview, follows the sliders", interactive=False, format="webp", height=270,
                           buttons=[], elem_id="preview")  # fmt: skip
        note = gr.HTML("", elem_id="note", visible=False)
    with gr.Column(elem_classes="actions", min_width=200):
        with gr.Row():
            generate = gr.Button("Generate video", variant="primary", scale=3, min_width=140, elem_id="generate")
            cancel = gr.Button("Cancel", scale=1, min_width=90, interactive=False, elem_id="cancel")
        status = gr.HTML("", elem_id="status", visible=False, padding=False)
    video = unprobed(gr.Video)(label="Video", interactive=False, height=320, autoplay=True, elem_id="video",
                               buttons=[])  # fmt: skip
    ran = gr.Markdown("", elem_id="ran", visible=False)
    with gr.Row(visible=False) as downloads:
        download = gr.DownloadButton("Download video", size="sm", min_width=120, elem_id="download")
        recipe_file = gr.DownloadButton("Download recipe", size="sm", min_width=120, elem_id="recipe-file")
    with gr.Accordion("Recipe: the settings as JSON, for --recipe", open=False, visible=False) as details:
        recipe = gr.JSON(show_label=False, elem_id="recipe")
    return Result(
        preview, note, generate, cancel, status, video, ran, downloads, download, recipe_file, details, recipe
    )


def progress_html(update: Update) -> str:
    """HTML of a progress bar with the current step and the remaining time."""
    left = "estimating the time" if update.remaining is None else f"about {_duration(update.remaining)} left"
    percent = round(100 * update.fraction)
    return (
        f'<div class="bar" role="progressbar" aria-valuenow="{percent}" aria-valuemin="0" aria-valuemax="100">'
        f'<div style="width:{percent}%"></div></div>'
        f"<p>{html.escape(update.text)} · {_duration(update.elapsed)} so far · {left}</p>"
    )


def error_html(sentence: str) -> str:
    return f'<p class="sentence" role="alert">{html.escape(sentence)}</p>'


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def ran_line(info: Mapping[str, Any]) -> str:
    """Markdown with the method, its weights, the seed and the warnings of a finished video."""
    weights = ", ".join(f"`{w['name']}` {str(w.get('sha256', ''))[:8]}".rstrip() for w in info["weights"])
    line = (
        f"**{info['method']}** with the weights {weights} · seed {info['seed']} · {info['seconds']:.1f} s of video "
        f"({info['frames']} frames at {info['fps']} per second) in {_duration(info['elapsed'])}"
    )
    return "\n\n".join([line, *(f"⚠️ {warning}" for warning in info["warnings"])])


def _wire_preview(session: PageSession, form: Form, result: Result) -> None:
    def still(*values: Any) -> tuple[Any, Any]:
        try:
            fields = form.fields(values)
            picture = session.quick_preview(fields) if fields["photo"] else None
            return picture, gr.HTML("", visible=False)
        except Exception as error:  # shown in place, because each step of a slider would open a pop-up
            return None, gr.HTML(error_html(shown_error(error).message), visible=True)

    # Clips and the voice have no effect on the still, so they do not trigger it.
    moving = {"photo", "more_photos", "method", "face", *all_controls()}
    names = [name for name in form.widgets if name in moving]
    gr.on(
        [form.widgets[name].change for name in names],  # type: ignore[attr-defined]
        still,
        inputs=list(form.widgets.values()),
        outputs=[result.preview, result.note],
        trigger_mode="always_last",
        show_progress="hidden",
        preprocess=False,
        concurrency_id="preview",
        concurrency_limit=2,
        api_visibility="private",
    )


def _write_recipe(finished: Finished) -> Path:
    path = finished.video.with_name("recipe.json")
    path.write_text(json.dumps(finished.recipe, indent=2) + "\n", encoding="utf-8")
    return path


def _show(result: Result, finished: Finished) -> dict[Any, Any]:
    """Updates of the output widgets for a finished video."""
    return {
        result.status: gr.HTML("", visible=False),
        result.video: str(finished.video),
        result.ran: gr.Markdown(ran_line(finished.info), visible=True),
        result.downloads: gr.Row(visible=True),
        result.download: str(finished.video),
        result.recipe_file: str(_write_recipe(finished)),
        result.details: gr.Accordion(visible=True),
        result.recipe: finished.recipe,
    }


def _wire_generate(session: PageSession, form: Form, result: Result) -> None:
    def wait() -> dict[Any, Any]:
        return {result.status: gr.HTML(WAITING, visible=True), **buttons(busy=True)}

    def make(*values: Any) -> Iterator[dict[Any, Any]]:
        try:
            for update in session.generate(form.fields(values)):
                if update.finished is None:
                    yield {result.status: gr.HTML(progress_html(update), visible=True)}
                else:
                    yield _show(result, update.finished) | buttons(busy=False)
        except Exception as error:
            known = shown_error(error)
            yield {result.status: gr.HTML(error_html(known.message), visible=True)}
            raise known from error

    def buttons(busy: bool) -> dict[Any, Any]:
        return {result.generate: gr.Button(interactive=not busy), result.cancel: gr.Button(interactive=busy)}

    both = [result.generate, result.cancel]
    outputs = [result.status, result.video, result.ran, result.downloads, result.download, result.recipe_file,
               result.details, result.recipe, *both]  # fmt: skip
    # This comes first and outside the queue, so that a waiting visitor sees the reason and can cancel.
    pressed = result.generate.click(wait, None, [result.status, *both], **QUIET)
    making = pressed.then(
        make,
        inputs=list(form.widgets.values()),
        outputs=outputs,
        preprocess=False,
        show_progress="hidden",
        concurrency_id="generate",
        concurrency_limit=1,
        api_visibility="private",
    )

    def again(line: str) -> dict[Any, Any]:
        # Another line is the error of `make` and stays.
        cleared = {result.status: gr.HTML("", visible=False)} if line == WAITING else {}
        return cleared | buttons(busy=False)

    # After any failure, also before or after `make`, the next attempt must be possible.
    making.failure(again, result.status, [result.status, *both], **QUIET)
    making.success(None, js="() => document.getElementById('video').scrollIntoView({block: 'nearest'})",
                   api_visibility="private")  # fmt: skip

    def stopped() -> dict[Any, Any]:
        line = "<p>Cancelled; nothing of it was kept.</p>"
        return {result.status: gr.HTML(line, visible=True), **buttons(busy=False)}

    result.cancel.click(stopped, None, [result.status, *both], cancels=[making], **QUIET)


def _wire_form(
    session: PageSession,
    page: gr.Blocks,
    form: Form,
    examples: tuple[gr.Dataset, list[dict[str, Any]]] | None,
    reset: gr.Button,
    load: gr.UploadButton,
) -> None:
    """Wire the events that fill the form: Reset, a recipe, the query of a link, an example, a change of the method."""
    neutral, settings = form.neutral, list(form.settings.values())

    def restore() -> list[Any]:
        return list(neutral.values())

    def from_recipe(file: str | None) -> list[Any]:
        if file is None:
            raise ControlError("There is no recipe yet: choose the JSON file of one.")
        fields = neutral | recipe_fields(recipes.load(file))
        return [fields[name] for name in form.settings]

    def from_query(request: gr.Request) -> list[Any]:
        fields = read_query(dict(request.query_params), session.methods())
        return [fields.get(name, gr.skip()) for name in form.settings]

    def show(method: str, factor: str) -> dict[Any, Any]:
        """Updates that show the tabs and widgets of a method, after any change of it."""
        known = METHODS.get(method)
        return {} if known is None else {form.methods: gr.Tabs(selected=method), **form.shown(known, factor)}

    reset.click(restore, None, settings, **QUIET)
    load.upload(from_recipe, load, settings, preprocess=False, **QUIET)
    page.load(from_query, None, settings, **QUIET)
    method = form.widgets["method"]
    shown = [
        form.methods,
        form.factors,
        form.open_factor,
        *form.factor_tabs.values(),
        *(fold for fold, _ in form.folds),
        *(form.widgets[name] for name in form.varying),
    ]
    method.change(show, [method, form.open_factor], shown, **QUIET)
    for name, tab in form.method_tabs.items():
        tab.select(_constant(name), None, method, **QUIET)
    for name, tab in form.factor_tabs.items():
        tab.select(_constant(name), None, form.open_factor, **QUIET)
    if examples is not None:
        data, rows = examples
        nothing = dict.fromkeys(form.widgets)  # an example removes the clips of an earlier one

        def fill(index: int) -> list[Any]:
            return list((nothing | neutral | rows[index]).values())

        data.click(fill, data, list(form.widgets.values()), **QUIET)


def _constant(text: str) -> Callable[[], str]:
    return lambda: text


def _wire_link(form: Form, link: gr.Button, text: gr.Textbox) -> None:
    """Show the page's address with the settings in its query. The browser adds the host, which only it knows."""
    neutral, settings = form.neutral, list(form.settings.values())

    def query(*values: Any) -> gr.Textbox:
        return gr.Textbox(write_query(dict(zip(form.settings, values, strict=True)), neutral), visible=True)

    clicked = link.click(query, settings, text, preprocess=False, **QUIET)
    clicked.then(None, text, text, js="query => location.origin + location.pathname + query", api_visibility="private")
