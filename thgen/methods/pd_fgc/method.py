"""PD-FGC: Progressive Disentangled Representation Learning for Fine-Grained Controllable Talking Head Synthesis
(Wang, Deng, Yin, Shum, Wang; CVPR 2023). Top to bottom as in the paper; each equation under its number.

    appearance  E_app(photo)                                 2048 and a map        nn.resnext.Appearance
    motion      E_mot(frame) -> unified feature              512                   nn.fan.Motion
    lip         E_lip(feature), E_aud(voice)                 500    eq. 2, 3       nn.resnet_se.AudioLip
    eye         E_eye(feature): blink and gaze               6      eq. 4
    pose        E_pose(feature)                              6      eq. 5
    expression  E_exp(feature)                               30     eq. 6, 7, 8
    picture     G([appearance | lip | expression | eye | pose])                    nn.stylegan2.StyleGenerator

Deviations from the paper, with the reason. "Code" is what the authors released; its weights depend on it.
 1. Appearance is ResNeXt-50 32x4d, not ResNet-50, and G starts from its 512 x 7 x 7 map (code).
 2. G takes the latent directly; its mapping network and learned constant are never called (code).
 3. The voice's window lies 35 ms early (code); a frame is made for every 40 ms, where the code loses the first two.
 4. Of the eye's six numbers 0, 1, 4, 5 are blink and 2, 3 gaze (code; the paper never splits them). In our own training
    the split is learned from mirrored eyes: see methods.pd_fgc.stages.Eye.
 5. Gains 1.5, 1.2, 1.2 of lip, expression and eye belong to the released weights (code); ours have 1, 1, 1.2, and 1.8
    for lips of a voice: what it explains in part is drawn too small. By unseen renders (docs/measured.md).
 6. Noise maps are drawn once and kept (code keeps them for a run; without it frames flicker).
 7. Eq. 2, 3, 4: cosines are divided by a temperature, 0.1; at the printed 1 the loss of eq. 2 cannot fall below 0.73.
 8. Eq. 6 is printed for two matrices of one width; lip has 500 entries and expression 30, so all pairs count.
 9. Eq. 5: Euler angles in radians, place in half-widths, logarithm of scale, each divided by POSE_SPREAD: the paper's
    3-D prior has another parametrisation, and no normalisation is published. The six released numbers are opaque.
10. Weights of the losses are not printed: those of the configs are ours.
11. Compact preset: small backbones at 128 px, of which E_mot sees eyes, mouth and brows enlarged beside the face
    (compact.mosaic); a motion head and the shared flow generator stand in G's place, so the photo's pixels are kept.
    Most training compares keypoints, each group beside its neighbours, and wants the least coefficients that explain
    them (compact.frozen_generator, plain); pictures come in at the end.
12. Lips of a clip pass through the voice's embedding: eq. 2 and 3 make both features one, the code never uses it so.
13. Rotation and scale of a clip's alignment come from its first frames, not from all: memory must not grow.
14. Compact preset: the zero of lip is the mouth of silence, that of eye and expression their mean over training clips.
15. Compact preset: in stage 3 pose and eyes must also stay when rows exchange their other latents
    (methods.pd_fgc.stages.Expression.steady): in reconstruction all latents are one frame's, so leaks cost nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from thgen.audio.mel import mel_spectrogram, mel_windows
from thgen.compact.flow.network import BASE
from thgen.compact.generator import BATCH, Guide, in_batches, movement, within_reach
from thgen.compact.keypoint_rig import Posed
from thgen.compact.mosaic import frames_of, mosaic
from thgen.compact.motion_head import MotionHead
from thgen.compact.slider_motion import own_factors, unit_movement
from thgen.face.crop import face_view
from thgen.losses.contrastive import cosine, info_nce
from thgen.losses.correlation import MemoryBank, correlations
from thgen.methods.base import UNITS, Decoded, Factors, Identity, Method
from thgen.methods.pd_fgc.align import SIDE, Aligner
from thgen.nn.fan import Motion
from thgen.nn.geometry import euler_angles
from thgen.nn.resnet_se import AudioLip
from thgen.nn.resnext import Appearance
from thgen.nn.stylegan2 import StyleGenerator
from thgen.weights import hub

TEMPERATURE = 0.1
# Degrees are taken in radians. Order: pitch, yaw, roll, x right, y up, log of scale; a spread of our renders each.
POSE_SPREAD = (0.2, 0.35, 0.17, 0.12, 0.12, 0.15)
BLINK, GAZE = (0, 1, 4, 5), (2, 3)  # entries of the eye's latent
WINDOW = 13  # frames over which the expression is averaged in training
BANK = 512  # latest latents that eq. 6 looks at

Features = Callable[[Tensor], Tensor]  # pictures [B 3 H W] in [-1, 1] -> features [B D]


# ---- 3.1 Appearance and motion disentanglement
def motion_reconstruction(made: Tensor, true: Tensor, motion: Features, emotion: Features) -> Tensor:
    """Eq. 1: || phi(I_0) - phi(I_g) ||_2 + || psi(I_0) - psi(I_g) ||_2, mean over the batch.

    made I_0, true I_g: pictures [B 3 H W]; motion phi, emotion psi: features of the prior.
    """
    return sum((f(made) - f(true).detach()).norm(dim=1).mean() for f in (motion, emotion))  # type: ignore[return-value]


# ---- 3.2 Fine-grained motion disentanglement
def audio_to_video(audio: Tensor, video: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 2, L_a2v. audio, video [B K+1 D]: features f^a, f^v of K + 1 moments of one clip in the same order. Each
    moment's own pair is positive, the K others of the clip are its negatives."""
    near = cosine(audio[:, :, None], video[:, None])  # S(f_i^a, f_k^v)
    return _among_moments(near, temperature)


def video_to_audio(audio: Tensor, video: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 3, L_v2a: as eq. 2 with the roles exchanged."""
    near = cosine(video[:, :, None], audio[:, None])  # S(f_i^v, f_k^a)
    return _among_moments(near, temperature)


def _among_moments(near: Tensor, temperature: float) -> Tensor:
    """near [B N N]: the diagonal against the rest of its row."""
    count = near.shape[1]
    other = ~torch.eye(count, dtype=torch.bool, device=near.device)
    negatives = near[:, other].unflatten(1, (count, count - 1))
    return info_nce(near.diagonal(dim1=1, dim2=2).flatten(), negatives.flatten(0, 1), temperature)


def eye_contrast(first: Tensor, second: Tensor, anchor: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 4, L_eye: -log( e^S(f_1, f_a) / (e^S(f_1, f_a) + e^S(f_2, f_a)) ). Latents [B D] of v_1, of v_2, and of the
    anchor: the eyes of v_1 in the face of v_2 (eye_swap). second [B K D]: of several that are no match."""
    others = second[:, None] if second.ndim == anchor.ndim else second
    return info_nce(cosine(first, anchor), cosine(others, anchor[:, None]), temperature)


def pose_target(posed: Posed) -> Tensor:
    """P_gt of eq. 5, [B 6]: deviation 9, of a head whose pose was taken out of its keypoints."""
    yaw, pitch, roll = torch.deg2rad(euler_angles(posed.rotation)).unbind(-1)
    rows = (pitch, yaw, roll, posed.shift[:, 0], posed.shift[:, 1], posed.scale.log() - SCALE)
    return torch.stack(rows, 1) / posed.scale.new_tensor(POSE_SPREAD)


SCALE = -2.6  # log of the scale (half-widths per cm) at which a head fills thgen's crop


def pose_regression(found: Tensor, true: Tensor) -> Tensor:
    """Eq. 5, L_pose = | P_pred - P_gt |_1, mean over batch and entries. Both [B 6]."""
    return (found - true).abs().mean()


# ---- 3.3 Expression disentanglement
def window_average(expressions: Tensor) -> Tensor:
    """In-window decorrelation: latents [B K 30] of the K frames around a frame -> their average [B 30]."""
    return expressions.mean(1)


def window_of(frame: int, frames: int, size: int = WINDOW) -> range:
    """The frames around `frame` of a clip of `frames`; near its ends the window shrinks on both sides."""
    half = min(size // 2, frame, frames - 1 - frame)
    return range(frame - half, frame + half + 1)


def lip_decorrelation(expression: Tensor, lip: Tensor, bank: MemoryBank) -> Tensor:
    """Eq. 6, L_decor: mean of cor(F^e, F^a)^2 over all pairs of entries (deviation 8), over bank and batch.

    expression [B 30] averaged over windows, lip [B 500] from the voice. Gradients reach this batch alone.
    """
    return correlations(*bank.joined(expression, lip.detach())).square().mean()


def perceptual(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """Eq. 7, L_vgg: sum over layers of the mean | VGG_i(I_f) - VGG_i(I_g) |."""
    return sum((a.float() - b.float().detach()).abs().mean() for a, b in zip(made, true, strict=True))  # type: ignore[return-value]


def consistency(lip_made: Tensor, voice: Tensor, gaze_made: Tensor, gaze_true: Tensor, motion: Tensor) -> Tensor:
    """Eq. 8, L_con = exp(-S(V_lip(I_f), E_aud(a_g))) + | G(I_f) - G(I_g) |_1 + L_mot.

    lip_made, voice [B D]: features of the made picture's lips and of the voice; gaze_* [B 2] or more, in units of the
    prior; motion []: eq. 1 of the same pictures. At its best e^-1.
    """
    return (-cosine(lip_made, voice)).exp().mean() + (gaze_made - gaze_true.detach()).abs().mean() + motion


# ---- 4.1 and B.2: measures
def nlse_c(made: float, training: float) -> float:
    """Eq. 9: | LSE-C of the result - LSE-C of the method's training data | / the latter. The paper prints no modulus,
    but its tables need one (2.03 against 7.35 is given as 0.724)."""
    return abs(made - training) / training


def variance(features: list[np.ndarray]) -> float:
    """Eq. I: (1 / N) sum_i (1 / M_i) sum_j || f_ij - mean_j f_ij ||_2 over N clips of features [M_i D]; the norm, not
    its square, although the paper calls it a variance."""
    return float(np.mean([np.linalg.norm(f - f.mean(0), axis=1).mean() for f in features]))


# ---- latents
@dataclass(frozen=True)
class Latents:
    """Sizes of the parts of G's input, which are joined in this order."""

    appearance: int = 2048
    lip: int = 500
    expression: int = 30
    eye: int = 6
    pose: int = 6

    @property
    def size(self) -> int:
        return self.appearance + self.lip + self.expression + self.eye + self.pose

    @staticmethod
    def join(appearance: Tensor, lip: Tensor, expression: Tensor, eye: Tensor, pose: Tensor) -> Tensor:
        """[appearance | lip | expression | eye | pose], [B size]."""
        return torch.cat([appearance, lip, expression, eye, pose], 1)


def eye_of(blink: Tensor, gaze: Tensor) -> Tensor:
    """blink [B 4] and gaze [B 2] -> the eye's latent [B 6]."""
    eye = blink.new_zeros(len(blink), len(BLINK) + len(GAZE))
    eye[:, list(BLINK)], eye[:, list(GAZE)] = blink, gaze
    return eye


@dataclass(frozen=True)
class Gains:
    """By how much latents are multiplied before use (RELEASED by the authors, COMPACT by us); heard: lips of a voice,
    besides."""

    lip: float = 1.0
    expression: float = 1.0
    eye: float = 1.0
    pose: float = 1.0
    heard: float = 1.0


RELEASED = Gains(1.5, 1.2, 1.2, 1.0)
COMPACT = Gains(eye=1.2, heard=1.8)


def smooth_lips(lips: Tensor) -> Tensor:
    """[T D] under a Gaussian of three taps, sigma 1; beyond the ends lies zero, the closed mouth (code)."""
    taps = torch.tensor([-0.5, 0.0, -0.5], dtype=torch.float64).exp()
    before, here, after = (taps / taps.sum()).to(lips).unbind()
    padded = torch.nn.functional.pad(lips, (0, 0, 1, 1))
    return before * padded[:-2] + here * padded[1:-1] + after * padded[2:]


def smooth_pose(pose: Tensor) -> Tensor:
    """[T 6] averaged over three frames, over two at the ends (code)."""
    padded = torch.nn.functional.pad(pose, (0, 0, 1, 1))
    count = torch.full((len(pose), 1), 3.0).to(pose)
    count[0] -= 1
    count[-1] -= 1
    return (padded[:-2] + padded[1:-1] + padded[2:]) / count


def wrapped(track: Tensor, frames: int) -> Tensor:
    """A driver's latents [N D] for `frames` frames: from its start again when it ends (code)."""
    return track[torch.arange(frames, device=track.device) % len(track)]


# ---- the method: encoders of both presets
class Encoders(Method):
    """Photo, voice and clips -> latents. Factors are the method's own and have no units: lip 500, pose 6, gaze 2 and
    blink 4 of the eye, expression 30. Zero is the canonical position (section B.2, figure 3)."""

    factors = ("lip", "pose", "gaze", "blink", "expression")
    canonical = True

    def __init__(
        self, guide: Guide, appearance: Appearance, faces: Motion, voice: AudioLip, gains: Gains, device: torch.device
    ) -> None:
        self.guide, self.appearance, self.faces, self.voice = guide, appearance, faces, voice
        self.gains, self.device = gains, device

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Verified weights on `device`: `networks` in the order of the constructor. Raises WeightsError."""
        analyser, rig, *own = (hub.load_network(name, device) for name in cls.networks)
        return cls(Guide(analyser, rig, device), *own, device)  # type: ignore[arg-type,call-arg]

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """The lips' latent of a voice, [frames D]: E_aud on windows of 0.2 s, gained, smoothed."""
        windows = torch.from_numpy(mel_windows(mel_spectrogram(samples), frames)).to(self.device)
        with torch.inference_mode():
            lips = torch.cat([self.voice(part)[1] for part in windows.split(BATCH)])
        return {"lip": smooth_lips(self.gains.lip * self.gains.heard * lips).cpu()}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[np.ndarray]) -> Factors:
        """Every factor of a clip, [T D]; lip and pose smoothed, as the paper's authors do."""
        rows = [self._codes(frames) for frames in self._frames(crops)]
        found = {name: torch.cat([row[name] for row in rows]).cpu() for name in self.factors}
        gains = {"lip": self.gains.lip, "expression": self.gains.expression, "pose": self.gains.pose}
        found = {name: gains.get(name, self.gains.eye) * track for name, track in found.items()}
        if len(found["lip"]) == 1:  # a still: there is nothing to smooth it with
            return found
        return found | {"lip": smooth_lips(found["lip"]), "pose": smooth_pose(found["pose"])}

    @abstractmethod
    def _frames(self, crops: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """What the encoders see of a clip's crops uint8 [S S 3], in batches [B 3 side side]."""

    def _codes(self, frames: Tensor) -> Factors:
        """E_lip, E_pose, E_eye, E_exp of frames [B 3 side side]."""
        seen = self.faces(frames)
        eye = self.faces.eye(seen)
        return {
            "lip": self.voice.embed(self.faces.lip_feature(seen)), "pose": self.faces.pose(seen),
            "gaze": eye[:, list(GAZE)], "blink": eye[:, list(BLINK)], "expression": self.faces.expression(seen),
        }  # fmt: skip

    @staticmethod
    def _latent(appearance: Tensor, codes: Factors) -> Tensor:
        eye = eye_of(codes["blink"], codes["gaze"])
        appearance = appearance.expand(len(eye), -1)
        return Latents.join(appearance, codes["lip"], codes["expression"], eye, codes["pose"])


# ---- compact preset
class PdFgc(Encoders):
    """Latents -> motion head -> the shared generator (deviation 11)."""

    name = "pd_fgc"
    weights_name = "pd_fgc_head"
    networks = ("analyser", "rig", "pd_fgc_appearance", "pd_fgc_motion", "pd_fgc_audio", weights_name)

    def __init__(
        self, guide: Guide, appearance: Appearance, faces: Motion, voice: AudioLip, head: MotionHead,
        device: torch.device, gains: Gains = COMPACT,
    ) -> None:  # fmt: skip
        super().__init__(guide, appearance, faces, voice, gains, device)
        self.head = head

    @torch.inference_mode()
    def encode_photo(self, crop: np.ndarray) -> Identity:
        """crop uint8 RGB [S S 3], framed by face.finder."""
        photo, seen = self.guide.read(crop)
        vector, _ = self.appearance(self.guide.image(face_view(crop[None], self.faces.config["side"])))  # type: ignore[arg-type]
        own = self._codes(self._view(photo.image, photo.keypoints))
        state = {"photo": photo, "appearance": vector, "source": self.head(self._latent(vector, own))}
        return Identity(photo.image, own, state, own_factors(seen))

    def _frames(self, crops: Iterable[np.ndarray]) -> Iterator[Tensor]:
        for part in in_batches(crops):
            image = self.guide.image(np.stack(part))
            yield self._view(image, self.guide.look_twice(image)[1])

    @staticmethod
    def _view(image: Tensor, keypoints: Tensor) -> Tensor:
        """Crops [B 3 S S] and their keypoints [B K 3] -> what E_mot sees, [B 3 128 128]."""
        small = torch.nn.functional.interpolate(image, size=(BASE, BASE), mode="area")
        return mosaic(small, frames_of(keypoints[:, :68]))

    @torch.inference_mode()
    def decode(self, identity: Identity, factors: Factors) -> Decoded:
        """Frames [T 3 S S] and mask for latents [T D] of every factor, and what sliders add to them ("units.*")."""
        codes = {name: values.to(self.device).float() for name, values in factors.items()}
        units = {name.removeprefix(UNITS): v for name, v in codes.items() if name.startswith(UNITS)}
        state, photo = identity.state, identity.state["photo"]
        target = self.head(self._latent(state["appearance"], codes))
        source = state["source"].expand(len(target.turn))
        target = within_reach(source, target, photo.coefficients)
        move = movement(source, target, photo.lid_scale.expand(len(target.turn), -1))
        if units and identity.units is not None:
            move = move.and_then(unit_movement(self.guide.rig, photo, identity.units, units))
        out = self.guide.render(photo, move)
        return Decoded(out.image.clamp(-1, 1), (1.1 * out.mask - 0.05).clamp(0, 1), out.flow)


# ---- paper preset
class PaperPdFgc(Encoders):
    """The networks as released: pictures of 224 px in the aligned frame, put back into the photo's crop."""

    name = "pd_fgc.paper"
    sliders = False  # its latents have no units, and its generator shows nothing besides
    weights_from = "convert the authors' files: python -m thgen weights convert pd_fgc FOLDER"
    weights_name = "pd_fgc_paper_generator"
    networks = ("analyser", "rig", "pd_fgc_paper_appearance", "pd_fgc_paper_motion", "pd_fgc_paper_audio", weights_name)

    def __init__(
        self, guide: Guide, appearance: Appearance, faces: Motion, voice: AudioLip, generator: StyleGenerator,
        device: torch.device, gains: Gains = RELEASED,
    ) -> None:  # fmt: skip
        super().__init__(guide, appearance, faces, voice, gains, device)
        self.generator = generator

    @torch.inference_mode()
    def encode_photo(self, crop: np.ndarray) -> Identity:
        """crop uint8 RGB [S S 3], framed by face.finder."""
        image = self.guide.image(crop[None])
        points = self._landmarks(image, crop.shape[0])
        aligned, matrix = Aligner(points).align(crop, points[0])
        vector, start = self.appearance(self.guide.image(aligned[None]))
        own = self._codes(self.guide.image(aligned[None]))
        return Identity(image, own, {"appearance": vector, "start": start, "back": _inverse(matrix, crop.shape[0])})

    def _frames(self, crops: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """Aligned frames in batches [B 3 224 224]. Rotation and scale are those of its first batch
        (deviation 13)."""
        aligner: Aligner | None = None
        for part in in_batches(crops):
            points = self._landmarks(self.guide.image(np.stack(part)), part[0].shape[0])
            aligner = aligner or Aligner(points)
            yield self.guide.image(np.stack([aligner.align(c, p)[0] for c, p in zip(part, points, strict=True)]))

    def _landmarks(self, image: Tensor, size: int) -> np.ndarray:
        """Of crops [B 3 S S], in pixels from the middle of the first one, [B 68 2]."""
        points = self.guide.look_twice(image)[1][:, :68, :2]
        return ((points + 1) / 2 * size - 0.5).detach().double().cpu().numpy()

    @torch.inference_mode()
    def decode(self, identity: Identity, factors: Factors) -> Decoded:
        """Frames [T 3 S S] and mask for latents [T D] of every factor."""
        codes = {name: values.to(self.device).float() for name, values in factors.items()}
        latent = self._latent(identity.state["appearance"], codes)
        made = torch.tanh(self.generator(latent, identity.state["start"].expand(len(latent), -1, -1, -1)))
        where = identity.state["back"].to(made).expand(len(made), -1, -1)
        photo = identity.image.expand(len(made), -1, -1, -1)
        places = torch.nn.functional.affine_grid(where, list(photo.shape), align_corners=False)
        put = torch.nn.functional.grid_sample(made, places, padding_mode="border", align_corners=False)
        edge = (1 - places.abs().amax(3)) / EDGE  # how far inside the aligned frame
        mask = edge.clamp(0, 1)[:, None]
        return Decoded(torch.lerp(photo, put, mask), mask)


EDGE = 0.12  # half-widths of the aligned frame over which it fades into the photo


def _inverse(matrix: np.ndarray, size: int) -> Tensor:
    """Matrix [2 3] from pixels of a crop of `size` to pixels of the aligned frame -> the same between coordinates from
    -1 to 1, for affine_grid, [1 2 3]."""
    to_pixels = np.array([[size / 2, 0, size / 2 - 0.5], [0, size / 2, size / 2 - 0.5], [0, 0, 1]])
    to_unit = np.array([[2 / SIDE, 0, 1 / SIDE - 1], [0, 2 / SIDE, 1 / SIDE - 1]])
    whole = np.concatenate([matrix, [[0, 0, 1]]]) @ to_pixels
    return torch.from_numpy((to_unit @ whole).astype(np.float32))[None]
