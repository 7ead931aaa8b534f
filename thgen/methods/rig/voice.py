"""Lips of a voice of any length: AudioToLip in chunks of constant cost, and a closed mouth in silence."""

from __future__ import annotations

import numpy as np
import torch

from thgen.audio import log_mel, voice_activity
from thgen.methods.rig.audio_network import AudioToLip
from thgen.schema import LIP_COEFFICIENTS


@torch.inference_mode()
def encode_lips(
    model: AudioToLip, samples: np.ndarray, frames: int, device: torch.device | str = "cpu", chunk: int = 250
) -> torch.Tensor:
    """Lip coefficients of a voice: float32 [frames, 21] in [0, 1], on the CPU; exactly 0 (closed) in silence.

    samples: float32 [L], 16 kHz mono; frames: number of frames at 25 fps, from the first sample on; chunk: frames per
    pass, which changes cost and memory but not the result. Raises AudioError if the sound is empty or contains NaN.
    """
    gate = torch.from_numpy(voice_activity.mouth_gate(voice_activity.speech_mask(samples, frames)))
    out = torch.zeros(frames, len(LIP_COEFFICIENTS))
    for t0, t1, mel in log_mel.mel_chunks(samples, frames, chunk, model.context):
        if gate[t0:t1].any():
            left = t0 - max(t0 - model.context, 0)
            lips = model(torch.from_numpy(mel)[None].to(device))[0, left : left + t1 - t0]
            out[t0:t1] = lips.float().cpu().clamp(0, 1)
    return out * gate[:, None]
