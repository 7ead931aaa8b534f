"""Networks of FG-EmoTalk that LIA lacks: three extractors, one dictionary of two groups, an encoder of action units."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.methods.fg_emotalk.units import UNITS
from thgen.nn.lia import CODE, Appearance, Decoder, Dictionary, motion_mlp
from thgen.schema import AU_MAX

POSE, EXPRESSION = 20, 20  # columns of the dictionary of each kind (deviation 3)
TOKENS, HEADS = 4, 4  # of the self-attention of E_app (deviation 2)
LAYERS = 2  # gated graph convolutions (parent ME-GraphAU)


class AppearanceExtractor(nn.Module):
    """E_app: image feature [B code] -> appearance embedding [B code]: self-attention among its quarters, then five
    linear layers (deviation 2)."""

    def __init__(self, code: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(code // TOKENS, HEADS, batch_first=True)
        self.layers = motion_mlp(code, code)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.unflatten(1, (TOKENS, -1))
        seen, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        out: Tensor = self.layers((tokens + seen).flatten(1))
        return out


class VideoNetwork(nn.Module):
    """The video generation network: E, E_app, E_pose, E_exp, Dic and G of equations 1 to 5.

    size: side of pictures in px; code: entries of the image feature; pose, expression: columns of the dictionary, the
    first `pose` of which are those of the pose.
    """

    config: dict[str, object]

    def __init__(self, size: int = 512, code: int = CODE, pose: int = POSE, expression: int = EXPRESSION):
        super().__init__()
        self.config = {"class": "fg_emotalk", "size": size, "code": code, "pose": pose, "expression": expression}
        self.encoder = Appearance(size, code)
        self.appearance = AppearanceExtractor(code)
        self.pose, self.expression = motion_mlp(code, pose), motion_mlp(code, expression)
        self.decoder = Decoder(size, code, pose + expression)
        self.size, self.sizes = size, (pose, expression)

    @property
    def dictionary(self) -> Dictionary:
        """Its columns: directions of the pose, then of the expression, all orthonormal."""
        found: Dictionary = self.decoder.direction  # type: ignore[assignment]
        return found

    def magnitudes(self, pose: Tensor | None, expression: Tensor | None) -> Tensor:
        """Magnitudes [B pose] and [B expression] as those of all columns; None = zeros. At least one is given."""
        given = pose if pose is not None else expression
        assert given is not None
        parts = [
            given.new_zeros(len(given), size) if part is None else part
            for part, size in zip((pose, expression), self.sizes, strict=True)
        ]
        return torch.cat(parts, 1)

    def move(self, pose: Tensor | None = None, expression: Tensor | None = None) -> Tensor:
        """Dic(x_exp, x_pose), [B code]. The groups share no column, so it is Dic(x_exp) + Dic(x_pose)."""
        return self.dictionary(self.magnitudes(pose, expression))


class GatedGraph(nn.Module):
    """One gated graph convolution among N units, each connected with each and with itself (parent ME-GraphAU).

    edge_ij <- edge_ij + ReLU(BN(A h_i + B h_j + E edge_ij)); gate = softmax over j of sigmoid(edge_ij);
    h_i <- ReLU(h_i + BN(U h_i + mean_j gate_ij * V h_j)). The batch norms have one scale per edge and per unit.
    """

    def __init__(self, units: int, width: int):
        super().__init__()
        self.a, self.b, self.e, self.u, self.v = (nn.Linear(width, width, bias=False) for _ in range(5))
        self.edge_norm, self.node_norm = nn.BatchNorm1d(units**2), nn.BatchNorm1d(units)
        for layer in (self.a, self.b, self.e, self.u, self.v):
            nn.init.normal_(layer.weight, std=(2 / width) ** 0.5)

    def forward(self, nodes: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """nodes [B N C], edges [B N N C] (i before j) -> the same."""
        raw = self.a(nodes)[:, :, None] + self.b(nodes)[:, None] + self.e(edges)
        edges = edges + F.relu(self.edge_norm(raw.flatten(1, 2))).view_as(edges)
        gate = torch.softmax(torch.sigmoid(edges), 2)
        message = (gate * self.v(nodes)[:, None]).mean(2)
        return F.relu(nodes + self.node_norm(self.u(nodes) + message)), edges


class AUEncoder(nn.Module):
    """Intensities of action units [B N], 0 to 5 -> expression magnitudes [B outputs].

    Intensity / 5 times the unit's learned embedding -> gated graph convolutions -> mean over units -> linear layer.
    units: their FACS numbers, in the order of the input; width: C of the embeddings. neutral: [outputs] mean
    magnitudes of a neutral face, which "replace" adds.
    """

    config: dict[str, object]
    neutral: Tensor

    def __init__(self, units: Sequence[int] = UNITS, width: int = CODE, outputs: int = EXPRESSION):
        super().__init__()
        self.config = {"class": "fg_emotalk_au", "units": list(units), "width": width, "outputs": outputs}
        self.units = tuple(units)
        count = len(self.units)
        self.embedding = nn.Parameter(torch.randn(count, width))
        self.edges = nn.Parameter(torch.randn(count, count, width))
        self.graph = nn.ModuleList(GatedGraph(count, width) for _ in range(LAYERS))
        self.out = nn.Linear(width, outputs)
        self.register_buffer("neutral", torch.zeros(outputs))

    def forward(self, intensities: Tensor) -> Tensor:
        """The change of the magnitudes from the neutral face [B outputs]: that without units is subtracted, so that no
        unit means no change."""
        empty = torch.zeros_like(intensities[:1])
        both = self._pooled(torch.cat([intensities, empty]) / AU_MAX)
        return both[:-1] - both[-1:]

    def _pooled(self, strength: Tensor) -> Tensor:
        nodes = strength[..., None] * self.embedding
        edges = self.edges.expand(len(nodes), -1, -1, -1)
        for layer in self.graph:
            nodes, edges = layer(nodes, edges)
        out: Tensor = self.out(nodes.mean(1))
        return out

    def edited(self, expression: Tensor, intensities: Tensor, replace: bool) -> Tensor:
        """Expression magnitudes [B outputs] after the units: added to them, or in their place (deviation 8)."""
        base = self.neutral.expand_as(expression) if replace else expression
        return base + self(intensities)
