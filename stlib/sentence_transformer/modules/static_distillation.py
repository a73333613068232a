"""Distil a transformer into a table of token vectors.

Each token is run through the teacher on its own, between the teacher's start and end tokens, and pooled. The
table is reduced by PCA and weighted by smooth inverse frequency, with frequencies estimated from the rank of
a token by Zipf's law. The recipe is that of model2vec (Tulkens and van Dongen,
https://github.com/MinishLab/model2vec); the weights are those of Arora, Liang and Ma, "A Simple but
Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017.
"""

from __future__ import annotations

import inspect
import logging
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from stlib.base.tokenizer_json import TokenizerJson
from stlib.base.transformer.files import load_tokenizer, load_transformer
from stlib.errors import InvalidOption, UnsupportedOption
from stlib.util.environment import get_device_name
from stlib.util.file_io import resolve_model_folder

logger = logging.getLogger(__name__)

_BATCH = 256  # one-token inputs: any batch fits


@dataclass(frozen=True)
class DistillOptions:
    """Options of :meth:`.StaticEmbedding.from_distillation`, where they are explained."""

    vocabulary: tuple[str, ...] = ()
    device: str | None = None
    pca_dims: int | float | str | None = 256
    sif_coefficient: float | None = 1e-4
    token_remove_pattern: str | None = r"\[unused\d+\]"  # noqa: S105 - a vocabulary token, no secret
    use_subword: bool = True
    trust_remote_code: bool = False
    pooling: str = "mean"

    def __post_init__(self) -> None:
        if not self.use_subword:
            raise UnsupportedOption(
                "use_subword=False is not served; leave it out: the teacher's tokens are kept"
            )
        if self.sif_coefficient is not None and not 0 < self.sif_coefficient < 1:
            raise InvalidOption(
                f"sif_coefficient is {self.sif_coefficient}; use a value between 0 and 1, or None"
            )
        if self.pooling not in _POOL:
            raise InvalidOption(f"pooling={self.pooling!r} is unknown; use one of: {', '.join(_POOL)}")
        if isinstance(self.pca_dims, str) and self.pca_dims != "auto":
            raise InvalidOption(f"pca_dims={self.pca_dims!r} is unknown; use a number, 'auto' or None")


def distill_table(model_name: str, options: DistillOptions) -> tuple[Tokenizer, np.ndarray]:
    """Tokenizer and table ``[vocabulary, d]`` (float64) of a teacher.

    Raises:
        InvalidOption: ``token_remove_pattern`` is no regular expression.
        ModelNotFound, MissingModelFile, ModelConfigError: the teacher cannot be loaded.
    """
    folder = resolve_model_folder(model_name)
    trust = {"trust_remote_code": options.trust_remote_code}
    teacher_tokenizer = load_tokenizer(folder, dict(trust))
    teacher = load_transformer(folder, dict(trust), dict(trust))
    original = TokenizerJson.from_transformers(teacher_tokenizer)
    reduced = original.without_markers().with_prefix_space()
    if options.token_remove_pattern is not None:
        pattern = _compile(options.token_remove_pattern)
        reduced = reduced.without([token for token in reduced.tokens() if pattern.match(token)])
    reduced = reduced.with_words(options.vocabulary)
    device = options.device or get_device_name()
    sequences = _token_sequences(reduced.tokens(), teacher_tokenizer, original.ends())
    table = _token_vectors(
        teacher.to(device).eval(), sequences, teacher_tokenizer.pad_token_id or 0, options.pooling
    )
    table = _reduce(table, options.pca_dims)
    return reduced.build(), table * sif_weights(len(table), options.sif_coefficient)[:, None]


def sif_weights(n_tokens: int, coefficient: float | None) -> np.ndarray:
    """``a / (a + p)`` per token, ``p`` from Zipf's law by position in the vocabulary; ones for None.

    Vocabularies are ordered by frequency, more or less, which makes the position a rank.
    """
    if coefficient is None:
        return np.ones(n_tokens)
    inverse_rank = 1 / np.arange(2, n_tokens + 2)
    return coefficient / (coefficient + inverse_rank / inverse_rank.sum())


def principal_components(x: np.ndarray, n: int | float) -> np.ndarray:
    """``x [rows, d]`` in its first ``n`` principal components; a float ``n`` is the share of variance to
    keep.

    The sign of a component is such that its entry of largest magnitude is positive, which makes it
    reproducible.
    """
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(x) - 1))
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    if isinstance(n, float):
        share = np.cumsum(values) / values.sum()
        n = min(int(np.searchsorted(share, n)) + 1, len(values))
    scores = centred @ vectors[:, :n]
    largest = np.abs(scores).argmax(axis=0)
    return scores * np.sign(scores[largest, np.arange(scores.shape[1])])


def _reduce(table: np.ndarray, wanted: int | float | str | None) -> np.ndarray:
    if wanted is None:
        return table
    width = table.shape[1]
    dims = width if isinstance(wanted, str) else wanted  # the string is "auto"
    if dims > width:
        logger.warning("pca_dims=%s exceeds the %d dimensions of the teacher; all are kept", dims, width)
        dims = width
    if dims >= len(table):
        logger.warning(
            "pca_dims=%s needs more than the %d tokens there are; the PCA is skipped", dims, len(table)
        )
        return table
    return principal_components(table, dims)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InvalidOption(f"token_remove_pattern {pattern!r} is no regular expression: {error}") from error


def _token_sequences(tokens: list[str], tokenizer: Any, ends: tuple[list[str], list[str]]) -> list[list[int]]:
    """What the teacher reads for each token: its id between start and end, or the ids of a new word."""
    ids = tokenizer.get_vocab()
    start, end = ([ids[token] for token in side] for side in ends)
    return [
        [*start, ids[token], *end] if token in ids else tokenizer.backend_tokenizer.encode(token).ids
        for token in tokens
    ]


@torch.inference_mode()
def _token_vectors(teacher: Any, sequences: list[list[int]], pad_id: int, pooling: str) -> np.ndarray:
    """Pooled teacher outputs, float32 ``[tokens, d]``, in the order of the sequences."""
    takes_types = "token_type_ids" in inspect.signature(teacher.forward).parameters
    order = np.argsort([len(s) for s in sequences], kind="stable")
    rows: list[np.ndarray | None] = [None] * len(sequences)
    for start in range(0, len(order), _BATCH):
        batch = [torch.tensor(sequences[i]) for i in order[start : start + _BATCH]]
        ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=pad_id)
        mask = torch.arange(ids.shape[1]) < torch.tensor([[len(s)] for s in batch])
        features = {"input_ids": ids, "attention_mask": mask.long()}
        if takes_types:
            features["token_type_ids"] = torch.zeros_like(ids)
        features = {name: value.to(teacher.device) for name, value in features.items()}
        hidden = teacher(**features).last_hidden_state.float().cpu()
        for i, row in zip(order[start : start + _BATCH], _POOL[pooling](hidden, mask), strict=True):
            rows[i] = row.numpy()
    return np.nan_to_num(np.stack([row for row in rows if row is not None]))


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.float() / mask.sum(dim=1, keepdim=True)
    return torch.bmm(weights.unsqueeze(1), hidden).squeeze(1)


def _first(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return hidden[:, 0]


def _last(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return hidden[torch.arange(len(hidden)), mask.sum(dim=1) - 1]


_POOL = {"mean": _mean, "first": _first, "last": _last}
