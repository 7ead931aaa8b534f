"""A seventh method: one entry in METHODS, and command line, page and API have it. No line outside of this folder.

Everything else is real: the analyser that finds the faces, the files, the server, the browser.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.toy.declaration import GLOW, TINT, TOY
from thgen import pipeline
from thgen.__main__ import main
from thgen.errors import ControlError
from thgen.io.clip import read_clip
from thgen.io.mp4 import write_mp4
from thgen.io.sound import read_audio
from thgen.methods import METHODS
from thgen.request import Request
from thgen.schema import SAMPLE_RATE
from thgen.settings import Controls

EXAMPLES = Path(__file__).parents[2] / "examples"
PHOTOS = [str(EXAMPLES / f"portrait_{n}.png") for n in (1, 2, 3)]
CLIP, VOICE = str(EXAMPLES / "driving_1.mp4"), str(EXAMPLES / "voice_1.wav")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SLOW = 60_000  # ms


@pytest.fixture(scope="module", autouse=True)
def toy():
    METHODS["toy"] = TOY
    yield
    del METHODS["toy"]


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> tuple[str, str]:
    """Files: 20 frames of the example clip, and the first second of the example voice."""
    folder = tmp_path_factory.mktemp("short")
    frames = list(islice(read_clip(CLIP), 20))
    write_mp4(folder / "clip.mp4", frames, frames[0].shape[1::-1], len(frames))
    soundfile.write(folder / "voice.wav", read_audio(VOICE)[:SAMPLE_RATE], SAMPLE_RATE)
    return str(folder / "clip.mp4"), str(folder / "voice.wav")


@pytest.fixture(scope="module")
def session(toy):
    return pipeline.Session.load("toy", "cpu")


@pytest.fixture(scope="module")
def voice():
    return np.concatenate([np.zeros(8000, np.float32), 0.5 * np.ones(8000, np.float32)])


def mean_colours(request: Request, session) -> np.ndarray:
    """Mean RGB of each frame, [T 3]."""
    return np.concatenate([w.frames.mean(axis=(1, 2)) for w in pipeline.generate(request, session)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[str]:
    """The examples' portraits at a third of their size: looking for a face in the whole ones takes seconds each."""
    paths = [str(tmp_path_factory.mktemp("photos") / Path(path).name) for path in PHOTOS]
    for path, small in zip(PHOTOS, paths, strict=True):
        Image.open(path).convert("RGB").reduce(3).save(small)
    return paths


@pytest.fixture(scope="module")
def crop_of(photos) -> Callable[..., Request]:
    return functools.partial(Request, method="toy", photo=photos[0], size=128, paste_back=False)


def test_the_command_line_has_its_factors_photos_and_choice(tmp_path, capsys, short, photos):
    out, recipe = tmp_path / "o.mp4", tmp_path / "r.json"
    clip, voice = short
    call = ["generate", "--method", "toy", *(w for p in photos for w in ("--photo", p)), "--audio", voice,
            f"--{GLOW}", clip, f"--{TINT}-to", photos[1], "--blend", f"{TINT}=0:0,2:1", "--set", "toy.mood=warm",
            "--set", "toy.mood_strength=0.5", "--strength", f"{GLOW}=1.5", "--undriven", "zero",
            "--size", "128", "--no-paste-back", "--save-recipe", str(recipe), "--out", str(out)]  # fmt: skip
    assert main(call) == 0
    frames = [frame.mean(axis=(0, 1)) for frame in read_clip(out)]
    assert len(frames) == 25 and frames[0][0] > frames[0][2] + 10, "warm"
    said = json.loads(recipe.read_text())
    assert said["controls"]["values"] == {"toy.mood": "warm", "toy.mood_strength": 0.5}
    assert list(said["files"]) == ["audio", GLOW, f"{TINT}_to", "photo", "photo_2", "photo_3"]
    again = tmp_path / "again.mp4"
    assert main(["generate", "--recipe", str(recipe), "--out", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"--{GLOW} CLIP" in told and "up to 3 photos" in told and "toy.mood plain|warm|cold" in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "toy.mood=hot"], "toy.mood must be one of plain, warm, cold"),
        (["--set", "pose.yaw=3"], "There is no control 'pose.yaw' in toy"),
        (["--pose", CLIP], "The method toy has no factor 'pose'"),
        (["--photo", "4.png", "--photo", "5.png", "--photo", "6.png"], "at most 3 photos of a person, not 4"),
        (["--motion", "absolute", "--strength", "lip=1"], "no factor 'lip'"),
    ],
)
def test_what_it_lacks_is_refused_by_name(tmp_path, capsys, words, says):
    call = ["generate", "--method", "toy", "--photo", PHOTOS[0], "--audio", VOICE, "--out", str(tmp_path / "o.mp4")]
    assert main([*call, *words]) == 2
    assert says in capsys.readouterr().err


def test_photos_reach_the_method_and_a_bad_one_is_named(session, crop_of, photos):
    assert session.prepare(crop_of(more_photos=photos[1:])).identity.state["photos"] == 3
    flat = np.full((64, 64, 3), 90, np.uint8)
    with pytest.raises(Exception, match="Photo 2: No human face"):
        session.prepare(crop_of(more_photos=(flat,)))


def test_the_whole_track_passes_its_temporal_layer(session, voice, crop_of):
    """The voice begins between two frames, in the middle of a window: the tint rises over five frames, not one."""
    level = mean_colours(crop_of(audio=voice), session).mean(axis=1)
    rise = np.diff(level)[10:15]
    assert len(level) == 25 and (rise > 2).all() and np.abs(np.diff(level))[[*range(9), *range(17, 23)]].max() < 1


def test_slow_small_clips_arrive_at_their_rate_and_size_and_leave_at_25_fps(session, monkeypatch, short, crop_of):
    seen, (clip, _) = [], short
    encode = session.method.encode_clip

    def spy(crops):
        kept = list(crops)
        seen.extend(crop.image.shape for crop in kept)
        return encode(kept)

    monkeypatch.setattr(session.method, "encode_clip", spy)
    made = pipeline.plan(crop_of(drivers={GLOW: clip}), session)
    seconds = 20 / 25
    assert set(seen) == {(64, 64, 3)} and abs(len(seen) - 10 * seconds) <= 1
    assert abs(made.frames - 25 * seconds) <= 2 and made.driven[GLOW].shape == (made.frames, 1)


def test_relative_latents_and_zero(session, voice, crop_of, photos):
    """A still has no change of its own: relative motion leaves the photo's tint, absolute motion takes the still's."""
    driven = {"drivers": {TINT: photos[1]}, "audio": voice}
    relative, absolute = (
        mean_colours(crop_of(**driven, controls=Controls(motion=motion)), session)[0]
        for motion in ("relative", "absolute")
    )
    own = mean_colours(crop_of(**driven, controls=Controls(strength={TINT: 0.0})), session)[0]
    zero = mean_colours(crop_of(**driven, controls=Controls(undriven="zero", strength={TINT: 0.0})), session)[0]
    np.testing.assert_allclose(relative, own, atol=0.01)
    assert (absolute > own + 10).all() and (zero < own).all()


def test_settings_refuse_a_choice_of_another_type(crop_of):
    with pytest.raises(ControlError, match="must be one of plain, warm, cold, not 3"):
        crop_of(controls=Controls(values={"toy.mood": 3}))


@pytest.fixture(scope="module")
def url(toy):
    """The page with the real engine."""
    from thgen.ui.layout import build_ui, launch_options
    from thgen.ui.session import PageSession

    session = PageSession()
    page = build_ui(session)
    _, url, _ = page.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options(session)
    )  # fmt: skip
    yield url.rstrip("/")
    page.close()


def test_the_api_has_it(url, tmp_path, short, photos):
    client = Client(url, verbose=False, download_files=str(tmp_path))
    files = [handle_file(p) for p in photos]
    call = {"method": "toy", "photo": files[0], "more_photos": files[1:], "size": 128, "paste_back": False}
    plain, _ = client.predict(**call, api_name="/preview")
    warm, answer = client.predict(**call, controls={"toy.mood": "warm"}, api_name="/preview")
    change = np.asarray(picture(warm), float) - np.asarray(picture(plain), float)
    assert answer["method"] == "toy" and change[..., 0].mean() > 10 > -10 > change[..., 2].mean()
    clip, voice = short
    _, info = client.predict(**call, audio=handle_file(voice), **{f"{GLOW}_clip": handle_file(clip)},
                                 controls={"toy.mood": "cold"}, api_name="/generate")  # fmt: skip
    assert info["method"] == "toy" and info["recipe"]["controls"]["values"] == {"toy.mood": "cold"}
    with pytest.raises(AppError, match=r"toy\.mood must be one of"):
        client.predict(**call, controls={"toy.mood": "hot"}, api_name="/preview")


def picture(path: str):
    from PIL import Image

    return Image.open(path).convert("RGB")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_page_has_its_tabs_and_makes_its_video(url, short, photos):
    from playwright.sync_api import expect, sync_playwright

    clip, voice = short

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1366, "height": 850})
        page.set_default_timeout(SLOW)
        expect.set_options(timeout=SLOW)
        page.goto(url)
        expect(page.locator("#more-photos")).to_be_hidden()
        page.get_by_role("tab", name="Toy").click()
        expect(page.get_by_role("tab", name="Glow")).to_be_visible()
        expect(page.get_by_role("tab", name="Head pose")).to_be_hidden()
        page.get_by_role("tab", name="Glow").click()
        page.locator("#field-toy-glow-clip input[type=file]").set_input_files(clip)
        page.get_by_role("tab", name="Tint").click()
        expect(page.locator("#field-toy-glow-clip")).to_be_hidden()
        page.locator("#field-toy-mood input").click()
        page.get_by_role("option", name="warm").click()
        page.locator("#photo input[type=file]").set_input_files(photos[0])
        page.locator("#more-photos input[type=file]").set_input_files(photos[1:])
        page.locator("#audio input[type=file]").set_input_files(voice)
        expect(page.locator("#preview img")).to_be_visible()
        page.locator("#generate").click()
        expect(page.locator("#video video")).to_be_visible()
        expect(page.locator("#ran")).to_contain_text("toy with the weights analyser")
        page.get_by_role("button", name="Link to these settings").click()
        link = page.locator(".link textarea, .link input").first
        expect(link).to_have_value(re.compile("method=toy"))
        again = browser.new_page()
        again.set_default_timeout(SLOW)
        again.goto(link.input_value())
        expect(again.get_by_role("tab", name="Toy")).to_have_attribute("aria-selected", "true")
        expect(again.locator("#field-toy-mood input")).to_have_value("warm")
        browser.close()
