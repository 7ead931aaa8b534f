"""Share links: untrusted input, and the output of the page."""

from __future__ import annotations

from urllib.parse import parse_qsl

from thgen.ui.links import read_query, write_query

NEUTRAL = {
    "pose.yaw": 0,
    "blink.openness": 100,
    "lip.strength": 1.0,
    "gaze.idle": True,
    "seed": 0,
    "motion": "relative",
    "undriven": "stay",
}


def test_numbers_are_clamped_and_nonsense_is_dropped():
    query = {
        "pose.yaw": "900", "gaze.yaw": "-1e9", "gaze.pitch": "nan", "au.12": "x", "lip.strength": "7", "pose.live": "0",
        "lip.live": "0", "seed": "-4", "face": "inf", "size": "9999", "motion": "up", "others": "gone",
        "method": "../../etc", "expression.t": "3", "expression.path": "0:0, 0:1", "pose.t": "0.5",
        "photo": "/etc/passwd", "pose.clip": "/etc/passwd", "paste_back": "false", "max_side": "1", "__class__": "1",
    }  # fmt: skip
    assert read_query(query, ["rig"]) == {
        "pose.yaw": 45, "gaze.yaw": -30, "lip.strength": 2, "pose.idle": False, "seed": 0, "face": 20,
        "paste_back": False, "max_side": 256, "expression.t": 1,
    }  # fmt: skip


def test_known_choices_pass():
    query = {"method": "rig", "motion": "absolute", "undriven": "zero", "size": "256", "expression.path": "0:0,2:1"}
    assert read_query(query, ["rig"]) == query | {"size": 256, "expression.path": "0:0, 2:1"}


def test_links_of_version_1_say_what_they_said():
    assert read_query({"pose.live": "0", "others": "zero"}, ["rig"]) == {"pose.idle": False, "undriven": "zero"}


def test_written_links_read_back_and_hold_no_file():
    fields = {**NEUTRAL, "pose.yaw": -12.5, "gaze.idle": False, "seed": 3, "photo": "/tmp/me.jpg"}
    text = write_query(fields, NEUTRAL)
    assert "me.jpg" not in text
    query = dict(parse_qsl(text.removeprefix("?")))
    assert read_query(query, ["rig"]) == {"pose.yaw": -12.5, "gaze.idle": False, "seed": 3}


def test_neutral_settings_need_no_query():
    assert write_query(NEUTRAL, NEUTRAL) == ""
