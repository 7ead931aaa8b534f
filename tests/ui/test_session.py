"""The page's session: fields to requests, one private folder per run, Cancel."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from thgen.errors import AudioError, ClipError, ClosedError, ControlError, MethodError, PhotoError, WeightsError
from thgen.recipe import Recipe
from thgen.schema import FPS, SLIDERS
from thgen.settings import Controls
from thgen.ui.fields import read_fields, recipe_fields
from thgen.ui.session import GPU_SECONDS, PageSession, Update


def fields_of(media: Path, **more) -> dict:
    return {"photo": str(media / "portrait_1.png"), "audio": str(media / "voice_1.wav"), **more}


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """A private temporary folder, because other processes make folders in the system's one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("thgen_*"))


def wait_until(condition, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_never_imports_gradio():
    code = "import sys, thgen.ui.session, thgen.ui.engine, thgen.ui.links; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_neutral_fields_make_neutral_controls(media):
    neutral = {key: c.neutral for key, c in SLIDERS.items()} | {"lip.strength": 1, "pose.idle": True}
    assert read_fields(fields_of(media, **neutral))["controls"] == Controls()


def test_fields_reach_the_request(session, media):
    request = session.request(
        fields_of(media, **{"pose.yaw": 10, "lip.strength": 1.5, "gaze.idle": False, "pose.clip": "a.mp4"}, seed=4.0)
    )
    assert request.controls == Controls(values={"pose.yaw": 10}, strength={"lip": 1.5}, idle={"gaze": False})
    assert request.drivers == {"pose": Path("a.mp4")}
    assert (request.method, request.seed, request.size) == ("rig", 4, 512)


def test_a_second_source_and_how_far_towards_it(session, media):
    more = {"expression.to": "b.jpg", "expression.t": 0.25, "expression.path": ""}
    request = session.request(fields_of(media, **more))
    assert request.second_sources == {"expression": Path("b.jpg")}
    assert request.controls == Controls(blend={"expression": 0.25})
    request = session.request(fields_of(media, **more | {"expression.path": "0:0, 2:1"}))
    assert request.controls == Controls(blend={"expression": ((0, 0), (2, 1))}), "keyframes count if there are any"
    assert session.request(fields_of(media, **{"expression.t": 0.5})).controls == Controls()


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"photo": None}, PhotoError, "no photo yet"),
        ({"audio": None}, AudioError, "no voice yet"),
        ({"pose.yaw": 46}, ControlError, "pose.yaw=46"),
        ({"pose.yaw": float("nan")}, ControlError, "pose.yaw"),
        ({"lip.strength": 2.5}, ControlError, "lip"),
        ({"motion": "sideways"}, ControlError, "sideways"),
        ({"seed": 1.5}, ControlError, "seed"),
        ({"expression.path": "soon"}, ControlError, "expression"),
        ({"method": "lips_only", "expression.to": "a.mp4"}, ControlError, "no factor 'expression'"),
        ({"seed": "x"}, ControlError, "seed"),
        ({"size": 300}, ControlError, "300"),
        ({"size": 4096}, ControlError, "4096"),
        ({"method": "magic"}, MethodError, "magic"),
        ({"method": "lips_only", "pose.clip": "a.mp4"}, ControlError, "no factor 'pose'"),
    ],
)
def test_bad_fields_are_named(session, media, fields, error, words):
    with pytest.raises(error, match=words):
        session.request(fields_of(media, **fields))


def test_a_driving_clip_is_enough_motion(session, media):
    request = session.request(fields_of(media, audio=None, **{"pose.clip": "a.mp4"}))
    assert request.audio is None


def test_recipe_fields_round_trip(session, media):
    controls = Controls(
        values={"au.12": 3}, strength={"pose": 0.5}, idle={"blink": False}, motion="absolute",
        blend={"expression": [[0, 0], [2, 1]]},
    )  # fmt: skip
    recipe = Recipe(method="rig", seed=5, face=1, size=256, paste_back=False, max_side=720, controls=controls)
    assert Recipe.of(session.request(fields_of(media, **recipe_fields(recipe)))) == recipe


def test_example_rows_are_made_of_what_exists(session, media, tmp_path):
    rows = session.example_rows()
    assert [Path(r["photo"]).name for r in rows] == ["portrait_1.png", "portrait_2.png"]
    assert all(Path(r["audio"]).is_file() and session.request(r) for r in rows)
    assert PageSession(session.engine, examples=tmp_path).example_rows() == []
    for source in (media / "portrait_1.png", media / "voice_1.wav"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "driving.mp4").write_bytes(b"")
    (row,) = PageSession(session.engine, examples=tmp_path).example_rows()
    assert Path(row["pose.clip"]).name == "driving.mp4"


def test_preview_needs_no_voice_and_follows_controls(session, media):
    still = session.quick_preview(fields_of(media, audio=None))
    turned = session.quick_preview(fields_of(media, audio=None, **{"pose.yaw": 20}))
    assert still.shape == turned.shape and (still != turned).any()
    assert session.engine.calls[-1][1].size == 256 and not session.engine.calls[-1][1].paste_back


def test_generate_hands_over_the_video_from_a_private_folder(session, media):
    before, updates = folders(), []
    for update in session.generate(fields_of(media, seed=7)):
        updates.append(update)
        if update.finished:
            video = update.finished.video
            assert video.read_bytes()[4:8] == b"ftyp"
            assert stat.S_IMODE(video.parent.stat().st_mode) == 0o700
    assert folders() == before  # deleted when the consumer asked for the next step
    info = updates[-1].finished.info
    assert info["frames"] == round(0.6 * FPS) and info["seed"] == 7 and info["warnings"]
    assert [w["name"] for w in info["weights"]] == ["rig", "audio"]
    assert Recipe.from_dict(updates[-1].finished.recipe).seed == 7
    assert [u.fraction for u in updates] == sorted(u.fraction for u in updates)


def test_closing_stops_the_work_and_frees_the_slot(session, engine, media, monkeypatch):
    render, may_go_on = engine._render, threading.Event()

    def held(*arguments):
        assert may_go_on.wait(30)
        return render(*arguments)

    monkeypatch.setattr(engine, "_render", held)
    before = folders()
    running = session.generate(fields_of(media))
    next(running)
    assert wait_until(lambda: engine.running == 1)
    running.close()
    assert engine.running == 1, "closing happens on the server's event loop: it may not wait for the work"
    may_go_on.set()
    assert wait_until(lambda: engine.running == 0)
    assert wait_until(lambda: folders() == before)
    assert list(session.generate(fields_of(media)))[-1].finished is not None
    assert engine.most_running == 1


def test_the_next_run_waits_for_the_one_before(session, engine, media):
    engine.seconds_per_frame = 0.05
    first = session.generate(fields_of(media))
    next(first)
    second = session.generate(fields_of(media))
    assert "Waiting" in next(second).text
    first.close()
    assert list(second)[-1].finished is not None
    assert engine.most_running == 1


def test_an_error_reaches_the_consumer_and_leaves_nothing(session, media, tmp_path):
    before = folders()
    tiny = tmp_path / "tiny.mp4"
    tiny.write_bytes(b"x")
    with pytest.raises(ClipError):
        list(session.generate(fields_of(media, **{"pose.clip": str(tiny)})))
    assert folders() == before
    assert list(session.generate(fields_of(media)))[-1].finished is not None


def test_the_second_run_is_estimated_from_the_first(session, engine, media):
    request = session.request(fields_of(media))
    assert session.estimate(request) is None
    engine.seconds_per_frame = 0.05
    first = list(session.generate(fields_of(media)))[-1]
    assert session.estimate(request) == pytest.approx(first.elapsed), "as long as the same work took"
    assert session.estimate(session.request(fields_of(media, size=256))) is None
    assert next(iter(session.generate(fields_of(media)))).remaining is not None


def test_a_voice_that_is_too_long_is_refused_at_once(session, engine, media, monkeypatch):
    monkeypatch.setattr(engine, "seconds", lambda request: 121.0)
    with pytest.raises(AudioError, match=r"more than 120 s"):
        list(session.generate(fields_of(media)))
    assert not engine.calls


def test_run_may_be_replaced_by_a_borrowed_gpu(session, media):
    seeds = []

    def run(request, out):
        seeds.append(request.seed)
        yield Update(0.5, "half", 1.0)

    session.run = run
    assert [u.text for u in session.generate(fields_of(media, seed=3))] == ["half"]
    assert seeds == [3]


def test_gpu_seconds_grow_with_the_work_within_bounds(session, engine, media, monkeypatch):
    request, out = session.request(fields_of(media)), Path("x.mp4")
    monkeypatch.setattr(engine, "seconds", lambda request: 30.0)
    assert GPU_SECONDS[0] < session.gpu_seconds(request, out) < GPU_SECONDS[1]
    monkeypatch.setattr(engine, "seconds", lambda request: 600.0)
    assert session.gpu_seconds(request, out) == GPU_SECONDS[1]

    def unreadable(request):
        raise AudioError("no")

    monkeypatch.setattr(engine, "seconds", unreadable)
    assert session.gpu_seconds(request, out) == GPU_SECONDS[0]


def test_a_closed_session_ends_its_work_and_takes_no_more(session, engine, media):
    """The end of the server: a waiting client gets an error, also after another client has left."""
    engine.seconds_per_frame = 0.05
    running = session.generate(fields_of(media))
    next(running)
    session.close(10)
    assert engine.running == 0
    with pytest.raises(ClosedError, match="being stopped"):
        list(running)
    with pytest.raises(ClosedError):
        list(session.generate(fields_of(media)))


def test_closing_waits_for_work_whose_client_has_left(session, engine, media):
    engine.seconds_per_frame = 0.05
    running = session.generate(fields_of(media))
    next(running)
    running.close()
    session.close(10)
    assert engine.running == 0


def test_a_method_whose_weights_are_not_here_is_told_with_the_remedy(session, media):
    with pytest.raises(WeightsError, match=r"'far_away' are not here .*fetch them"):
        session.request(fields_of(media, method="far_away"))
    with pytest.raises(MethodError, match="There is no method 'nowhere'"):
        session.request(fields_of(media, method="nowhere"))
