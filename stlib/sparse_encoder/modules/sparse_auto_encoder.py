"""Dense embeddings to sparse ones by an auto-encoder that keeps the k strongest of many latents."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stlib.base.modules.module import DimensionNames, ModuleWithWeights
from stlib.errors import InvalidOption

# What counts as active when latents are looked for that never are.
_ACTIVE = 1e-5


class TiedTranspose(nn.Module):
    """The transpose of a linear layer without bias, whose weight it shares."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.linear.weight.t(), None)

    @property
    def weight(self) -> Tensor:
        """``[in_features, out_features]`` of the layer."""
        return self.linear.weight.t()

    @property
    def bias(self) -> None:
        """There is none."""
        return None


class SparseAutoEncoder(DimensionNames, ModuleWithWeights):
    """``sentence_embedding [n, input_dim]`` to ``[n, hidden_dim]`` with ``k`` values that are not zero.

    While training, the features also hold what :class:`~stlib.sparse_encoder.losses.CSRLoss` reads: the dense
    embedding, and its reconstructions from k, from 4k and from latents that have not been active for long.
    Source: Wen et al., "Beyond Matryoshka: Revisiting Sparse Coding for Adaptive Representation",
    arXiv:2503.01776.

    Args:
        input_dim: size of the dense embedding.
        hidden_dim: latents.
        k: latents kept.
        k_aux: latents of those long inactive that the auxiliary loss sees; 0 for none.
        normalize: shift and scale each input to mean 0 and standard deviation 1.
        dead_threshold: steps without activity after which a latent counts as inactive.
    """

    without_memory: ClassVar[bool] = True
    forward_kwargs: ClassVar[set[str]] = {"max_active_dims"}
    config_keys: ClassVar[list[str]] = [
        "input_dim",
        "hidden_dim",
        "k",
        "k_aux",
        "normalize",
        "dead_threshold",
    ]

    stats_last_nonzero: Tensor

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int = 512,
        k: int = 8,
        k_aux: int = 512,
        normalize: bool = False,
        dead_threshold: int = 30,
    ) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.hidden_dim = hidden_dim
        self.k = k
        self.k_aux = k_aux
        self.normalize = normalize
        self.dead_threshold = dead_threshold
        self.pre_bias = nn.Parameter(torch.zeros(input_dim))
        self.encoder = nn.Linear(input_dim, hidden_dim, bias=False)
        self.latent_bias = nn.Parameter(torch.zeros(hidden_dim))
        self.decoder = TiedTranspose(self.encoder)
        self.register_buffer("stats_last_nonzero", torch.zeros(hidden_dim, dtype=torch.long))

    def auxk_mask_fn(self, x: Tensor) -> Tensor:
        """``x`` with zeros for the latents that have been active of late."""
        return x * (self.stats_last_nonzero > self.dead_threshold)

    def encode_pre_act(self, x: Tensor) -> Tensor:
        """Latents ``[n, hidden_dim]`` before any of them is dropped."""
        return F.linear(x - self.pre_bias, self.encoder.weight, self.latent_bias)

    def LN(self, x: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor, Tensor]:
        """``x [n, input_dim]`` shifted and scaled, and the means and standard deviations ``[n, 1]``."""
        mean = x.mean(dim=-1, keepdim=True)
        centred = x - mean
        deviation = centred.std(dim=-1, keepdim=True)
        return centred / (deviation + eps), mean, deviation

    def prepare(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The input as it is encoded, and what :meth:`decode` needs to undo that."""
        if not self.normalize:
            return x, {}
        x, mean, deviation = self.LN(x)
        return x, {"mu": mean, "std": deviation}

    def top_k(
        self, x: Tensor, k: int | None = None, compute_aux: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """The k largest latents that are positive, and the ``k_aux`` largest of those long inactive.

        Args:
            x: ``[n, hidden_dim]``.
            k: default: that of the module.
            compute_aux: False saves the second result.
        """
        latents, kept = _largest(x, self.k if k is None else k)
        if self.training and torch.is_grad_enabled():
            self._note_active(kept)
        if not (self.k_aux and compute_aux):
            return latents, None
        return latents, _largest(self.auxk_mask_fn(x), self.k_aux)[0]

    def decode(self, latents: Tensor, info: dict[str, Tensor] | None = None) -> Tensor:
        """Reconstructions ``[n, input_dim]`` of latents ``[n, hidden_dim]``.

        Args:
            info: what :meth:`prepare` returned; needed with ``normalize``.

        Raises:
            InvalidOption: it is missing.
        """
        restored = self.decoder(latents) + self.pre_bias
        if not self.normalize:
            return restored
        if not info:
            raise InvalidOption("a SparseAutoEncoder with normalize=True decodes with info of prepare(x)")
        return restored * info["std"] + info["mu"]

    def forward(
        self, features: dict[str, Any], max_active_dims: int | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        k = self.k if max_active_dims is None else max_active_dims
        dense = features["sentence_embedding"]
        prepared, info = self.prepare(dense)
        latents = self.encode_pre_act(prepared)
        if torch.is_inference_mode_enabled():
            features["sentence_embedding"] = self.top_k(latents, k, compute_aux=False)[0]
            return features
        of_k, auxiliary = self.top_k(latents, k)
        of_4k = self.top_k(latents, 4 * k)[0]
        scale = info.get("std", 1.0)
        from_k = self.decode(of_k, info)
        restored = None if auxiliary is None else (self.decoder(auxiliary) + self.pre_bias) * scale
        features.update(
            sentence_embedding_backbone=dense,
            sentence_embedding_encoded=latents,
            sentence_embedding_encoded_4k=of_4k,
            auxiliary_embedding=auxiliary,
            decoded_embedding_k=from_k,
            decoded_embedding_4k=self.decode(of_4k, info),
            decoded_embedding_aux=restored,
            decoded_embedding_k_pre_bias=from_k - self.pre_bias * scale,
            sentence_embedding=of_k,
        )
        return features

    def get_embedding_dimension(self) -> int:
        """``hidden_dim``, of which ``k`` are not zero."""
        return self.hidden_dim

    @torch.no_grad()
    def _note_active(self, kept: torch.return_types.topk) -> None:
        """Count a step for every latent, from 0 again for those that are active."""
        active = torch.zeros_like(self.stats_last_nonzero, dtype=torch.bool)
        active[kept.indices[kept.values > _ACTIVE]] = True
        self.stats_last_nonzero.masked_fill_(active, 0).add_(1)


def _largest(x: Tensor, k: int) -> tuple[Tensor, torch.return_types.topk]:
    """The k largest values of each row in their places, zero elsewhere and instead of negative ones."""
    kept = torch.topk(x, k=min(k, x.shape[-1]), dim=-1)
    return torch.zeros_like(x).scatter(-1, kept.indices, torch.relu(kept.values)), kept
