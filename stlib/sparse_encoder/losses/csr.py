"""Losses of models that end in a sparse auto-encoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.errors import InvalidInput, UnusableAlone
from stlib.sparse_encoder.losses.inner import check_inner, named_parts
from stlib.sparse_encoder.losses.sparse_multiple_negatives_ranking import SparseMultipleNegativesRankingLoss

# What an auto-encoder adds to the features while it is trained.
_NEEDED = (
    "sentence_embedding_backbone",
    "decoded_embedding_k",
    "decoded_embedding_4k",
    "decoded_embedding_aux",
    "decoded_embedding_k_pre_bias",
)
# The weight of the reconstruction from four times as many latents, from the paper.
_SHARE_OF_4K = 1 / 8


class CSRReconstructionLoss(nn.Module):
    """How well a ``SparseAutoEncoder`` gives back the embeddings that went into it.

    A dict of three parts, each averaged over the columns: ``reconstruction_loss_k``, the mean squared error
    of what the k largest latents give back; ``reconstruction_loss_4k``, an eighth of that of four times as
    many; ``reconstruction_loss_aux``, ``beta`` times the normalised error by which latents that have not been
    in use for long explain what the k largest left over.

    Args:
        model: a model with a ``SparseAutoEncoder``.
        beta: weight of the last part.

    References:
        - Wen et al., "Beyond Matryoshka: Revisiting Sparse Coding for Adaptive Representation":
          https://arxiv.org/abs/2503.01776
    """

    is_penalty = True

    def __init__(self, model: Any, beta: float = 1.0) -> None:
        super().__init__()
        check_model(self, model)
        self.model = model
        self.beta = beta

    def forward(self, sentence_features: Any, labels: Any = None) -> Any:
        """Refuse.

        Raises:
            UnusableAlone: always.
        """
        raise UnusableAlone(
            "CSRReconstructionLoss should not be used alone, as it knows nothing of which texts are alike; "
            "use it within CSRLoss, which makes one of its own"
        )

    def compute_loss_from_embeddings(self, outputs: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The parts by name.

        Args:
            outputs: the model's output for each column, with what the auto-encoder adds.

        Raises:
            InvalidInput: there are no columns, or the model has no auto-encoder.
        """
        if not outputs:
            raise InvalidInput("CSRReconstructionLoss got no column of inputs and needs one")
        errors = torch.stack([self._errors(output) for output in outputs]).mean(dim=0)
        return {
            "reconstruction_loss_k": errors[0],
            "reconstruction_loss_4k": errors[1] * _SHARE_OF_4K,
            "reconstruction_loss_aux": errors[2] * self.beta,
        }

    def _errors(self, output: dict[str, Any]) -> Tensor:
        """The three errors of one column."""
        missing = [name for name in _NEEDED if name not in output]
        if missing:
            raise InvalidInput(
                f"CSRReconstructionLoss needs a model that ends in a SparseAutoEncoder; this one's outputs "
                f"lack {', '.join(missing)}"
            )
        inputs = output["sentence_embedding_backbone"]
        error_k = F.mse_loss(inputs, output["decoded_embedding_k"])
        error_4k = F.mse_loss(inputs, output["decoded_embedding_4k"])
        explained = output["decoded_embedding_aux"]
        if explained is None:
            return torch.stack([error_k, error_4k, torch.zeros_like(error_k)])
        left_over = inputs - output["decoded_embedding_k_pre_bias"].detach()
        return torch.stack([error_k, error_4k, normalized_mean_squared_error(explained, left_over)])

    def get_config_dict(self) -> dict[str, Any]:
        return {"beta": self.beta}


def normalized_mean_squared_error(reconstruction: Tensor, original_input: Tensor) -> Tensor:
    """The mean squared error of ``[n, d]`` in units of the variance within the batch, which is 1 for the best
    constant; not scaled if all rows are equal, as there is none.
    """
    mean = original_input.mean(dim=0, keepdim=True)
    variance = F.mse_loss(mean.expand_as(original_input), original_input)
    # Rounding of the mean can give equal rows a variance, which must not be divided by.
    constant = (variance == 0) | (original_input == original_input[:1]).all()
    return F.mse_loss(reconstruction, original_input) / torch.where(constant, 1.0, variance)


class CSRLoss(nn.Module):
    """Contrastive sparse representation: reconstruction by an auto-encoder, and a loss over its latents.

    The value is a dict: the parts of :class:`CSRReconstructionLoss` and ``base_loss`` (or the parts of
    ``loss``), ``gamma`` times. A trainer adds them up and logs each.

    Args:
        model: a model that ends in a ``SparseAutoEncoder``.
        loss: a loss with ``compute_loss_from_embeddings(embeddings, labels)``; default:
            :class:`SparseMultipleNegativesRankingLoss`.
        beta: weight of the reconstruction by latents out of use.
        gamma: weight of ``loss``.

    Raises:
        InvalidOption: ``loss`` cannot be computed from embeddings.
        InvalidInput: the model has no auto-encoder.

    References:
        - Wen et al., "Beyond Matryoshka: Revisiting Sparse Coding for Adaptive Representation":
          https://arxiv.org/abs/2503.01776

    Inputs:
        Those of ``loss``.

    Relations:
        - :class:`SpladeLoss` is for models whose dimensions are words.

    Example:
        ::

            from stlib import SparseEncoder, SparseEncoderTrainer
            from stlib.sparse_encoder import losses, models

            base = models.Transformer("sentence-transformers/all-MiniLM-L6-v2")
            ...  # pooling
            code = models.SparseAutoEncoder(input_dim=384, hidden_dim=1536, k=32, k_aux=512)
            model = SparseEncoder(modules=[base, pooling, code])
            loss = losses.CSRLoss(model, beta=0.1, gamma=1.0)
            SparseEncoderTrainer(model=model, train_dataset=data, loss=loss).train()
    """

    def __init__(
        self, model: Any, loss: nn.Module | None = None, beta: float = 0.1, gamma: float = 1.0
    ) -> None:
        super().__init__()
        check_model(self, model)
        if loss is None:
            loss = SparseMultipleNegativesRankingLoss(model)
        check_inner(self, loss)
        self.model = model
        self.beta = beta
        self.gamma = gamma
        self.reconstruction_loss = CSRReconstructionLoss(model, beta=beta)
        self.loss: Any = loss

    def forward(
        self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        # Column by column: the auto-encoder counts passes to know which latents are out of use.
        outputs = [self.model(column) for column in sentence_features]
        parts = self.reconstruction_loss.compute_loss_from_embeddings(outputs)
        embeddings = [output["sentence_embedding"] for output in outputs]
        of_loss = named_parts(self.loss.compute_loss_from_embeddings(embeddings, labels))
        return {**parts, **{name: part * self.gamma for name, part in of_loss.items()}}

    def get_config_dict(self) -> dict[str, Any]:
        return {"beta": self.beta, "gamma": self.gamma, "loss": type(self.loss).__name__}

    @property
    def citation(self) -> str:
        return """
@misc{wen2025matryoshkarevisitingsparsecoding,
      title={Beyond Matryoshka: Revisiting Sparse Coding for Adaptive Representation},
      author={Tiansheng Wen and Yifei Wang and Zequn Zeng and Zhong Peng and Yudi Su and Xinyang Liu
        and Bo Chen and Hongwei Liu and Stefanie Jegelka and Chenyu You},
      year={2025},
      eprint={2503.01776},
      archivePrefix={arXiv},
      primaryClass={cs.LG},
      url={https://arxiv.org/abs/2503.01776},
}
"""
