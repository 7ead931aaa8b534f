"""Makes portrait_1..3.png and driving_1.mp4: rendered people, none of them real. Needs the FaceKit head."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from thgen.facs import coefficients_of
from thgen.io.mp4 import write_mp4
from thgen.io.photo import write_png
from thgen.schema import FPS, SAMPLES_PER_FRAME
from thgen.synth.clip import head_mesh
from thgen.synth.head.performer import Performer, State
from thgen.synth.motion import track_states
from thgen.synth.render.renderer import Camera, frame_window, render

HERE = Path(__file__).parent
# identity, pose (yaw, pitch, roll), action units, colours of the studio wall from top to bottom
PORTRAITS = (
    (9_000_008, (4, 0, -1), {}, ((0.62, 0.60, 0.56), (0.42, 0.40, 0.37))),
    (9_000_012, (-6, 1, 2), {12: 0.8}, ((0.33, 0.38, 0.40), (0.20, 0.23, 0.25))),
    (9_000_026, (0, 2, 0), {12: 1.2, 6: 0.5}, ((0.45, 0.33, 0.24), (0.22, 0.15, 0.11))),
)
DRIVER, DRIVER_SECONDS, DRIVER_SEED = 9_000_001, 6, 11


def wall(top, bottom, size: int = 384) -> np.ndarray:
    """A softly lit studio wall, float32 [size size 3]."""
    ramp = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    side = np.linspace(-1, 1, size, dtype=np.float32)[None, :, None]
    return ((1 - ramp) * np.array(top, np.float32) + ramp * np.array(bottom, np.float32)) * (1 - 0.25 * side**2)


def performer(identity: int, top, bottom) -> Performer:
    person = Performer(head_mesh("facekit"), identity, spread=0.8)
    person.look = replace(person.look, background=wall(top, bottom))
    return person


def portrait(number: int, identity: int, pose, units: dict, walls) -> None:
    person = performer(identity, *walls)
    neutral = State.neutral()
    state = State(coefficients_of(units), np.array([*pose, 0, 0, 0], np.float32), neutral.gaze)
    camera = frame_window(person, Camera(2.6, 88.0, -2.0), state, 2.7, 0.02)
    image = render(person, state, camera, 960).image[:, 96:-96]
    write_png(HERE / f"portrait_{number}.png", np.ascontiguousarray(image))


def driving_clip() -> None:
    person = performer(DRIVER, (0.5, 0.5, 0.52), (0.3, 0.3, 0.32))
    states, speech, emotions = track_states(np.random.default_rng(DRIVER_SEED), DRIVER_SECONDS * FPS)
    camera = frame_window(person, Camera(2.6, 88.0, -2.0), State.neutral(), 2.5, 0.04)
    samples = speech.samples[: len(states) * SAMPLES_PER_FRAME]
    frames = (render(person, state, camera, 512).image for state in states)
    comment = "rendered by thgen; no real person"
    write_mp4(HERE / "driving_1.mp4", frames, (512, 512), len(states), samples, comment)
    print("driving_1.mp4 emotions:", emotions)


if __name__ == "__main__":
    for number, row in enumerate(PORTRAITS, start=1):
        portrait(number, *row)
    driving_clip()
