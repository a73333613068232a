"""Late interaction: each token of a query looks for the token of a document that is most like it, and the
score is the sum of what the query's tokens found.

Source: Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late
    Interaction over BERT", SIGIR 2020. Documents are taken by falling length and some at a time, so that next
    to nothing is padding and a block of similarities stays in the processor's cache: memory does not grow
    with the collection.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from stlib.errors import InvalidInput, InvalidOption
from stlib.util.token_rows import TokenRows

__all__ = ["maxsim", "maxsim_pairwise", "mean_maxsim", "mean_maxsim_pairwise"]

logger = logging.getLogger(__name__)

EMPTY_DOCUMENT = -1e9
"""Score of a document without a token that counts, before any division: below that of every other document.
"""

# Numbers of a block: token vectors and their similarities. A CPU wants them in its cache.
_CPU_ELEMENTS = 2**19
_ACCELERATOR_ELEMENTS = 2**25
# Tokens of the queries that one block of documents is compared with.
_MOST_QUERY_TOKENS = 1024


def maxsim(
    a: Any,
    b: Any,
    a_mask: Any = None,
    b_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = False,
    device: str | torch.device | None = None,
) -> Tensor:
    """Score of every query with every document: the sum over the query's tokens of the largest dot product
    with a token of the document.

    Args:
        a: queries: a list of ``[tokens, d]`` tensors or arrays, a padded ``[n, tokens, d]`` (rows of zeros
            are padding), or ``[tokens, d]`` for one query.
        b: documents, in the same forms.
        a_mask: ``[n, tokens]``, or a list of a row for each query: 0 for tokens that do not count, else their
            weight.
        b_mask: the same for documents; weights other than 0 count as 1.
        chunk_elements: numbers that are held at a time, at most: vectors of a block and their similarities. A
            single pair may take more. Default: what fits the processor's cache.
        length_normalize: divide by the number of the query's tokens that count.
        device: where to compute; blocks are moved there. Default: where the documents are.

    Returns:
        ``[n, m]`` in float32 (float64 if both sides are), where the documents are. Products are computed in
        the type of the vectors (integers in float32) and summed in float32. A document without tokens scores
        -1e9, before any division.

    Raises:
        InvalidInput: shapes do not fit together.
    """
    queries, documents = TokenRows(a, a_mask, "a"), TokenRows(b, b_mask, "b")
    home, place = _devices(queries, documents, device)
    if not len(queries) or not len(documents):
        return torch.zeros(len(queries), len(documents), device=home)
    limit = _limit(chunk_elements, place)
    asked, known = _by_length(queries), _by_length(documents)
    bands = []
    for some in _query_blocks(queries, asked, limit):
        block, weights = queries.take(some, place), queries.take_weights(some, place)
        tokens = block.shape[0] * block.shape[1]
        parts = [
            _score_all(block, documents.take(others, place), weights).to(home)
            for others in _blocks(documents, known, tokens + documents.dimension, limit - block.numel())
        ]
        bands.append(torch.cat([torch.zeros(0, len(some), device=home), *parts]))
    found = torch.cat([torch.zeros(len(known), 0, device=home), *bands], dim=1)
    scores = _in_order(_in_order(found, known, documents, EMPTY_DOCUMENT).T, asked, queries, 0.0)
    if len(known) < len(documents) and len(asked) < len(queries):
        scores = scores.masked_fill(_empty(documents, home), EMPTY_DOCUMENT)
    return scores / _counts(queries, home).unsqueeze(1) if length_normalize else scores


def maxsim_pairwise(
    a: Any,
    b: Any,
    a_mask: Any = None,
    b_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = False,
    device: str | torch.device | None = None,
) -> Tensor:
    """Score of query i with document i, ``[n]``; arguments as for :func:`maxsim`.

    Raises:
        InvalidInput: shapes do not fit together, or there are not as many queries as documents.
    """
    queries, documents = TokenRows(a, a_mask, "a"), TokenRows(b, b_mask, "b")
    if len(queries) != len(documents):
        raise InvalidInput(
            f"a has {len(queries)} queries and b {len(documents)} documents; pairs need as many of either"
        )
    return score_pairs(queries, documents, range(len(queries)), chunk_elements, length_normalize, device)


def mean_maxsim(
    a: Any,
    b: Any,
    a_mask: Any = None,
    b_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = True,
    device: str | torch.device | None = None,
) -> Tensor:
    """:func:`maxsim` divided by the number of the query's tokens: scores of queries can be compared."""
    return maxsim(a, b, a_mask, b_mask, chunk_elements, length_normalize, device)


def mean_maxsim_pairwise(
    a: Any,
    b: Any,
    a_mask: Any = None,
    b_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = True,
    device: str | torch.device | None = None,
) -> Tensor:
    """:func:`maxsim_pairwise` divided by the number of the query's tokens."""
    return maxsim_pairwise(a, b, a_mask, b_mask, chunk_elements, length_normalize, device)


def score_pairs(
    queries: TokenRows,
    documents: TokenRows,
    query_of: Sequence[int],
    chunk_elements: int | None = None,
    length_normalize: bool = False,
    device: str | torch.device | None = None,
) -> Tensor:
    """Score of each document ``i`` with the query ``query_of[i]``, ``[len(documents)]``."""
    home, place = _devices(queries, documents, device)
    counted = [i for i in _by_length(documents) if queries.lengths[query_of[i]]]
    longest = max((queries.lengths[query_of[i]] for i in counted), default=0)
    parts = []
    for some in _blocks(
        documents,
        counted,
        longest + documents.dimension,
        _limit(chunk_elements, place),
        longest * queries.dimension,
    ):
        asking = [query_of[i] for i in some]
        block = queries.take(asking, place)
        best = _best(torch.bmm(*_alike(documents.take(some, place), block.transpose(1, 2))))
        weights = queries.take_weights(asking, place)
        parts.append((best if weights is None else best * weights).sum(dim=1).to(home))
    found = torch.cat(parts) if parts else torch.zeros(0, device=home)
    scores = _in_order(found, counted, documents, 0.0)
    empty = _empty(documents, home)
    if bool(empty.any()):
        _tell_empty()
        scores = scores.masked_fill(empty, EMPTY_DOCUMENT)
    if not length_normalize:
        return scores
    return scores / _counts(queries, home)[torch.tensor(query_of, dtype=torch.long, device=home)]


def _score_all(queries: Tensor, documents: Tensor, weights: Tensor | None) -> Tensor:
    """Scores ``[documents, queries]`` of blocks ``[q, s, d]`` and ``[m, t, d]``, of which no token is padding
    but for ``weights [q, s]``.
    """
    flat = torch.matmul(*_alike(documents.flatten(0, 1), queries.flatten(0, 1).T))
    best = _best(flat.view(*documents.shape[:2], -1)).view(len(documents), *queries.shape[:2])
    return (best if weights is None else best * weights).sum(dim=2)


def _best(similarities: Tensor) -> Tensor:
    """The largest over the documents' tokens, the second axis, in the type in which they are summed."""
    # With a gradient, one of several equal tokens gets it all.
    best = similarities.max(dim=1).values if similarities.requires_grad else similarities.amax(dim=1)
    return best if best.dtype == torch.float64 else best.float()


def _alike(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(a.dtype, b.dtype)
    return a.to(dtype), b.to(dtype)


def _devices(
    queries: TokenRows, documents: TokenRows, device: str | torch.device | None
) -> tuple[torch.device, torch.device]:
    """Where the scores belong, and where to compute."""
    home = documents.device or queries.device or torch.device("cpu")
    return home, home if device is None else torch.device(device)


def _limit(chunk_elements: int | None, place: torch.device) -> int:
    usual = _CPU_ELEMENTS if place.type == "cpu" else _ACCELERATOR_ELEMENTS
    if chunk_elements is None:
        return usual
    if isinstance(chunk_elements, bool) or not isinstance(chunk_elements, int) or chunk_elements < 1:
        raise InvalidOption(
            f"chunk_elements is {chunk_elements!r}; give the numbers to hold at a time, or None"
        )
    return min(chunk_elements, usual)


def _by_length(rows: TokenRows) -> list[int]:
    """Places of the texts that have a token, the longest first."""
    lengths = rows.lengths
    return sorted((i for i in range(len(rows)) if lengths[i]), key=lambda i: -lengths[i])


def _query_blocks(queries: TokenRows, order: list[int], limit: int) -> Iterator[list[int]]:
    """Queries that are compared at a time: few enough tokens that a document's similarities fit the limit."""
    start = 0
    while start < len(order):
        longest = queries.lengths[order[start]]
        most = min(_MOST_QUERY_TOKENS, limit // (2 * max(queries.dimension, 1)))
        n = max(1, most // longest)
        yield order[start : start + n]
        start += n


def _blocks(
    rows: TokenRows, order: list[int], per_token: int, limit: int, per_text: int = 0
) -> Iterator[list[int]]:
    """Parts of ``order``, which falls in length, that stay within the limit; at least one text each."""
    start = 0
    while start < len(order):
        n = max(1, limit // (rows.lengths[order[start]] * per_token + per_text))
        yield order[start : start + n]
        start += n


def _in_order(found: Tensor, places: list[int], rows: TokenRows, missing: float) -> Tensor:
    """Rows of ``found``, the i-th of which belongs to the text ``places[i]``, by the place of the text."""
    n = len(rows)
    if places == list(range(n)):
        return found
    back = torch.full((n,), len(places))
    back[torch.tensor(places, dtype=torch.long)] = torch.arange(len(places))
    if len(places) < n:
        if missing == EMPTY_DOCUMENT:
            _tell_empty()
        found = torch.cat([found, found.new_full((1, *found.shape[1:]), missing)])
    return found.index_select(0, back.to(found.device))


def _empty(documents: TokenRows, device: torch.device) -> Tensor:
    return torch.tensor([not length for length in documents.lengths], dtype=torch.bool, device=device)


def _counts(queries: TokenRows, device: torch.device) -> Tensor:
    return torch.tensor(queries.lengths, dtype=torch.float32, device=device).clamp(min=1)


@cache
def _tell_empty() -> None:
    logger.warning(
        "a document has no token that counts, as when MultiVectorMask leaves all out; it scores %g and so "
        "comes last",
        EMPTY_DOCUMENT,
    )
