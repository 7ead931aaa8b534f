"""A performer: one identity with hair, shoulders and a look. A `State` poses it into a mesh for the renderer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from thgen.compact.keypoint_rig import NECK
from thgen.nn.coefficients import gaze_shapes
from thgen.nn.geometry import rotation_matrix
from thgen.nn.sampling import smoothstep
from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS, GAZE_COEFFICIENTS
from thgen.synth.head import facekit as fk
from thgen.synth.head.proportions import sample_proportions
from thgen.synth.looks.appearance import Look, sample_look
from thgen.synth.looks.hair import Piece, grid_faces, sample_hair
from thgen.synth.looks.mouth import sample_mouth
from thgen.synth.looks.props import sample_props
from thgen.synth.looks.wear import sample_wear
from thgen.synth.render.raster import vertex_normals

PIVOT = np.array([0.0, -5.0, -2.0], np.float32)  # cm: top of the neck, the centre of head rotation
UNDER_JAW = 0.4  # cm: the neck begins this far below the line of the jaw
BARE = 0.25  # share of performers with bare shoulders
SHIRT_FOLLOWS = 0.2  # motion of the shirt, as a share of the motion of the skin below it
LID_CONTACT = 0.10  # cm: distance of the lid landmarks when the lids touch
BLINK_CLOSED = 1.12  # weight of the blink shapes at which the lids of every performer touch


@dataclass(frozen=True)
class State:
    """Pose and expression of one frame. Signs as in thgen.schema.

    coefficients [57]; the gaze shapes among them are ignored, since `gaze` gives them. pose [6]: yaw, pitch, roll in
    degrees and shift x, y, z in cm (y up, z towards the viewer). gaze [2 2] in degrees: left and right eye of the
    subject; yaw, pitch.
    """

    coefficients: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray

    @staticmethod
    def neutral() -> State:
        """The state in which all values are 0."""
        return State(np.zeros(len(COEFFICIENTS), np.float32), np.zeros(6, np.float32), np.zeros((2, 2), np.float32))

    def full_coefficients(self) -> np.ndarray:
        """Coefficients [57] with the gaze shapes of the gaze angles."""
        derived = gaze_shapes(torch.from_numpy(self.gaze.astype(np.float32))[None])[0].numpy()
        gaze = [COEFFICIENT_INDEX[n] for n in GAZE_COEFFICIENTS]
        out = self.coefficients.astype(np.float32).copy()
        out[gaze] = derived[gaze]
        return out


def head_rotation(pose: np.ndarray) -> np.ndarray:
    """Rotation [3 3] of a pose [>= 3] that begins with yaw, pitch, roll in degrees."""
    return rotation_matrix(torch.as_tensor(np.asarray(pose[:3], np.float32))).numpy()


def neck_weight(height: np.ndarray) -> np.ndarray:
    """How much points at these heights [n] in cm follow the head, float32 [n]: 0 (shoulders) to 1 (head)."""
    return smoothstep(torch.as_tensor(height), *NECK).numpy().astype(np.float32)


def _outward(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Triangles [m 3] in the order of corners that makes them face away from the centre of the mesh."""
    normal = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    out = (normal * (vertices[faces].mean(1) - vertices.mean(0))).sum() > 0
    return faces if out else faces[:, [0, 2, 1]]


def _torso(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [n 3] in cm and triangles [m 3] of random shoulders."""
    columns, rows = 48, 20
    u = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    v = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    x = rng.uniform(17, 24) * np.sign(np.cos(u)) * np.abs(np.cos(u)) ** 0.8 * np.cos(v) ** 0.7
    y = rng.uniform(-36, -31) + 14.5 * np.sin(v) + 0 * u
    z = -3 + 9 * np.sin(u) * np.cos(v) ** 0.7
    vertices = np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32)
    return vertices, _outward(vertices, grid_faces(rows, columns, True))


class Performer:
    """One synthetic person, a function of `seed`. spread: scale of its deviation from the mean head.

    Public attributes: plain and head [N 3] (neutral head before and after `proportions`), neutral [V 3] (all vertices),
    triangles [F 3], part [F] (classes of facekit.PART_NAMES), region [F] (as part, but with neck and body), two_sided
    [F], textured [F], triangle_uv [F 3 2], colour [V 3], gloss [V], look, proportions, eyeballs [n] (indices of their
    vertices), and mesh (the HeadMesh).
    The vertices of the head come first, so that indices of landmarks and keypoints are valid for all V vertices.
    """

    def __init__(self, mesh: fk.HeadMesh, seed: int, spread: float = 1.0):
        rng = np.random.default_rng(seed)
        self.mesh = mesh
        self.count = len(mesh.vertices)
        self.eyeballs = np.flatnonzero(np.isin(mesh.part, (fk.EYE_L, fk.EYE_R)))
        spread *= rng.uniform(1.2, 1.6) if rng.random() < 0.2 else 1.0  # some differ strongly from the mean
        weights = rng.standard_normal(len(mesh.identity)).astype(np.float32) * spread
        head = mesh.vertices + np.tensordot(weights, mesh.identity, 1)
        self.plain = (head - head[mesh.landmarks].mean(0) * np.array([1, 0, 0], np.float32)).astype(np.float32)
        self.look: Look = sample_look(rng, mesh.landmark_uv)
        # Separate generators: their draws do not change the rest of this performer.
        collar, cloth, teeth = rng.spawn(3)
        self._mouth = sample_mouth(teeth, self.look.teeth)
        self._mouth.move(self.plain, mesh)
        self._eye_centre = np.stack([self._ball(label).mean(0) for label in (fk.EYE_L, fk.EYE_R)])
        self.proportions = sample_proportions(rng)
        self.head = self._proportioned(self.plain)
        self._assemble(rng, collar, cloth)
        self._lid_gap = self._gap(self.head)
        closing, self._shut_gap = self._closing()
        self._blink_gain = closing / BLINK_CLOSED

    def _proportioned(self, points: np.ndarray) -> np.ndarray:
        """Points [n 3] after the change of proportions."""
        return self.proportions.apply(points, self._eye_centre)

    def _ball(self, label: int) -> np.ndarray:
        """Bounding box of an eyeball, [2 3]: lowest and highest coordinates."""
        ball = self.plain[self.mesh.part == label]
        return np.stack([ball.min(0), ball.max(0)])

    def _assemble(self, rng: np.random.Generator, collar: np.random.Generator, shirt: np.random.Generator) -> None:
        """Join head, hair, clothes and props into one mesh, with colours and attributes."""
        mesh, head, look = self.mesh, self.head, self.look
        bald = rng.random() < 0.08
        worn, hidden = sample_wear(rng, head, head[mesh.landmarks])
        mask, self._shell = self._hairline(rng, bald)
        scalp = mask[mesh.triangles].all(1) & np.isin(mesh.part[mesh.triangles[:, 0]], (fk.FACE, fk.SKIN))
        if not bald and not hidden:
            worn = sample_hair(rng, head, look.hair, rng.random() < 0.5) + worn
        vertices, grid = _torso(rng)
        shell = look.hair * self._strands(rng, head + self._shell)[:, None]
        cloth = self._cloth(rng, vertices)
        pieces = [
            Piece(head, mesh.triangles, np.ones_like(head), look.gloss, two_sided=False),
            Piece(head + self._shell, mesh.triangles[scalp], shell, rng.uniform(0.02, 0.2), two_sided=False),
            *worn,
            *sample_props(rng, head[mesh.landmarks], look.skin),
            Piece(vertices, grid, cloth, 0.02, fk.BODY, two_sided=False, follow=0.0),
        ]
        first = np.cumsum([0, *(len(p.vertices) for p in pieces)])
        self.neutral = np.concatenate([p.vertices for p in pieces]).astype(np.float32)
        self.triangles = np.concatenate([p.faces + f for p, f in zip(pieces, first, strict=False)]).astype(np.int32)
        self.part = np.concatenate([np.full(len(p.faces), p.part) for p in pieces]).astype(np.int32)
        self.part[: len(mesh.triangles)] = mesh.part[mesh.triangles[:, 0]]
        self.region, clothed = self._with_neck(), self._clothed(collar)
        self.region[: len(mesh.triangles)][clothed[mesh.triangles].all(1)] = fk.BODY
        self.two_sided = np.concatenate([np.full(len(p.faces), p.two_sided) for p in pieces])
        self.textured = self.part == fk.FACE
        uv = np.zeros((len(self.triangles), 3, 2), np.float32)
        uv[: len(mesh.triangles)] = mesh.uv[mesh.triangle_uv]
        uv[..., 1] = 1 - uv[..., 1]
        self.triangle_uv = uv
        follow = np.concatenate([np.full(len(p.vertices), p.follow, np.float32) for p in pieces])
        follow[: self.count][clothed] = SHIRT_FOLLOWS
        self._follow = (follow * neck_weight(self.neutral[:, 1]))[:, None]
        colour = np.concatenate([p.colour for p in pieces])
        gloss = np.concatenate([np.full(len(p.vertices), p.gloss) for p in pieces])
        self._paint(rng, colour, gloss)
        self.colour[: self.count][clothed] = self._cloth(shirt, head[clothed], neckline=False)
        self.gloss[: self.count][clothed] = 0.02

    def _with_neck(self) -> np.ndarray:
        """Parts [F], with skin below the jaw as neck and skin below the neck as body."""
        jaw, height = self.head[self.mesh.landmarks[:17]], self.head[:, 1]
        line = (jaw[4:9] + jaw[12:7:-1]) / 2  # from the corner of the jaw to the chin, mean of both sides
        order = np.argsort(line[:, 2])
        below = height < np.interp(self.head[:, 2], line[order, 2], line[order, 1]) - UNDER_JAW
        region, corners = self.part.copy(), self.mesh.triangles
        skin = np.isin(region[: len(corners)], (fk.FACE, fk.SKIN))
        region[: len(corners)][skin & below[corners].all(1)] = fk.NECK
        region[: len(corners)][skin & (height < NECK[0])[corners].all(1)] = fk.BODY
        return region

    def _clothed(self, rng: np.random.Generator) -> np.ndarray:
        """Head vertices below the collar of a shirt, bool [N]. Bare shoulders: none."""
        x, y, z = self.head.T
        skin = np.isin(self.mesh.part, (fk.FACE, fk.SKIN))
        if rng.random() < BARE:
            return np.zeros(len(x), bool)
        chin = self.head[self.mesh.landmarks[8], 1]
        collar = chin - rng.uniform(0.8, 5.5) + 0.5 * np.maximum(np.abs(x) - 4.5, 0)  # higher at the shoulders
        depth, width = rng.uniform(0, 7) * rng.random(), rng.uniform(2.5, 6.0)
        open_front = depth * np.clip(1 - np.abs(x) / width, 0, 1) ** rng.uniform(0.5, 1.2) * (z > 0)
        return skin & (y < collar - open_front) & (y < chin - 1)

    def _hairline(self, rng: np.random.Generator, bald: bool) -> tuple[np.ndarray, np.ndarray]:
        """Head vertices with hair, bool [N], and the offset of the hair from the skin, [N 3] in cm."""
        v, mesh = self.head, self.mesh
        normals = vertex_normals(v, mesh.triangles)
        x, y, z = v.T
        front = (
            rng.uniform(6.6, 9.6)
            + 0.6 * np.sin(x * 0.9 + rng.uniform(0, 6))
            + 0.25 * np.sin(x * 2.7 + rng.uniform(0, 6))
        )
        side, back = rng.uniform(-3, 3), -9 * rng.random() ** 0.5 - 2
        temple = front + (side - front) * np.clip((4.5 - z) / 5.5, 0, 1)
        nape = side + (back - side) * np.clip((-1 - z) / 3, 0, 1)
        line = np.where(z > 4.5, front, np.where(z > -1, temple, nape))
        ear = (np.abs(x) > 7.2) & (y < 4.5) & (z > -3) & (z < 3)
        mask = np.isin(mesh.part, (fk.FACE, fk.SKIN)) & (y > line) & ~ear & (not bald)
        thick, phase = rng.uniform(0.25, 2.2), rng.uniform(0, 6, 3)
        bumps = 1 + 0.35 * np.sin(x * 1.1 + phase[0]) * np.sin(z * 0.9 + phase[1]) + 0.2 * np.sin(y * 2 + phase[2])
        fade = np.clip((y - line) / 1.5, 0.12, 1)
        return mask, (normals * (thick * bumps * fade)[:, None]).astype(np.float32)

    def _paint(self, rng: np.random.Generator, colour: np.ndarray, gloss: np.ndarray) -> None:
        """Set the public colours and gloss: `colour` [V 3] and `gloss` [V] with the parts of the head filled in."""
        mesh, look, n = self.mesh, self.look, self.count
        part = mesh.part
        # The texture is relative to the skin colour, so that no edge shows between face and neck.
        colour[:n][np.isin(part, (fk.FACE, fk.SKIN))] = look.skin
        self._mouth.paint(colour[:n], part, self.head[mesh.landmarks[60:68], 2].mean() - self.head[:, 2])
        gloss[:n][np.isin(part, (fk.MOUTH, fk.GUMS, fk.TEETH))] *= 0.6
        colour[:n][part == fk.SOCKET] = look.skin * np.array([0.7, 0.5, 0.5])
        for label in (fk.EYE_L, fk.EYE_R):
            colour[:n][part == label] = self._eye_colours(rng, part == label)
            gloss[:n][part == label] = rng.uniform(0.5, 1.6)
        self.colour, self.gloss = np.clip(colour, 0, 1.2).astype(np.float32), gloss.astype(np.float32)

    def _eye_colours(self, rng: np.random.Generator, ball: np.ndarray) -> np.ndarray:
        """Colours [n 3] of the vertices of an eyeball (mask [N]): white, iris with a dark rim, pupil."""
        angle = self.mesh.eye_angle[ball]
        white = np.array([0.88, 0.86, 0.84]) * np.array([1, *rng.uniform(0.93, 1, 2)])
        c = np.ones((len(angle), 3), np.float32) * white
        radius = rng.uniform(0.46, 0.53)
        pupil = rng.uniform(0.16, 0.27)
        iris = angle < radius
        ring = 0.65 + 0.6 * np.clip((angle - pupil) / (radius - pupil), 0, 1)
        c[iris] = (self.look.iris * ring[:, None])[iris]
        c[(angle > radius - 0.06) & (angle < radius + 0.03)] *= 0.5
        c[angle < pupil] = 0.015
        return c

    def _cloth(self, rng: np.random.Generator, points: np.ndarray, neckline: bool = True) -> np.ndarray:
        """Colours [n 3] of clothes at points [n 3]: plain, striped or blotched, some with a neckline of skin."""
        look = self.look
        wave = np.sin(points[:, 1] * rng.uniform(0.3, 3) + rng.uniform(0, 6))
        if rng.random() < 0.4:
            wave = wave * np.sin(points[:, 0] * rng.uniform(0.3, 2.5) + rng.uniform(0, 6))
        second = wave > rng.uniform(0.2, 2)
        cloth = np.where(second[:, None], look.cloth_second, look.cloth)
        if neckline and rng.random() < 0.4:
            depth, width = rng.uniform(-24, -19), rng.uniform(4, 11)
            bare = (points[:, 1] > depth + (points[:, 0] / width) ** 2 * 4) & (points[:, 2] > 0)
            cloth = np.where(bare[:, None], look.skin, cloth)
        return cloth * np.clip(1 + 0.08 * rng.standard_normal((len(points), 1)), 0.5, 1.5)

    @staticmethod
    def _strands(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
        """Brightness [n] of hair at points [n 3], with streaks that run down the head."""
        around = np.arctan2(points[:, 0], points[:, 2])
        streak = np.zeros(len(points), np.float32)
        for frequency in (9, 23, 51):
            streak += np.sin(around * frequency * rng.uniform(0.8, 1.2) + rng.uniform(0, 6) + 0.2 * points[:, 1])
        return np.clip(1 + rng.uniform(0.1, 0.3) * streak + 0.08 * rng.standard_normal(len(points)), 0.2, 2)

    def _gap(self, head: np.ndarray) -> np.ndarray:
        """Mean distance of the lid landmarks of a head [N 3], [2] (left, right) in cm."""
        return self._lid_gaps(head[self.mesh.landmarks])

    @staticmethod
    def _lid_gaps(p: np.ndarray) -> np.ndarray:
        """Mean distance of the lid landmarks among landmarks [68 3], [2] (left, right) in cm."""
        pairs = (((43, 47), (44, 46)), ((37, 41), (38, 40)))
        return np.array([np.mean([np.linalg.norm(p[a] - p[b]) for a, b in eye]) for eye in pairs], np.float32)

    def _closing(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight of the blink shape at which the lids touch, and the lid gap there in cm; [2] each (left, right).

        Large eyes need a larger weight.
        """
        lids, blink = self.mesh.landmarks, [COEFFICIENT_INDEX[f"eyeBlink_{side}"] for side in "LR"]
        weights = np.arange(0.8, 2.0, 0.02, dtype=np.float32)
        both = self.mesh.expression[blink[0]][lids] + self.mesh.expression[blink[1]][lids]
        points = self.plain[lids] + weights[:, None, None] * both
        gaps = np.stack([self._lid_gaps(self._proportioned(p)) for p in points])
        shut = gaps <= LID_CONTACT
        # If a lid never gets that close, take the weight with the smallest gap.
        first = np.where(shut.any(0), shut.argmax(0), gaps.argmin(0))
        return weights[first], gaps[first, [0, 1]]

    def shape(self, state: State) -> np.ndarray:
        """Head vertices [N 3] with expression and gaze, without head pose."""
        mesh = self.mesh
        full = state.full_coefficients()
        used = np.flatnonzero(np.abs(full) > 1e-5)
        head = self.plain.copy()
        for name, gain in zip(("eyeBlink_L", "eyeBlink_R"), self._blink_gain, strict=True):
            full[COEFFICIENT_INDEX[name]] *= gain
        for i in used:
            head += full[i] * mesh.expression[i]
        for side, label in enumerate((fk.EYE_L, fk.EYE_R)):
            ball = mesh.part == label
            turn = head_rotation(np.array([state.gaze[side, 0], state.gaze[side, 1], 0]))
            centre = self._eye_centre[side]
            head[ball] = (self.plain[ball] - centre) @ turn.T + centre
        return self._proportioned(head)

    def openness(self, head: np.ndarray) -> np.ndarray:
        """Eye openness [2] in % of the neutral eye (left, right). head [N 3]: result of `shape`."""
        gap = (self._gap(head) - self._shut_gap) / (self._lid_gap - self._shut_gap)
        return (100 * np.clip(gap, 0, 1.5)).astype(np.float32)

    def pose(self, state: State, head: np.ndarray) -> np.ndarray:
        """All vertices [V 3] with head pose, in cm. head [N 3]: result of `shape`."""
        vertices = self.neutral.copy()
        n = self.count
        vertices[:n] = head
        vertices[n : 2 * n] = head + self._shell
        turn = head_rotation(state.pose)
        moved = (vertices - PIVOT) @ turn.T + PIVOT
        vertices = vertices + self._follow * (moved - vertices)
        return (vertices + state.pose[3:].astype(np.float32)).astype(np.float32)
