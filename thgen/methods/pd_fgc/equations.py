"""Equations of PD-FGC in the order of the paper, with their numbers. Deviations: see the folder's __init__."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from thgen.compact.keypoint_rig import Posed
from thgen.losses.contrastive import cosine, info_nce, info_nce_among
from thgen.losses.correlation import MemoryBank, correlations
from thgen.losses.reconstruction import perceptual
from thgen.nn.geometry import euler_angles

TEMPERATURE = 0.1  # of the contrastive losses (deviation 7)
SCALE = -2.6  # log of the scale (half-widths per cm) of a head in the framing of thgen's crop
# Standard deviations over our renders, so that the entries of eq. 5 have equal weight: pitch, yaw, roll in radians, x
# right and y up in half-widths, log of scale.
POSE_SPREAD = (0.2, 0.35, 0.17, 0.12, 0.12, 0.15)
WINDOW = 13  # frames over which the expression is averaged in training
BANK = 512  # latest latents over which eq. 6 correlates

Features = Callable[[Tensor], Tensor]  # pictures [B 3 H W] in [-1, 1] -> features [B D]


# ---- 3.1 Appearance and motion disentanglement
def motion_reconstruction(made: Tensor, true: Tensor, motion: Features, emotion: Features) -> Tensor:
    """Eq. 1: || phi(I_0) - phi(I_g) ||_2 + || psi(I_0) - psi(I_g) ||_2, mean over the batch.

    made I_0, true I_g: pictures [B 3 H W]; motion phi, emotion psi: features of the prior.
    """
    return sum((f(made) - f(true).detach()).norm(dim=1).mean() for f in (motion, emotion))  # type: ignore[return-value]


# ---- 3.2 Fine-grained motion disentanglement
def audio_to_video(audio: Tensor, video: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 2, L_a2v. audio, video [B K+1 D]: features f^a, f^v at the same K + 1 moments of a clip.

    The pair of one moment is the positive; the K other moments of the clip are its negatives.
    """
    near = cosine(audio[:, :, None], video[:, None])  # S(f_i^a, f_k^v)
    return info_nce_among(near, temperature)


def video_to_audio(audio: Tensor, video: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 3, L_v2a: as eq. 2 with the roles exchanged."""
    near = cosine(video[:, :, None], audio[:, None])  # S(f_i^v, f_k^a)
    return info_nce_among(near, temperature)


def eye_contrast(first: Tensor, second: Tensor, anchor: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Eq. 4, L_eye: -log( e^S(f_1, f_a) / (e^S(f_1, f_a) + e^S(f_2, f_a)) ).

    first, second, anchor: latents [B D] of v_1, of v_2, and of the face of v_2 with the eyes of v_1 (eye_swap). second
    may be [B K D], with K negatives.
    """
    negatives = second[:, None] if second.ndim == anchor.ndim else second
    return info_nce(cosine(first, anchor), cosine(negatives, anchor[:, None]), temperature)


def pose_target(posed: Posed) -> Tensor:
    """P_gt of eq. 5, [B 6], from the pose of keypoints (deviation 9)."""
    yaw, pitch, roll = torch.deg2rad(euler_angles(posed.rotation)).unbind(-1)
    rows = (pitch, yaw, roll, posed.shift[:, 0], posed.shift[:, 1], posed.scale.log() - SCALE)
    return torch.stack(rows, 1) / posed.scale.new_tensor(POSE_SPREAD)


def pose_regression(predicted: Tensor, true: Tensor) -> Tensor:
    """Eq. 5, L_pose = | P_pred - P_gt |_1, mean over batch and entries. Both [B 6]."""
    return (predicted - true).abs().mean()


# ---- 3.3 Expression disentanglement
def window_average(expressions: Tensor) -> Tensor:
    """In-window decorrelation: latents [B K 30] of the K frames around a frame -> their average [B 30]."""
    return expressions.mean(1)


def lip_decorrelation(expression: Tensor, lip: Tensor, bank: MemoryBank) -> Tensor:
    """Eq. 6, L_decor: mean of cor(F^e, F^a)^2 over all pairs of entries (deviation 8), over bank and batch.

    expression [B 30]: window averages; lip [B 500]: from the voice. Only the expressions of this batch get gradients.
    """
    return correlations(*bank.joined(expression, lip.detach())).square().mean()


def vgg(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """Eq. 7, L_vgg: sum over layers of the mean | VGG_i(I_f) - VGG_i(I_g) |: the usual perceptual loss."""
    return perceptual(made, true)


def consistency(lip_made: Tensor, voice: Tensor, gaze_made: Tensor, gaze_true: Tensor, motion: Tensor) -> Tensor:
    """Eq. 8, L_con = exp(-S(V_lip(I_f), E_aud(a_g))) + | G(I_f) - G(I_g) |_1 + L_mot.

    lip_made, voice [B D]: features of the generated picture's lips and of the voice; gaze_made, gaze_true [B 2] or
    more, in units of the prior; motion []: eq. 1 of the same pictures. The minimum is e^-1.
    """
    return (-cosine(lip_made, voice)).exp().mean() + (gaze_made - gaze_true.detach()).abs().mean() + motion


# ---- 4.1 and B.2: measures
def nlse_c(made: float, training: float) -> float:
    """Eq. 9: | LSE-C of the result - LSE-C of the method's training data | / the latter.

    The paper prints no absolute value, but its tables need one (2.03 against 7.35 gives 0.724).
    """
    return abs(made - training) / training


def variance(features: list[np.ndarray]) -> float:
    """Eq. I: (1 / N) sum_i (1 / M_i) sum_j || f_ij - mean_j f_ij ||_2 over N clips of features [M_i D].

    The paper calls it a variance, but uses the norm and not its square.
    """
    return float(np.mean([np.linalg.norm(f - f.mean(0), axis=1).mean() for f in features]))
