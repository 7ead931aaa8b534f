"""Clips with ground truth, and shards of clips on disk (WebDataset tar files: JPEG frames and one npz per clip)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import soundfile
import torch

from thgen.errors import AssetError
from thgen.io.mp4 import recompress
from thgen.schema import FPS, SAMPLE_RATE
from thgen.synth.head.ellipsoid import ellipsoid_head
from thgen.synth.head.facekit import HeadMesh, load_facekit
from thgen.synth.head.keypoints import KeypointLayout, build_layout
from thgen.synth.head.performer import Performer, State, neck_weight
from thgen.synth.render.imaging import Style, develop, sample_style
from thgen.synth.render.renderer import SUPERSAMPLE, Camera, Frame, flow_between, frame_window, render
from thgen.synth.render.renderer_torch import render_batch

FLOW_SCALE = 8192.0  # int16 units per half-width in stored flow; its range is +-4 half-widths
JPEG_QUALITY = 96
BATCH = 16  # frames that a torch device renders together


@dataclass(frozen=True)
class ClipTruth:
    """T frames of one performer in one fixed crop, with ground truth. Frame 0 is the reference of the flow.

    Units as in thgen.schema. frames uint8 [T S S 3]; coefficients [T 57]; pose [T 6] degrees and cm; gaze [T 2 2]
    degrees; openness [T 2] %; keypoints [T K 3] crop coordinates, 68 landmarks first; flow [T F F 2] half-widths,
    backward, frame t -> frame 0; visible [T F F]: 1 where frame 0 shows the point; segmentation [T F F] classes of
    facekit.PART_NAMES; depth uint8 [T F F] in fifths of a cm behind the nearest point, 255 = background.
    """

    frames: np.ndarray
    coefficients: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    openness: np.ndarray
    keypoints: np.ndarray
    flow: np.ndarray
    visible: np.ndarray
    segmentation: np.ndarray
    depth: np.ndarray


def keypoints_of(frame: Frame, layout: KeypointLayout, camera: Camera) -> np.ndarray:
    """Keypoints [K 3] in crop coordinates. z has the same scale and is 0 at the mean depth of the 68 landmarks."""
    buffer = frame.face.shape[0]
    points = frame.points[layout.index].astype(np.float64)
    centre = points[:68, 2].mean()
    scale = 2 * camera.focal / (camera.window[2] * centre)  # crop half-widths per cm at that depth
    out = np.concatenate([points[:, :2] / buffer * 2 - 1, (points[:, 2:] - centre) * scale], 1)
    return out.astype(np.float32)


def sample_camera(rng: np.random.Generator, performer: Performer, reference: State) -> Camera:
    """A random camera, from selfie to telephoto. It frames the reference like the crop of a photo, slightly shifted."""
    focal = float(np.exp(rng.uniform(np.log(1.1), np.log(4.0))))
    base = Camera(focal, focal * float(rng.uniform(31, 36)), float(rng.uniform(-4, 0)))
    camera = frame_window(performer, base, reference, float(rng.uniform(1.75, 2.35)), 0.08)
    left, top, side = camera.window
    shift = rng.normal(0, 0.025, 2) * side
    return Camera(base.focal, base.distance, base.height, (left + float(shift[0]), top + float(shift[1]), side))


def render_clip(
    performer: Performer, states: list[State], camera: Camera, layout: KeypointLayout, size: int, flow_size: int,
    style: Style, rng: np.random.Generator, device: str = "cpu",
) -> ClipTruth:  # fmt: skip
    """Render the states in one crop and one image style. states[0] is the reference of the flow.

    size, flow_size: sides S and F of ClipTruth in px; S must be a multiple of F. rng: draws the noise of the frames.
    device: "cpu" (numba) or a torch device.
    """
    rows: dict[str, list] = {name: [] for name in ClipTruth.__dataclass_fields__}
    reference: Frame | None = None
    step = size * SUPERSAMPLE // flow_size
    for frame in _frames(performer, states, camera, size, device):
        reference, state = reference or frame, frame.state
        flow, visible = flow_between(performer, frame, reference, flow_size)
        depth = frame.depth[step // 2 :: step, step // 2 :: step]
        near = np.clip((depth - depth.min()) * 5, 0, 254)  # fifths of a centimetre
        rows["frames"].append(develop(frame.image, style, rng))
        rows["coefficients"].append(state.full_coefficients())
        rows["pose"].append(state.pose)
        rows["gaze"].append(state.gaze)
        rows["openness"].append(frame.openness)
        rows["keypoints"].append(keypoints_of(frame, layout, camera))
        rows["flow"].append(flow)
        rows["visible"].append(visible)
        rows["segmentation"].append(frame.segmentation(performer)[:: size // flow_size, :: size // flow_size])
        rows["depth"].append(np.where(depth < 1e8, near, 255).astype(np.uint8))
    truth = {name: np.stack(values) for name, values in rows.items()}
    if style.crf:
        truth["frames"] = recompress(truth["frames"], style.crf)
    return ClipTruth(**truth)


def _frames(performer: Performer, states: list[State], camera: Camera, size: int, device: str) -> Iterator[Frame]:
    """Rendered frames: one by one with numba on the CPU, BATCH at a time with torch on other devices."""
    if device == "cpu":
        yield from (render(performer, state, camera, size) for state in states)
        return
    for first in range(0, len(states), BATCH):
        yield from render_batch(performer, states[first : first + BATCH], camera, size, torch.device(device))


HEADS: dict[str, Callable[[], HeadMesh]] = {"facekit": load_facekit, "ellipsoid": ellipsoid_head}


def head_mesh(name: str) -> HeadMesh:
    """A head by name (key of HEADS). Raises AssetError for an unknown name or a missing file."""
    if name not in HEADS:
        raise AssetError(f"There is no head {name!r}; choose one of: {', '.join(HEADS)}.")
    return HEADS[name]()


class ClipSource:
    """Deterministic clips: the result of `clip` depends on its arguments alone.

    size, flow_size: sides of frames and flow in px. spread: scale of the identity's deviation from the mean head.
    imaging: apply a random image style (camera, compression, painting) to the rendered frames. device: "cpu" (numba) or
    a torch device, which rasterises the frames of a clip together.
    """

    def __init__(
        self, mesh: HeadMesh, size: int, flow_size: int, spread: float = 1.0, imaging: bool = True, device: str = "cpu"
    ):
        self.mesh, self.size, self.flow_size, self.spread, self.imaging = mesh, size, flow_size, spread, imaging
        self.device = device
        self.layout = build_layout(mesh, neck_weight)

    def performer(self, identity: int) -> Performer:
        """The performer of seed `identity`."""
        return Performer(self.mesh, identity, self.spread)

    def clip(self, performer: Performer, states: list[State], rng: np.random.Generator) -> ClipTruth:
        """Render the states. `rng` draws camera, image style and noise."""
        camera = sample_camera(rng, performer, states[0])
        style = sample_style(rng) if self.imaging else Style()
        return render_clip(performer, states, camera, self.layout, self.size, self.flow_size, style, rng, self.device)


def encode_clip(key: str, clip: ClipTruth, meta: dict, samples: np.ndarray | None = None) -> dict:
    """A clip as one WebDataset sample: frames as JPEG 4:4:4, ground truth as one compressed npz, the voice as FLAC.

    meta: entries of the sample's JSON. samples: float32 [L], 16 kHz mono; None for a silent clip.
    """
    sample: dict = {"__key__": key, "json": {"fps": FPS, **meta}}
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    for t, image in enumerate(clip.frames):
        sample[f"{t:04d}.jpg"] = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)[1].tobytes()
    if samples is not None:
        sound = io.BytesIO()
        soundfile.write(sound, samples, SAMPLE_RATE, format="FLAC")
        sample["flac"] = sound.getvalue()
    buffer = io.BytesIO()
    flow = np.clip(np.round(clip.flow * FLOW_SCALE), -32767, 32767).astype(np.int16)
    np.savez_compressed(
        buffer, coefficients=clip.coefficients, pose=clip.pose, gaze=clip.gaze, openness=clip.openness,
        keypoints=clip.keypoints, flow=flow, visible=np.packbits(clip.visible.astype(bool), axis=-1),
        segmentation=clip.segmentation, depth=clip.depth,
    )  # fmt: skip
    sample["truth.npz"] = buffer.getvalue()
    return sample


def decode_truth(data: bytes, names: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
    """Arrays of the npz of `encode_clip`, in the units of ClipTruth. names: the arrays to read; None: all."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        truth = {name: file[name] for name in names or file.files}
    if "flow" in truth:
        truth["flow"] = truth["flow"].astype(np.float32) / FLOW_SCALE
    if "visible" in truth:
        truth["visible"] = np.unpackbits(truth["visible"], axis=-1)
    return truth


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder in order."""
    return sorted(Path(folder).glob("shard-*.tar"))


def iterate_samples(folder: Path) -> Iterator[dict]:
    """Every sample of every shard in order, as bytes per file extension."""
    import webdataset as wds

    for path in shard_paths(folder):
        yield from wds.WebDataset(str(path), shardshuffle=False, empty_check=False)
