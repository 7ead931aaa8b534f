"""The page is built from schema and declarations, without weights. Its privacy options are set."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr
import pytest

from thgen.errors import ControlError, WeightsError
from thgen.methods import METHODS
from thgen.schema import FACTORS
from thgen.ui import layout
from thgen.ui.endpoints import api_fields
from thgen.ui.form import build_controls, build_inputs
from thgen.ui.session import PageSession, Update
from thgen.ui.tab_generate import error_html, progress_html, ran_line
from thgen.weights import hub


def build_form(session):
    with gr.Blocks():
        return build_controls(session, build_inputs())


@pytest.mark.parametrize("method", ["rig", "lips_only"])
def test_every_control_and_factor_that_a_method_declares_has_its_widgets(session, method):
    form = build_form(session)
    declared = METHODS[method]
    shown = form.shown(declared, "lip")
    for control in declared.controls:
        slider = form.widgets[control.key]
        assert (slider.minimum, slider.maximum, slider.value) == (control.low, control.high, control.neutral)
        assert slider.label.startswith(control.label)
    for name, tab in form.factor_tabs.items():
        assert (shown[tab].visible is True) == declared.has(name)
    for factor in declared.factors:
        assert (f"{factor.name}.clip" in form.widgets) == ("clip" in factor.sources)
        assert (f"{factor.name}.idle" in form.widgets) == factor.idle
        assert f"{factor.name}.strength" in form.widgets
    assert shown[form.widgets["undriven"]].visible == bool(declared.zero)


def test_what_a_method_lacks_is_neither_shown_nor_sent(session):
    form = build_form(session)
    shown = form.shown(METHODS["lips_only"], "pose")
    assert not shown[form.widgets["pose.yaw"]].visible and not shown[form.widgets["motion"]].visible
    values = {name: widget.value for name, widget in form.widgets.items()} | {"method": "lips_only", "pose.yaw": 20}
    sent = form.fields(tuple(values.values()))
    assert "pose.yaw" not in sent and "motion" not in sent and sent["lip.strength"] == 1
    assert form.fields(tuple((values | {"method": "rig"}).values()))["pose.yaw"] == 20


def test_a_tab_per_method_the_absent_ones_with_what_to_do(session):
    form = build_form(session)
    assert list(form.method_tabs) == ["rig", "lips_only", "far_away"]
    assert [tab.label for tab in form.method_tabs.values()] == ["Rig", "Lips only", "Far away"]
    (about,) = form.method_tabs["far_away"].children
    assert "are not here (far); fetch them." in about.value


def test_page_builds_with_no_examples(engine, tmp_path):
    page = layout.build_ui(PageSession(engine, examples=tmp_path))
    assert not [b for b in page.blocks.values() if isinstance(b, gr.Dataset)]


def test_privacy_and_limits(session):
    page, options = layout.build_ui(session), layout.launch_options(session)
    assert page.delete_cache == (600, 3600) and page.analytics_enabled is False
    assert options["run_history"] is False and options["enable_monitoring"] is False and options["max_file_size"]
    names = [Path(path).name for path in options["allowed_paths"]]
    assert names == ["portrait_1.png", "portrait_2.png", "voice_1.wav"]  # and not the whole folder
    assert page.api_open is False


def test_only_three_endpoints_are_public(session):
    page = layout.build_ui(session)
    endpoints = page.get_api_info()["named_endpoints"]
    assert set(endpoints) == {"/generate", "/preview", "/view"}
    for endpoint in endpoints.values():
        names = [p["parameter_name"] for p in endpoint["parameters"]]
        clips = [f"{name}_clip" for name in FACTORS] + [f"{n}_to" for n, f in FACTORS.items() if f.blends]
        assert all(p["parameter_has_default"] for p in endpoint["parameters"]) and endpoint["description"]
        if "view" in names:
            assert names == ["method", "view", "photos", "clip", "size"]
        else:
            assert names[:3] == ["photo", "audio", "clip"] and set(clips) < set(names)


def test_generation_and_stills_have_slots_of_their_own(session):
    groups = {fn.concurrency_id: fn.concurrency_limit for fn in layout.build_ui(session).fns.values() if fn.fn}
    assert groups["generate"] == 1 and groups["preview"] == 2


def test_api_fields():
    fields = api_fields({
        "photo": "/p.png", "audio": None, "pose_clip": "/c.mp4", "controls": '{"pose.yaw": 10}',
        "strength": {"lip": 1.5}, "live": {"gaze": False}, "seed": 2, "expression_to": "/d.jpg",
        "blend": {"expression": 0.2},
    })  # fmt: skip
    assert fields == {"photo": "/p.png", "audio": None, "pose.clip": "/c.mp4", "pose.yaw": 10, "lip.strength": 1.5,
                      "gaze.idle": False, "seed": 2, "expression.to": "/d.jpg", "expression.path": 0.2}  # fmt: skip


@pytest.mark.parametrize("controls", [{"pose.jaw": 1}, {"pose.yaw": 99}, {"photo": "/etc/passwd"}, [1], "{", 3])
def test_api_refuses_unknown_controls(controls):
    with pytest.raises(ControlError):
        api_fields({"controls": controls})


def test_texts_say_what_is_going_on():
    assert "about 12 s left" in progress_html(Update(0.5, "Frame 5 of 10", 12.0, 12.0))
    assert "estimating" in progress_html(Update(0.0, "Loading", 0.0))
    assert "&lt;b&gt;" in error_html("<b>") and "<b>" not in progress_html(Update(0, "<b>", 0))
    info = {"method": "rig", "weights": [{"name": "rig", "sha256": "abcdef123456"}], "seed": 3, "seconds": 2.0,
            "frames": 50, "fps": 25, "elapsed": 9.0, "warnings": ["Too dark."]}  # fmt: skip
    line = ran_line(info)
    assert "rig" in line and "abcdef12" in line and "seed 3" in line and "Too dark." in line


def test_config_can_be_sent_to_a_browser(session):
    json.dumps(layout.build_ui(session).get_config_file())  # raises for values that JSON does not support


def test_page_builds_with_no_weights_at_all_and_says_so_when_asked(media, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    monkeypatch.delenv("THGEN_HUB_REPO", raising=False)
    session = PageSession(examples=media)  # the real engine
    layout.build_ui(session)
    with pytest.raises(WeightsError):
        session.quick_preview({"photo": str(media / "portrait_1.png")})
