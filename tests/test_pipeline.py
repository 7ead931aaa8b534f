"""The whole path with a small method whose effects can be measured in the finished file."""

import subprocess
import threading
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

import thgen
from tests.fake_method import FakeSession, photo, voice
from thgen import pipeline
from thgen.errors import (
    AudioError,
    ClipError,
    ControlError,
    FaceError,
    MethodError,
    OutputError,
    PhotoError,
    WeightsError,
)
from thgen.face.finder import Face, FaceCrop, Upright
from thgen.io.clip import read_clip
from thgen.io.ffmpeg import probe, program
from thgen.io.mp4 import write_mp4
from thgen.io.photo import write_png
from thgen.io.sound import read_audio
from thgen.methods import METHODS
from thgen.pipeline import Session, generate, preview, render_video
from thgen.plan import plan
from thgen.request import Request
from thgen.schema import FACTORS, FPS, SAMPLE_RATE
from thgen.settings import Controls

STILL = Controls(live={"pose": False, "gaze": False, "blink": False})


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
def request_() -> Request:
    """Two seconds: silence, a loud second half a second in, silence; nothing moves by itself."""
    return Request(photo=photo(), audio=voice([(0.5, 1.5)], 2), controls=STILL, size=128)


def all_frames(request: Request, session: Session) -> np.ndarray:
    return np.concatenate([w.frames for w in generate(request, session)])


def openings(frames: np.ndarray) -> np.ndarray:
    """Black pixels per frame: the fake mouth."""
    return (frames.max(axis=-1) < 60).sum(axis=(1, 2))


def clip(path, levels, size=(128, 96)):
    """A video of flat frames with the given grey levels."""
    frames = (np.full((size[1], size[0], 3), v, np.uint8) for v in levels)
    return write_mp4(path, frames, size, len(levels))


def test_the_mouth_follows_the_voice(session, request_):
    opened = openings(all_frames(request_, session))
    assert len(opened) == 50
    assert (opened[:12] == 0).all() and (opened[13:37] > 100).all() and (opened[38:] == 0).all()


def test_windows(session, request_):
    """Numbered without a gap, never more than WINDOW frames, nothing decoded before it is asked for."""
    windows = generate(request_, session)
    assert session.method.windows == []
    start = 0
    for window in windows:
        assert window.start == start and window.total == 50 and len(window.frames) <= pipeline.WINDOW
        assert window.frames.dtype == np.uint8 and window.frames.shape[1:] == (160, 200, 3)
        start += len(window.frames)
        assert sum(session.method.windows) == start
    assert start == 50


def test_outside_the_mask_the_photo_is_untouched(session, request_):
    frames = all_frames(request_, session)
    changed = (frames != photo()).any(axis=(0, 3))
    assert changed.any() and not changed[:20].any() and not changed[:, :40].any()


def test_crop_alone(session, request_):
    frames = all_frames(request_.but(paste_back=False, size=256), session)
    assert frames.shape == (50, 256, 256, 3)


@pytest.mark.parametrize("width,height,expected", [(400, 300, (400, 300)), (3000, 2000, (1080, 720))])
def test_large_photos_make_videos_of_limited_size(session, request_, width, height, expected):
    window = next(generate(request_.but(photo=photo(width, height)), session))
    assert window.frames.shape[1:3] == expected[::-1]


def test_memory_does_not_grow_with_the_voice(session, request_):
    def peak(seconds: int) -> int:
        samples = voice([(0.5, 1.0)], seconds)
        asked = request_.but(audio=samples, paste_back=False)
        session.prepare(asked)
        tracemalloc.start()
        for _ in generate(asked, session):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(14) < peak(2) + 12 * SAMPLE_RATE * 4 * 6  # a few copies of the samples, no frames


def test_sliders_and_live_motion(session, request_):
    still = all_frames(request_, session)
    turned = all_frames(request_.but(controls=STILL.but(values={"pose.yaw": 20})), session)
    shut = all_frames(request_.but(controls=STILL.but(values={"blink.openness": 0})), session)
    lively = all_frames(request_.but(controls=Controls()), session)
    assert (openings(shut)[:12] > 300).all() and not np.array_equal(turned, still)
    assert np.array_equal(lively, all_frames(request_.but(controls=Controls()), session))
    assert not np.array_equal(lively, all_frames(request_.but(controls=Controls(), seed=1), session))


def yaws(session, request) -> np.ndarray:
    """Yaw per frame that reached the decoder, in degrees."""
    seen = []
    decode = session.method.decode
    session.method.decode = lambda identity, window, sliders: (
        seen.append(window["pose"][:, 0]) or decode(identity, window, sliders)
    )
    for _ in generate(request, session):
        pass
    session.method.decode = decode
    return np.concatenate(seen)


def test_a_clip_drives_its_factor(tmp_path, session, request_):
    """Grey 100 to 140 is a turn of 20 degrees in the fake method's eyes."""
    path = clip(tmp_path / "d.mp4", [100] * 10 + [140] * 40)
    yaw = yaws(session, request_.but(drivers={"pose": path}))
    assert np.abs(yaw[:10]).max() < 1 and np.abs(yaw[11:] - 20).max() < 1
    absolute = STILL.but(motion="absolute")
    yaw = yaws(session, request_.but(drivers={"pose": path}, controls=absolute))
    assert abs(yaw[0] - 50) < 1.5


def test_a_still_drives_as_well_and_never_ends(tmp_path, session, request_):
    path = tmp_path / "still.png"
    write_png(path, np.full((96, 128, 3), 60, np.uint8))
    work = plan(request_.but(drivers={"pose": path}), session)
    assert work.frames == 50 and len(work.driven["pose"]) == 1 and work.warnings == []
    yaw = yaws(session, request_.but(drivers={"pose": path}))
    assert np.abs(yaw - 30).max() < 1, "counted from a head that looks straight ahead"
    with pytest.raises(AudioError, match="does not say how long"):
        plan(request_.but(audio=None, drivers={"pose": path}), session)


def test_an_expression_lies_between_two_sources(tmp_path, session, request_):
    first, second = (clip(tmp_path / f"{n}.mp4", [100] * 50) for n in "ab")
    seen = []
    session.method.encode_clip = lambda crops: seen.append(len(list(crops))) or {
        "expression": torch.full((seen[-1], FACTORS["expression"].size), 0.4 * len(seen))}  # fmt: skip
    controls = STILL.but(motion="absolute", blend={"expression": "0:0, 1:1"})
    told = request_.but(drivers={"expression": first}, toward={"expression": second}, controls=controls)
    found = []
    decode = session.method.decode
    session.method.decode = lambda identity, f, s: found.append(f["expression"][:, 0].clone()) or decode(identity, f, s)
    for _ in generate(told, session):
        pass
    values = torch.cat(found)
    assert seen == [50, 50]
    torch.testing.assert_close(values[[0, 10, 25, 49]], torch.tensor([0.4, 0.56, 0.8, 0.8]), atol=1e-5, rtol=0)


def test_second_sources_are_for_what_blends(request_):
    with pytest.raises(ControlError, match="Head pose cannot lie between"):
        request_.but(toward={"pose": "a.mp4"})
    with pytest.raises(ControlError, match="no factor 'hat'"):
        request_.but(toward={"hat": "a.mp4"})


def test_one_clip_for_several_factors_is_watched_once(tmp_path, session, request_):
    path = clip(tmp_path / "d.mp4", [100] * 50)
    watched = []
    track = session.finder.track
    session.finder.track = lambda *a: watched.append(1) or track(*a)
    next(generate(request_.but(drivers={"pose": path, "expression": path}), session))
    assert watched == [1]


def test_one_clip_for_all_leaves_the_voice_its_own(request_):
    """A factor's own clip has priority. Without a voice the clip drives the lips, too."""
    asked = request_.but(clip="all.mp4", drivers={"gaze": "eyes.mp4"})
    assert asked.drivers == {"pose": "all.mp4", "gaze": "eyes.mp4", "blink": "all.mp4", "expression": "all.mp4"}
    assert asked.clips == ("all.mp4", "eyes.mp4") and "all.mp4" in asked.inputs
    silent = Request(photo=photo(), clip="all.mp4", method="pd_fgc")
    assert list(silent.drivers) == [f.name for f in METHODS["pd_fgc"].factors] and silent.but(seed=1) != silent


def test_short_driver_goes_on(tmp_path, session, request_):
    path = clip(tmp_path / "d.mp4", [100] * 5 + [120] * 5)
    made = plan(request_.but(drivers={"pose": path}), session)
    assert [w for w in made.warnings if "shorter" in w] == made.warnings != []
    yaw = yaws(session, request_.but(drivers={"pose": path}))
    assert len(yaw) == 50 and yaw[45:].std() + yaw[20:40].std() > 2


def test_only_as_much_of_a_driver_is_watched_as_is_needed(tmp_path, session, request_):
    """What comes after the voice's end costs nothing, and may show anything."""
    path = clip(tmp_path / "d.mp4", [100] * 30 + [120] * 30 + [0] * 200)
    seen = []
    track = session.finder.track
    session.finder.track = lambda frames, size: track((seen.append(1) or f for f in frames), size)
    made = plan(request_.but(drivers={"pose": path}), session)
    assert len(seen) == 50 == len(made.driven["pose"]) and made.warnings == []


def test_driver_without_audio(tmp_path, session, request_):
    """The video is as long as the driver, and silent."""
    path = clip(tmp_path / "d.mp4", [100] * 15 + [120] * 15)
    result = render_video(request_.but(audio=None, drivers={"pose": path}), tmp_path / "o.mp4", session=session)
    found = probe(result.path)
    assert result.frames == 30 and not found.has_audio and abs(found.seconds - 1.2) < 0.05


def test_a_clip_in_which_nothing_moves(tmp_path, session, request_):
    """Alone it would make a video without motion. With a voice, or beside a clip that moves, it acts as a picture."""
    still, moving = clip(tmp_path / "s.mp4", [100] * 30), clip(tmp_path / "m.mp4", [100] * 15 + [130] * 15)
    alone = request_.but(audio=None, drivers={"pose": still})
    with pytest.raises(ClipError, match=r"Nothing moves in s\.mp4: give a clip in which the face moves, or a voice"):
        render_video(alone, tmp_path / "o.mp4", session=session)
    assert not (tmp_path / "o.mp4").exists()
    told = "Nothing moves in s.mp4: it acts as a picture does."
    assert told in plan(request_.but(drivers={"pose": still}), session).warnings
    beside = plan(alone.but(drivers={"pose": still, "expression": moving}), session)
    assert beside.warnings == [told] and beside.frames == 30


def test_short_gaps_without_a_face_are_bridged(tmp_path, session, request_):
    path = clip(tmp_path / "d.mp4", [0] * 4 + [100] * 16 + [0] * 6 + [140] * 24)
    asked = request_.but(drivers={"pose": path})
    made = plan(asked, session)
    assert any("no face in 10 of its frames" in w for w in made.warnings)
    yaw = made.driven["pose"][:, 0]
    assert len(yaw) == 50 and (yaw[:20] - 50).abs().max() < 1.5 and (yaw[26:] - 70).abs().max() < 1.5
    assert (yaw[20:26].diff() > 1).all()  # a ramp, not a step


@pytest.mark.parametrize(
    "levels", [[100] * 10 + [0] * 30 + [100] * 30, [0] * 50, ([100] * 5 + [0] * 5) * 8], ids=["gap", "none", "half"]
)
def test_driver_without_a_face_for_too_long(tmp_path, session, request_, levels):
    path = clip(tmp_path / "d.mp4", levels)
    with pytest.raises(ClipError, match="face"):
        generate(request_.but(drivers={"pose": path}), session)


def test_what_render_video_writes_and_says(tmp_path, session, request_):
    reports: list[tuple[float, str]] = []
    result = render_video(request_, tmp_path / "o.mp4", lambda f, t: reports.append((f, t)), session)
    assert (result.frames, result.fps, result.seconds, result.seed) == (50, FPS, 2.0, 0)
    assert result.weights[0]["name"] == "fake" and result.warnings == [] and result.elapsed > 0
    fractions = [f for f, _ in reports]
    assert fractions == sorted(fractions) and fractions[0] == 0 and 0.9 < fractions[-1] <= 1 and len(reports) > 5
    video = cv2.VideoCapture(str(result.path))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])
    opened = openings(np.stack(frames))
    assert len(opened) == 50 and (opened[:12] == 0).all() and (opened[13:37] > 50).all()
    assert abs(read_audio(result.path).size / SAMPLE_RATE - 2) < 0.04
    text = result.path.read_bytes()
    assert b"Synthetic video made by thgen; method rig; seed 0; weights fake 0123456789ab" in text


@pytest.mark.parametrize("name", ["v.wav", "v.mp3", "v.m4a", "v.flac", "v.ogg", "v.mp4"])
def test_lips_and_sound_agree_whatever_the_file(tmp_path, session, request_, name):
    """The mouth opens in the frame in which the written sound begins."""
    soundfile.write(tmp_path / "in.wav", voice([(0.8, 1.4)], 2), SAMPLE_RATE)
    if name == "v.mp4":
        write_mp4(tmp_path / name, [photo()] * 50, (200, 160), 50, read_audio(tmp_path / "in.wav"))
    else:
        command = [*program(), "-loglevel", "error", "-i", tmp_path / "in.wav", "-ar", "44100", tmp_path / name]
        subprocess.run(command, check=True)
    result = render_video(request_.but(audio=tmp_path / name), tmp_path / "o.mp4", session=session)
    length = probe(result.path).seconds
    assert abs(length - read_audio(tmp_path / name).size / SAMPLE_RATE) <= 1 / FPS + 0.005
    first = int(np.argmax(openings(np.stack(list(read_clip(result.path)))) > 50))
    begin = np.argmax(np.abs(read_audio(result.path)) > 0.2) / SAMPLE_RATE
    assert abs(first / FPS - begin) <= 1 / FPS and abs(begin - 0.8) < 0.03


def test_cancel_leaves_nothing(tmp_path, session, request_):
    """The page cancels by raising from the progress callback; the command line by KeyboardInterrupt."""

    class StopNowError(Exception):
        pass

    for moment in (0.0, 0.05, 0.5, 0.98):

        def report(fraction: float, text: str, moment: float = moment) -> None:
            if fraction >= moment:
                raise StopNowError

        with pytest.raises(StopNowError):
            render_video(request_, tmp_path / "o.mp4", report, session)
    assert list(tmp_path.iterdir()) == []


def test_closing_the_iterator_stops(session, request_):
    windows = generate(request_, session)
    next(windows)
    windows.close()
    assert sum(session.method.windows) == pipeline.WINDOW


def test_output_is_checked_before_the_work(tmp_path, session, request_):
    with pytest.raises(OutputError):
        render_video(request_, tmp_path / "none" / "o.mp4", session=session)
    assert session.method.photos == 0


def test_preview(session, request_):
    image = preview(request_.but(controls=Controls()), session)
    assert np.array_equal(image, photo()) or np.abs(image.astype(int) - photo()).max() <= 3
    shut = preview(request_.but(audio=None, controls=Controls(values={"blink.openness": 0})), session)
    assert openings(shut[None])[0] > 300
    assert session.method.photos == 1  # encoded once


def test_photo_cache_sees_what_matters(tmp_path, session, request_):
    Image.fromarray(photo()).save(tmp_path / "p.png")
    asked = request_.but(photo=tmp_path / "p.png")
    for change in ({}, {"seed": 3}, {"audio": None}, {"controls": Controls()}):
        session.prepare(asked.but(**change))
    assert session.method.photos == 1
    for change in ({"size": 160}, {"paste_back": False}, {"max_side": 256}):
        session.prepare(asked.but(**change))
    assert session.method.photos == 4
    Image.fromarray(photo()[:, ::-1]).save(tmp_path / "p.png")
    for _ in range(2):
        session.prepare(asked)
    assert session.method.photos == 5 and len(session._photos) == pipeline.CACHED_PHOTOS


def test_one_session_for_several_threads(session, request_):
    results: list[np.ndarray] = []
    asked = [request_.but(photo=photo(200 + 8 * (i % 3), 160)) for i in range(6)]
    threads = [threading.Thread(target=lambda r=r: results.append(preview(r, session))) for r in asked]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(r.shape[1] for r in results) == [200, 200, 208, 208, 216, 216]


@pytest.mark.parametrize(
    "change,error",
    [
        ({"photo": np.zeros((1, 1, 3), np.uint8)}, PhotoError),
        ({"photo": "none.jpg"}, PhotoError),
        ({"photo": np.full((99, 99, 3), 7, np.uint8)}, FaceError),
        ({"face": 1}, FaceError),
        ({"audio": np.zeros(30_000, np.float32)}, AudioError),
        ({"audio": None}, AudioError),
        ({"audio": "none.wav"}, AudioError),
        ({"drivers": {"pose": "none.mp4"}}, ClipError),
    ],
)
def test_bad_inputs_raise_at_the_call(session, request_, change, error):
    with pytest.raises(error):
        generate(request_.but(**change), session)


@pytest.mark.parametrize(
    "change",
    [{"size": 100}, {"size": 5000}, {"size": 513}, {"seed": -1}, {"face": -1}, {"max_side": 10},
     {"drivers": {"hair": "a.mp4"}}],
)  # fmt: skip
def test_bad_settings(request_, change):
    with pytest.raises(ControlError):
        request_.but(**change)


def test_unknown_method():
    with pytest.raises(MethodError, match="rig"):
        Session.load("magic", "cpu")


def test_unknown_device():
    with pytest.raises(ControlError, match="abacus"):
        Session.load("rig", "abacus")


def test_public_names(session):
    windows = list(thgen.generate(photo(), voice([(0, 1)], 1), controls={"pose.yaw": 5}, size=128, session=session))
    assert sum(len(w.frames) for w in windows) == 25
    assert "rig" in thgen.METHODS and callable(thgen.load)
    with pytest.raises(AttributeError):
        thgen.nothing  # noqa: B018


def test_importing_thgen_imports_nothing_heavy():
    script = "import sys, thgen; print([m for m in ('torch', 'gradio', 'cv2', 'PIL') if m in sys.modules])"
    run = subprocess.run([__import__("sys").executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_a_session_makes_what_the_request_asks_for_or_nothing(tmp_path, session, request_):
    """A session of one method never answers for another: file, answer and recipe name the one that ran."""
    asked = request_.but(method="pd_fgc")
    for act in (lambda: preview(asked, session), lambda: render_video(asked, tmp_path / "o.mp4", session=session)):
        with pytest.raises(MethodError, match="asks for the method 'pd_fgc', but 'rig' is loaded"):
            act()
    session.method.declaration = METHODS["pd_fgc"]
    result = render_video(asked, tmp_path / "o.mp4", session=session)
    assert result.method == "pd_fgc" and b"method pd_fgc; seed 0" in result.path.read_bytes()
    assert next(thgen.generate(photo(), voice([(0, 1)], 1), session=session, size=128)).total == 25


def test_a_slow_photo_holds_up_no_other(tmp_path, session, request_):
    """While one photo is being found, another one is found; who asks for the same waits and finds it done."""
    slow, free, crop = threading.Event(), threading.Event(), session.finder.crop

    def find(image: np.ndarray, index: int, size: int, faces: Sequence[Face]) -> FaceCrop:
        if image.shape[1] == 220:
            slow.set()
            assert free.wait(20)
        return crop(image, index, size)

    session.finder.crop = find
    with ThreadPoolExecutor(3) as visitors:
        first = visitors.submit(session.prepare, request_.but(photo=photo(220)))
        assert slow.wait(20)
        same = visitors.submit(session.prepare, request_.but(photo=photo(220)))
        assert session.prepare(request_).crop.size == 128
        assert not first.done() and not same.done()
        free.set()
        assert first.result() is same.result()
    assert session.method.photos == 2


@pytest.mark.parametrize(
    "method,settings,words",
    [
        ("pd_fgc", {"controls": Controls(motion="absolute")}, "leave the motion relative"),
        ("rig", {"controls": Controls(undriven="zero")}, "leave undriven stay"),
        ("pd_fgc.paper", {"controls": Controls(values={"pose.yaw": 10})}, "no sliders: leave out 'pose.yaw'"),
        ("pd_fgc.paper", {"controls": Controls(idle={"pose": False})}, "never moves by itself"),
        ("rig", {"controls": Controls(blend={"pose": 0.5})}, "one source only"),
        ("rig", {"drivers": {"hat": "clip.mp4"}}, "no factor 'hat'"),
        ("rig", {"second_sources": {"pose": "clip.mp4"}}, "cannot lie between two sources"),
        ("rig", {"more_photos": ("b.jpg",)}, "uses one photo of a person, not 2"),
    ],
)
def test_what_a_method_would_ignore_is_refused_when_it_is_asked_for(request_, method, settings, words):
    with pytest.raises(ControlError, match=words):
        request_.but(**{"method": method, "controls": Controls(), **settings})


def test_absent_weights_are_told_before_any_are_loaded():
    from thgen.pipeline import available_methods, why_absent

    assert available_methods() == ["rig", "pd_fgc", "fc_tfg"]
    why = why_absent("pd_fgc.paper")
    assert "pd_fgc_paper_motion" in why and "weights convert pd_fgc FOLDER" in why
    with pytest.raises(WeightsError, match="weights convert pd_fgc FOLDER"):
        Session.load("pd_fgc.paper")


def test_a_photo_that_lies_on_its_side_is_turned_and_this_is_said(tmp_path, session, request_):
    """Found, cropped and pasted back upright: the video is as high as the photo was wide."""
    session.finder.upright = lambda image: Upright(np.ascontiguousarray(np.rot90(image, -1)), 90, ())
    result = render_video(request_, tmp_path / "o.mp4", session=session)
    assert result.warnings == ["The photo lay on its side; it was turned upright."]
    found = probe(result.path)
    assert (found.width, found.height) == (160, 200)
