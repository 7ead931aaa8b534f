"""The frozen networks of the losses of eq. 4, 5 and 7, which compare pictures, in both presets."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn

from thgen.methods.fc_tfg import equations as eq
from thgen.methods.fc_tfg.stage_settings import PriorData
from thgen.methods.fc_tfg.sync import choose_sync_expert, lip_windows
from thgen.nn.wav2lip import FRAMES, SyncExpert
from thgen.training.export import folder_of
from thgen.training.priors import IdentityPrior, Prior, choose_identity_prior, choose_prior, use_of

MIDDLE = FRAMES // 2  # frame of a window on which the mel window of the whole window is centred
COMPARING = ("perceptual", "identity")  # losses of `FrozenJudges.compared`


class FrozenJudges:
    """VGG19 or another perceptual prior, an identity network and the sync expert, as far as the losses name them.

    A loss whose network is not available is 0, and `summary`, sentences for the manifest, says so.
    """

    def __init__(self, wanted: Collection[str], data: PriorData, weights: str) -> None:
        """wanted: names of losses. weights: folder of this run's exports, see StageConfig."""
        self.wanted, self.summary = wanted, list[str]()
        self.prior: Prior | None = None
        self.identities: IdentityPrior | None = None
        self.expert: SyncExpert | None = None
        if "perceptual" in wanted:
            self.prior = choose_prior(data.prior, folder_of("analyser", weights))
            self.summary.append(f"perceptual loss {use_of(self.prior)}")
        if "identity" in wanted:
            self.identities = choose_identity_prior(data.identity, data.identity_share, weights)
            self.summary.append(f"identity loss {use_of(self.identities)}")
        if "sync" in wanted:
            self.expert = choose_sync_expert(weights)
            self.summary.append("sync loss on the expert of the stage sync" if self.expert else "sync loss off")

    def networks(self) -> dict[str, nn.Module]:
        """Those that are available, as helpers of a stage."""
        found = {"prior": self.prior, "identities": self.identities, "expert": self.expert}
        return {name: network for name, network in found.items() if network is not None}

    def compared(self, made: Tensor, true: Tensor) -> dict[str, Tensor]:
        """Eq. 5 and 7 of pictures [B 3 S S], as far as they are wanted."""
        terms, zero = {}, made.new_zeros(())
        if "perceptual" in self.wanted:
            terms["perceptual"] = eq.lpips(self.prior(made), self.prior(true)) if self.prior else zero
        if "identity" in self.wanted:
            net = self.identities
            terms["identity"] = eq.identity(net(made).float(), net(true).float()) if net else zero
        return terms

    def sync(self, made: Tensor, mel: Tensor) -> Tensor:
        """Eq. 4 of windows [B 5 3 S S] and their voice [B 5 1 80 16]; 0 without the expert."""
        if self.expert is None:
            return made.new_zeros(())
        return eq.synchronisation(
            self.expert.video(lip_windows(made)).float(), self.expert.audio(mel[:, MIDDLE]).float()
        )
