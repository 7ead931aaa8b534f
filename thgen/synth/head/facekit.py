"""The head mesh of the renderer: ICT FaceKit Light (MIT licence; not in this repository), read into a `HeadMesh`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from thgen.errors import AssetError
from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS, SEGMENTS

FILE_NAME = "ict_facekit_light.npz"
DEFAULT_FOLDER = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "facekit"

# Parts of a performer, and classes of the rendered segmentation. 0 is the background.
BACKGROUND, FACE, SKIN, MOUTH, SOCKET, GUMS, TEETH, EYE_L, EYE_R, HAIR, BODY, WEAR, NECK = range(13)
PART_NAMES = ("background", "face", "skin", "mouth", "eye socket", "gums and tongue", "teeth", "left eye",
              "right eye", "hair", "body", "wear", "neck")  # fmt: skip
SEGMENT_OF_PART = np.array([SEGMENTS.index(name) for name in (
    "background", "face", "head", "mouth", "eyes", "mouth", "mouth", "eyes", "eyes", "hair", "body", "worn", "neck",
)])  # fmt: skip

# cm: teeth that jawOpen moves by less than this are upper teeth. In FaceKit the motion is below 0.01 or above 1.
JAW_STILL = 0.1
# (one past the last vertex, part), in the order of the file. Lacrimal fluid, blends, occlusion and lashes follow.
_RANGES = ((9409, FACE), (11248, SKIN), (13294, MOUTH), (14062, SOCKET), (17039, GUMS), (21451, TEETH),
           (23021, EYE_L), (24591, EYE_R))  # fmt: skip

LANDMARKS = np.array([
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268, 493, 1914,
    2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360, 1507, 1542, 1537,
    1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518,
    5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
])  # fmt: skip


@dataclass(frozen=True)
class HeadMesh:
    """A morphable head. Lengths in cm; x to the right of the image, y up, z towards the viewer.

    vertices [N 3]. uv [U 2]: texture positions in the face tile, v up. triangles, triangle_uv [F 3]: indices into
    vertices and uv. identity [I N 3]: offsets of one standard deviation. expression [57 N 3]: offsets at weight 1, in
    the order of schema.COEFFICIENTS. part [N]: see PART_NAMES. landmarks [68]: vertex indices (Multi-PIE).
    eye_centre [2 3]: left, right of the subject. eye_angle [N]: angle from the axis of the eye in radians; 0 elsewhere.
    """

    vertices: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    triangle_uv: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    part: np.ndarray
    landmarks: np.ndarray
    eye_centre: np.ndarray
    eye_angle: np.ndarray

    @property
    def landmark_uv(self) -> np.ndarray:
        """Texture positions of the landmarks, [68 2], v down as the rows of the texture."""
        first = np.full(len(self.vertices), -1)
        face = self.part[self.triangles[:, 0]] == FACE
        first[self.triangles[face].ravel()] = self.triangle_uv[face].ravel()
        uv = self.uv[first[self.landmarks]].copy()
        uv[:, 1] = 1 - uv[:, 1]
        return uv

    @property
    def upper_teeth(self) -> np.ndarray:
        """Vertices of teeth and gums that jawOpen does not move, bool [N]: those of the upper jaw."""
        moved = np.linalg.norm(self.expression[COEFFICIENT_INDEX["jawOpen"]], axis=1) > JAW_STILL
        return np.isin(self.part, (TEETH, GUMS)) & ~moved


def facekit_path() -> Path:
    """Path of the head file: THGEN_FACEKIT (the file or its folder), or ../shared/data/facekit. Raises AssetError."""
    place = Path(os.environ.get("THGEN_FACEKIT") or DEFAULT_FOLDER)
    path = place / FILE_NAME if place.suffix != ".npz" else place
    if not path.is_file():
        raise AssetError(
            f"The FaceKit head is not at {path}: download ICT FaceKit Light (https://github.com/ICT-VGL/ICT-FaceKit, "
            "commit da5f95a, MIT), convert it with `python -m thgen.synth.head.facekit_convert ICT-FaceKit/FaceXModel "
            f"{FILE_NAME}`, and set THGEN_FACEKIT to that file."
        )
    return path


def eye_geometry(vertices: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres [2 3] of the eyeballs (left, right), and angles [N] of their vertices from the forward axis, radians."""
    centres, angle = np.zeros((2, 3), np.float32), np.zeros(len(vertices), np.float32)
    for side, label in enumerate((EYE_L, EYE_R)):
        ball = part == label
        centres[side] = (vertices[ball].min(0) + vertices[ball].max(0)) / 2
        ray = vertices[ball] - centres[side]
        angle[ball] = np.arccos(np.clip(ray[:, 2] / np.linalg.norm(ray, axis=1), -1, 1))
    return centres, angle


def load_facekit() -> HeadMesh:
    """The FaceKit head without lacrimal fluid, blends, occlusion and lashes. Raises AssetError."""
    return _load(facekit_path())


@lru_cache(maxsize=1)
def _load(path: Path) -> HeadMesh:
    with np.load(path, allow_pickle=False) as file:
        names = tuple(str(n) for n in file["expression_names"])
        if names != COEFFICIENTS:
            raise AssetError("This FaceKit file holds other expression shapes than thgen knows: convert it again.")
        count = _RANGES[-1][0]
        vertices = file["v"][:count].astype(np.float32)
        triangles, triangle_uv = file["tri"], file["tri_uv"]
        kept = (triangles < count).all(1)
        part = np.zeros(count, np.int32)
        start = 0
        for end, label in _RANGES:
            part[start:end] = label
            start = end
        centres, angle = eye_geometry(vertices, part)
        expression = file["expression"][:, :count].astype(np.float32)
        # Eyeballs rotate by the gaze angles, not by shapes.
        expression[:, (part == EYE_L) | (part == EYE_R)] = 0
        return HeadMesh(
            vertices, file["uv"], triangles[kept].astype(np.int32), triangle_uv[kept].astype(np.int32),
            file["identity"][:, :count].astype(np.float32), expression, part, LANDMARKS, centres, angle,
        )  # fmt: skip
