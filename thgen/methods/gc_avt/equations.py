"""Equations of GC-AVT in the order of the paper, with their numbers. Deviations: see the folder's __init__."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from thgen.losses.adversarial import discriminator_logistic, generator_logistic
from thgen.losses.contrastive import cosine, info_nce_among
from thgen.losses.reconstruction import perceptual

# Weights of the losses by their names in the configs. lambda_1 is that of L_L1, lambda_2 of both VGG terms (deviations
# 15 and 17), lambda_3 of L_c. The identity loss of section 3.1 is not in eq. 5.
LAMBDAS = {"adversarial": 1.0, "image": 10.0, "vgg": 10.0, "vggface": 5.0, "contrast": 1.0}
IDENTITY_WEIGHT = 1.0


# ---- 3.1 Overall formulation
def identity(made: Tensor, true: Tensor) -> Tensor:
    """The "simple identity loss": 1 - cos of two embeddings [B D], mean over the batch (deviation 13). true gets no
    gradient."""
    return 1 - cosine(made, true.detach()).mean()


# ---- 3.3 Learning procedures
def likeness(video: Tensor, audio: Tensor) -> Tensor:
    """D(f_c^v, f_c^a) above eq. 1, their cosine, of each voice with each mouth of its clip: [B M M], voices in rows.

    video, audio: features of M moments of each of B clips, [B M F], those of consecutive frames joined (deviation 11).
    """
    return cosine(audio[:, :, None], video[:, None])


def contrast(video: Tensor, audio: Tensor, temperature: float, audio_alone: bool = True) -> Tensor:
    """Eq. 1, L_c: of the mouths of M moments [B M F], that of a voice's own moment is nearest to it. Mean of B * M.

    M - 1 is M^-, the number of negatives. audio_alone: "update the audio branch alone", no gradient reaches `video`.
    """
    return info_nce_among(likeness(video.detach() if audio_alone else video, audio), temperature)


def reconstruction(made: Tensor, true: Tensor) -> Tensor:
    """Eq. 2, L_L1 = || I_k - I_k' ||_1, mean over pixels (deviation 14). Pictures [B 3 H W]."""
    return (made - true).abs().mean()


def vgg(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """Eq. 3, one of the two sums: sum_i || VGG_i(I_k) - VGG_i(I_k') ||_1, each a mean (deviation 14). Maps [B C h w];
    no gradient reaches true."""
    return perceptual(made, true)


def gan_generator(fake: list[Tensor]) -> Tensor:
    """Eq. 4, the part of G: sum over scales n of -log D_n(I_k') (deviation 16). Logits of any shape."""
    return sum(generator_logistic(logits.float()) for logits in fake)  # type: ignore[return-value]


def gan_discriminator(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Eq. 4, the part of D: sum over scales n of -log D_n(I_k) - log(1 - D_n(I_k')). Logits of any shape."""
    pairs = zip(real, fake, strict=True)
    return sum(discriminator_logistic(true.float(), made.float()) for true, made in pairs)  # type: ignore[return-value]


def total(terms: Mapping[str, Tensor], weights: Mapping[str, float] = LAMBDAS) -> Tensor:
    """Eq. 5, L_all = L_GAN + lambda_1 L_L1 + lambda_2 L_vgg + lambda_3 L_c. The training loop computes it from the
    config's weights."""
    return sum(weight * terms[name] for name, weight in weights.items())  # type: ignore[return-value]
