"""Weights of words, such as inverse document frequencies."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from stlib.base.modules.module import Module
from stlib.base.weights import PYTORCH_NAME, SAFETENSORS_NAME
from stlib.util.lists import refuse_text

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)


class WordWeights(Module):
    """Multiply each token embedding by the weight of its word; pooling then divides by the sum of weights.

    Args:
        vocab: words in the order of their ids.
        word_weights: word to weight; a word that is missing is also looked up in lower case.
        unknown_word_weight: weight of words that are in ``vocab`` only.
    """

    config_keys: ClassVar[list[str]] = ["vocab", "word_weights", "unknown_word_weight"]

    def __init__(
        self, vocab: Sequence[str], word_weights: Mapping[str, float], unknown_word_weight: float = 1
    ) -> None:
        super().__init__()
        refuse_text(vocab=vocab)
        self.vocab = list(vocab)
        self.word_weights = dict(word_weights)
        self.unknown_word_weight = unknown_word_weight
        weights = weights_of(self.vocab, self.word_weights, unknown_word_weight)
        self.emb_layer = nn.Embedding.from_pretrained(
            torch.tensor(weights).float().unsqueeze(1), freeze=False
        )

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        weights = self.emb_layer(features["input_ids"]).squeeze(-1) * features["attention_mask"].float()
        features["token_embeddings"] = features["token_embeddings"] * weights.unsqueeze(-1)
        features["token_weights_sum"] = weights.sum(dim=1)
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> Self:
        """See :meth:`Module.load`; weights that training has changed win over those of the configuration."""
        hub = (token, cache_folder, revision, local_files_only)
        module = super().load(model_name_or_path, subfolder, *hub)
        for name in (SAFETENSORS_NAME, PYTORCH_NAME):
            if cls.load_file_path(model_name_or_path, name, subfolder, *hub) is not None:
                return cls.load_torch_weights(model_name_or_path, subfolder, *hub, model=module)
        return module


def weights_of(vocab: Sequence[str], word_weights: Mapping[str, float], unknown: float) -> list[float]:
    """The weight of each word of a vocabulary, in its order."""
    weights = [word_weights.get(word, word_weights.get(word.lower())) for word in vocab]
    missing = sum(weight is None for weight in weights)
    if missing:
        logger.info("%d of %d words have no weight of their own; theirs is %s", missing, len(vocab), unknown)
    return [unknown if weight is None else weight for weight in weights]
