"""Bags of words: one dimension per word of a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stlib.base.modules.input_module import InputModule, prepend_prompt
from stlib.base.modules.module import DimensionNames
from stlib.sentence_transformer.modules.tokenizer.whitespace import WhitespaceTokenizer
from stlib.sentence_transformer.modules.word_weights import weights_of
from stlib.util.lists import refuse_text


class BoW(DimensionNames, InputModule):
    """Count the words of a text, each times its weight: ``sentence_embedding [n, vocabulary]``.

    Args:
        vocab: words, one dimension each; repeated ones count once.
        word_weights: word to weight, e.g. an inverse document frequency.
        unknown_word_weight: weight of words without one.
        cumulative_term_frequency: False counts a word once however often it occurs.
    """

    save_in_root: ClassVar[bool] = False
    config_keys: ClassVar[list[str]] = [
        "vocab",
        "word_weights",
        "unknown_word_weight",
        "cumulative_term_frequency",
    ]

    def __init__(
        self,
        vocab: Sequence[str],
        word_weights: Mapping[str, float] | None = None,
        unknown_word_weight: float = 1,
        cumulative_term_frequency: bool = True,
    ) -> None:
        super().__init__()
        refuse_text(vocab=vocab)
        self.vocab = list(dict.fromkeys(vocab))
        self.word_weights = dict(word_weights or {})
        self.unknown_word_weight = unknown_word_weight
        self.cumulative_term_frequency = cumulative_term_frequency
        self.weights = weights_of(self.vocab, self.word_weights, unknown_word_weight)
        self.tokenizer = WhitespaceTokenizer(self.vocab, stop_words=(), do_lower_case=False)

    def preprocess(self, inputs: list[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """The vectors themselves: nothing is left for :meth:`forward`."""
        return self.get_sentence_features(
            [self.tokenizer.tokenize(text) for text in prepend_prompt(inputs, prompt)]
        )

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return features

    def get_sentence_features(
        self, tokenized_texts: list[list[int]], pad_seq_length: int = 0
    ) -> dict[str, Tensor]:
        """Vectors of texts that are word ids already; ``pad_seq_length`` is accepted for compatibility."""
        weights = torch.tensor(self.weights, dtype=torch.float32)
        vectors = torch.zeros(len(tokenized_texts), len(self.vocab))
        for vector, tokens in zip(vectors, tokenized_texts, strict=True):
            ids = torch.tensor(tokens, dtype=torch.int64)
            if self.cumulative_term_frequency:
                vector.index_add_(0, ids, weights[ids])
            else:
                vector[ids] = weights[ids]
        return {"sentence_embedding": vectors}

    def get_embedding_dimension(self) -> int:
        """Words of the vocabulary."""
        return len(self.vocab)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)
