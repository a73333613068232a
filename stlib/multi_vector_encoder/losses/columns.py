"""What losses of late-interaction models share: the token vectors of a batch's columns.

The first column holds queries, the others documents, unless the features say otherwise: a data collator notes
under ``"task"`` what each column was prepared for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from stlib.base.losses.checks import check_model, require_columns
from stlib.base.losses.feature_rows import Features, check_mini_batches, row_ranges, take_rows
from stlib.base.losses.merged_forward import merge_columns
from stlib.util.tensor import cat_padded_token_embeddings, stack_padded_token_embeddings

Scoring = Callable[..., Tensor]
"""``(queries [n, s, d], documents, queries_mask=, documents_mask=)`` to scores; each loss says its shapes."""


class Tokens(NamedTuple):
    """Vectors ``[…, tokens, d]``, and which of them count ``[…, tokens]``."""

    vectors: Tensor
    mask: Tensor


class TokensLoss(nn.Module):
    """A loss that is a function of the scores of token vectors.

    Raises:
        InvalidOption: no loaded model, or a number of rows that holds none.
    """

    def __init__(self, model: Any, similarity_fct: Scoring, mini_batch_size: int | None) -> None:
        super().__init__()
        check_model(self, model)
        check_mini_batches(mini_batch_size, None)
        # The trainer puts its wrapped model (compiled, or of several processes) in the place of this name.
        self.model: Any = model
        self.similarity_fct = similarity_fct
        self.mini_batch_size = mini_batch_size

    def embed(
        self, sentence_features: Iterable[Features], wanted: int, names: str
    ) -> tuple[Tokens, list[Tokens]]:
        """The queries and the columns of documents.

        Raises:
            InvalidInput: fewer than ``wanted`` columns came, which ``names`` describes.
        """
        columns = [dict(features) for features in sentence_features]
        require_columns(self, columns, wanted, names)
        queries = embed(self.model, columns[0], "query")
        return queries, embed_documents(self.model, columns[1:], self.mini_batch_size)

    def score(self, queries: Tokens, documents: Tokens) -> Tensor:
        """The scores that the loss is a function of."""
        return self.similarity_fct(
            queries.vectors, documents.vectors, queries_mask=queries.mask, documents_mask=documents.mask
        )


def embed(model: Any, features: Features, task: str) -> Tokens:
    """The token vectors of a column; ``task`` counts where the features name none."""
    output = model(features, task=features.get("task", task))
    return Tokens(output["token_embeddings"], output["attention_mask"].bool())


def embed_documents(model: Any, columns: list[Features], rows: int | None = None) -> list[Tokens]:
    """The token vectors of columns of documents, in one pass if they can be merged.

    Args:
        rows: of one pass at most, each of which is as wide as its own longest document.
    """
    merged = merge_columns(columns)
    if merged is None:
        return [_embed_some(model, features, rows) for features in columns]
    vectors, mask = _embed_some(model, merged, rows)
    parts = zip(vectors.unflatten(0, (len(columns), -1)), mask.unflatten(0, (len(columns), -1)), strict=True)
    return [Tokens(*part) for part in parts]


def _embed_some(model: Any, features: Features, rows: int | None) -> Tokens:
    if rows is None:
        return embed(model, features, "document")
    parts = [
        embed(model, take_rows(features, begin, end), "document") for begin, end in row_ranges(features, rows)
    ]
    return cat_rows(parts)


def cat_rows(parts: Sequence[Tokens]) -> Tokens:
    """Parts ``[n_i, tokens_i, d]`` below each other, padded to the longest."""
    return Tokens(*cat_padded_token_embeddings(*_apart(parts)))


def stack_columns(columns: Sequence[Tokens]) -> Tokens:
    """Columns ``[n, tokens_i, d]`` side by side, ``[n, columns, tokens, d]``, padded to the longest."""
    return Tokens(*stack_padded_token_embeddings(*_apart(columns)))


def _apart(tokens: Sequence[Tokens]) -> tuple[list[Tensor], list[Tensor]]:
    return [one.vectors for one in tokens], [one.mask for one in tokens]
