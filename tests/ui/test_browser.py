"""The page in a real chromium with a real server, without any request to other hosts."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
DESK, PHONE = {"width": 1366, "height": 850}, {"width": 390, "height": 844}
SLOW = 15_000  # ms; the machine may be busy with training
BLOCKED = "blocked by the policy"
TELL_BLOCKED = f"""document.addEventListener('securitypolicyviolation',
    e => console.error('{BLOCKED}: ' + e.violatedDirective + ' ' + e.blockedURI))"""
# A picture in the clipboard.
COPY_PICTURE = """async () => {
    const canvas = document.createElement('canvas'), context = canvas.getContext('2d');
    canvas.width = canvas.height = 64;
    for (let i = 0; i < 64; i++) {
        context.fillStyle = `rgb(${i * 4}, ${255 - i * 4}, 90)`;
        context.fillRect(i, 0, 1, 64);
    }
    const picture = await new Promise(done => canvas.toBlob(done, 'image/png'));
    await navigator.clipboard.write([new ClipboardItem({'image/png': picture})]);
}"""


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        beeping = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a microphone of its own
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *beeping])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, server):
    """visit(viewport, query) opens the page.

    During the test no request to elsewhere, no script error and nothing that the page's own policy blocks is allowed.
    """
    contexts, foreign, errors, blocked = [], [], [], []

    def hear(message):
        if BLOCKED in message.text or "MIME type" in message.text:
            blocked.append(message.text)

    def check(route):
        url = route.request.url
        if url.startswith((server.url, "data:", "blob:")):
            route.continue_()
        else:
            foreign.append(url)
            route.abort()

    def open_page(viewport=DESK, query="") -> Page:
        context = chromium.new_context(viewport=viewport)
        contexts.append(context)
        context.route("**/*", check)
        context.add_init_script(TELL_BLOCKED)
        context.grant_permissions(["camera", "clipboard-read", "clipboard-write", "microphone"])
        page = context.new_page()
        page.set_default_timeout(SLOW)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", hear)
        page.goto(f"{server.url}/{query}")
        expect(page.locator("#generate")).to_be_visible(timeout=SLOW)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not foreign and not errors and not blocked


def upload(page: Page, elem_id: str, path: Path) -> None:
    page.locator(f"#{elem_id} input[type=file]").set_input_files(str(path))


def give_photo_and_voice(page: Page, media: Path) -> None:
    upload(page, "photo", media / "portrait_1.png")
    upload(page, "audio", media / "voice_1.wav")
    expect(page.locator("#preview img")).to_be_visible(timeout=SLOW)
    expect(page.locator("#audio").get_by_label(re.compile("play", re.I)).first).to_be_visible(timeout=SLOW)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def number(page: Page, field: str):
    return page.locator(f"#field-{field} input[type=number]")


def set_number(page: Page, field: str, value: str) -> None:
    number(page, field).fill(value)
    number(page, field).press("Enter")


def test_photo_and_voice_become_a_video_that_plays(visit, server):
    page = visit()
    give_photo_and_voice(page, server.media)
    page.locator("#generate").click()
    video = page.locator("#video video")
    expect(video).to_be_visible(timeout=SLOW)
    page.wait_for_function("() => { const v = document.querySelector('#video video'); return v && v.readyState >= 2 }")
    playing = "async v => { v.muted = true; v.currentTime = 0; await v.play(); return [v.duration, v.videoWidth] }"
    seconds, width = video.evaluate(playing)
    assert abs(seconds - 0.6) < 0.1 and width == 64
    page.wait_for_function("() => document.querySelector('#video video').currentTime > 0.2")
    expect(page.locator("#ran")).to_contain_text("rig with the weights rig 00000000, audio 11111111")
    with page.expect_download() as download:
        page.locator("#download").click()
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"
    with page.expect_download() as download:
        page.locator("#recipe-file").click()
    assert '"method": "rig"' in Path(download.value.path()).read_text()
    expect(page.locator("#generate")).to_be_enabled()
    expect(page.locator("#cancel")).to_be_disabled()


def test_the_still_follows_a_dragged_slider(visit, server):
    page = visit()
    give_photo_and_voice(page, server.media)
    still = page.locator("#preview img")
    before = still.get_attribute("src")
    open_tab(page, "Head pose")
    slider = page.locator("#field-pose-yaw input[type=range]")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.6, 0.7, 0.8, 0.9):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
    # The mouse button is still down: the preview follows the movement, not the release.
    expect(still).not_to_have_attribute("src", before, timeout=SLOW)
    page.mouse.up()
    page.wait_for_timeout(800)
    yaw = float(number(page, "pose-yaw").input_value())
    assert yaw > 20
    assert server.engine.calls[-1][1].controls.values["pose.yaw"] == yaw  # the last still is the last position


def test_a_bad_photo_is_explained_and_nothing_is_lost(visit, server):
    page = visit()
    give_photo_and_voice(page, server.media)
    open_tab(page, "Head pose")
    set_number(page, "pose-yaw", "12")
    page.locator("#photo").get_by_label(re.compile("clear|remove", re.I)).first.click()
    upload(page, "photo", server.media / "blank.png")
    sentence = "No face was found in the photo"
    expect(page.locator("#note")).to_contain_text(sentence, timeout=SLOW)
    page.locator("#generate").click()
    expect(page.locator("#status")).to_contain_text(sentence, timeout=SLOW)
    expect(page.locator("#generate")).to_be_enabled(timeout=SLOW)
    assert number(page, "pose-yaw").input_value() == "12"
    expect(page.locator("#photo img")).to_be_visible()
    expect(page.locator("#audio").get_by_label(re.compile("play", re.I)).first).to_be_visible()


def test_cancel_stops_and_a_next_run_works(visit, server):
    page = visit()
    give_photo_and_voice(page, server.media)
    server.engine.seconds_per_frame = 0.4
    page.locator("#generate").click()
    expect(page.locator("#status [role=progressbar]")).to_be_visible(timeout=SLOW)
    expect(page.locator("#status")).to_contain_text("Frame", timeout=SLOW)
    expect(page.locator("#generate")).to_be_disabled()
    page.locator("#cancel").click()
    expect(page.locator("#status")).to_contain_text("Cancelled", timeout=SLOW)
    for _ in range(40):
        if not server.engine.running:
            break
        page.wait_for_timeout(100)
    assert server.engine.running == 0
    server.engine.seconds_per_frame = 0.0
    page.locator("#generate").click()
    expect(page.locator("#video video")).to_be_visible(timeout=SLOW)
    assert server.engine.most_running == 1


def test_closing_the_tab_stops_the_work(visit, server):
    page = visit()
    give_photo_and_voice(page, server.media)
    server.engine.seconds_per_frame = 1.5
    page.locator("#generate").click()
    expect(page.locator("#status")).to_contain_text("Frame", timeout=SLOW)
    page.close()
    end = time.monotonic() + 15
    while server.engine.running and time.monotonic() < end:
        time.sleep(0.1)
    assert server.engine.running == 0


def test_example_recipe_reset_and_link(visit, server, tmp_path):
    page = visit()
    page.locator("#examples button, #examples .gallery-item").nth(1).click()
    expect(page.locator("#preview img")).to_be_visible(timeout=SLOW)
    open_tab(page, "Expression")
    expect(number(page, "expression-happy")).to_have_value("0.7")
    page.get_by_role("button", name="Link to these settings").click()
    link = page.locator(".link textarea, .link input").first
    expect(link).to_have_value(re.compile(re.escape(server.url) + r"/\?.*expression\.happy=0\.7"), timeout=SLOW)
    address = link.input_value()
    page.get_by_role("button", name="Reset all controls").click()
    expect(number(page, "expression-happy")).to_have_value("0")
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"method": "rig", "controls": {"values": {"pose.roll": -7}}}')
    page.locator("input[type=file][accept='.json']").set_input_files(str(recipe))
    open_tab(page, "Head pose")
    expect(number(page, "pose-roll")).to_have_value("-7", timeout=SLOW)

    again = visit(query=address.removeprefix(server.url + "/") + "&pose.yaw=9999")
    open_tab(again, "Expression")
    expect(number(again, "expression-happy")).to_have_value("0.7", timeout=SLOW)
    open_tab(again, "Head pose")
    expect(number(again, "pose-yaw")).to_have_value("45")


def test_phone(visit, server, tmp_path):
    page = visit(PHONE)
    give_photo_and_voice(page, server.media)
    width = page.evaluate("document.documentElement.scrollWidth")
    # gradio measures its tabs in a hidden element
    too_wide = page.evaluate(
        "() => [...document.querySelectorAll('.workbench *')].filter(e => e.offsetParent"
        " && getComputedStyle(e).position !== 'absolute' && !e.closest('.visually-hidden')"
        " && e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.className)"
    )
    assert width == PHONE["width"] and not too_wide
    page.get_by_role("button", name="More tabs").click()  # not all of them fit
    page.get_by_role("button", name="Blink", exact=True).last.click()
    page.locator("#field-blink-openness input[type=range]").scroll_into_view_if_needed()
    still = page.locator("#preview").bounding_box()
    button = page.locator("#generate").bounding_box()
    assert still["y"] >= -1 and button["y"] + button["height"] <= PHONE["height"] + 1  # both stay in sight of a slider
    page.screenshot(path=str(tmp_path / "phone.png"))
    assert (tmp_path / "phone.png").stat().st_size > 10_000


def test_a_voice_can_be_recorded(visit, server):
    page = visit()
    upload(page, "photo", server.media / "portrait_1.png")
    sound = page.locator("#audio")
    sound.get_by_label("Record audio", exact=False).first.click()
    sound.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(1500)
    sound.get_by_role("button", name="Stop", exact=True).first.click()
    expect(sound.get_by_label(re.compile("play", re.I)).first).to_be_visible(timeout=SLOW)
    page.locator("#generate").click()
    expect(page.locator("#video video")).to_be_visible(timeout=SLOW)
    request = [request for verb, request in server.engine.calls if verb == "render"][-1]
    assert 1.0 < server.engine.seconds(request) < 4.0


def test_a_photo_from_the_camera_and_from_the_clipboard(visit, server):
    page = visit()
    photo = page.locator("#photo")
    photo.get_by_label("Capture from camera").click()
    photo.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("() => document.querySelector('#photo video')?.videoWidth > 0")
    photo.get_by_label("capture photo").click()
    expect(page.locator("#preview img")).to_be_visible(timeout=SLOW)
    page = visit()
    page.evaluate(COPY_PICTURE)
    page.locator("#photo").get_by_label("Paste from clipboard").click()
    expect(page.locator("#preview img")).to_be_visible(timeout=SLOW)
    assert len({request.photo for _, request in server.engine.calls}) == 2


def test_the_views_of_the_footer_open(visit):
    page = visit()
    page.get_by_role("button", name="Use via API").click()
    expect(page.get_by_text("API documentation")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("expression_to=None").first).to_be_visible(timeout=SLOW)
    page = visit()
    page.locator("footer .settings").first.click()
    expect(page.get_by_text("Display Theme")).to_be_visible(timeout=SLOW)


def test_a_fault_of_thgen_is_told_and_the_next_run_works(visit, server):
    page = visit()
    give_photo_and_voice(page, server.media)
    server.engine.fault = ZeroDivisionError("a secret of the server")
    page.locator("#generate").click()
    expect(page.locator("#status")).to_contain_text("Something went wrong inside thgen (code", timeout=SLOW)
    expect(page.locator("#generate")).to_be_enabled(timeout=SLOW)
    expect(page.locator("#cancel")).to_be_disabled()
    assert "secret" not in page.content()
    server.engine.fault = None
    page.locator("#generate").click()
    expect(page.locator("#video video")).to_be_visible(timeout=SLOW)


def test_an_upload_that_is_gone_is_asked_for_again(visit, server):
    """A visitor returns after the hour after which uploads are deleted."""
    page = visit()
    give_photo_and_voice(page, server.media)
    server.engine.calls[-1][1].photo.unlink()
    page.locator("#generate").click()
    expect(page.get_by_text("The photo is not a file that was uploaded to this server")).to_be_visible(timeout=SLOW)
    expect(page.locator("#generate")).to_be_enabled(timeout=SLOW)
    expect(page.locator("#status")).to_be_hidden()
