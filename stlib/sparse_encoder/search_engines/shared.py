"""What the engines share: looking at what came, rows of sparse tensors, timing."""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from tqdm import trange

from stlib.errors import InvalidInput, InvalidOption, MissingDependency
from stlib.util.names import describe_value

Hits = list[dict[str, Any]]
Words = list[list[tuple[str, float]]]

# Documents sent to a server at a time.
BATCH = 1000


def import_client(module: str, package: str, engine: str) -> Any:
    """The module of an engine's client.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f"searching with {engine} needs {package}; run: pip install {package}"
        ) from error


def check_words(embeddings: Any, argument: str) -> Words:
    """Decoded embeddings, as they came.

    Raises:
        InvalidInput: they are not lists of (token, weight).
    """
    rows = embeddings if isinstance(embeddings, list) else None
    if rows is None or not all(isinstance(row, list) and all(map(_is_pair, row)) for row in rows):
        raise InvalidInput(
            f"{argument} is {describe_value(embeddings)}; give a list for each text, of pairs of a token and "
            "its weight, as SparseEncoder.decode makes them of several embeddings"
        )
    return rows


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2


def check_sparse(embeddings: Any, argument: str) -> Tensor:
    """Embeddings ``[n, d]``, coalesced and on the CPU; one vector becomes a matrix of one row.

    Raises:
        InvalidInput: they are not a sparse tensor of the COO layout.
    """
    if not isinstance(embeddings, Tensor) or embeddings.layout is not torch.sparse_coo:
        raise InvalidInput(
            f"{argument} is {describe_value(embeddings)}; give a sparse COO tensor, as SparseEncoder.encode "
            "makes it"
        )
    if embeddings.ndim not in (1, 2):
        raise InvalidInput(f"{argument} has {embeddings.ndim} dimensions; give a matrix or one vector")
    matrix = embeddings.unsqueeze(0) if embeddings.ndim == 1 else embeddings
    return matrix.coalesce().cpu()


def rows_of(embeddings: Tensor) -> Iterator[tuple[list[int], list[float]]]:
    """Dimensions and values of each row of a coalesced tensor ``[n, d]``, without stored zeros."""
    rows, columns = embeddings.indices()
    values = embeddings.values().float()
    bounds = torch.searchsorted(rows, torch.arange(len(embeddings) + 1)).tolist()
    for begin, end in itertools.pairwise(bounds):
        kept = values[begin:end] != 0
        yield columns[begin:end][kept].tolist(), values[begin:end][kept].tolist()


def batches(n: int) -> Iterator[range]:
    """Positions of documents to send together."""
    for start in trange(0, n, BATCH, desc="Sending embeddings", leave=False):
        yield range(start, min(start + BATCH, n))


def need_corpus(corpus: Any, argument: str) -> Any:
    """
    Raises:
        InvalidOption: there is neither a corpus nor an index.
    """
    if corpus is None:
        raise InvalidOption(
            f"there is nothing to search; give {argument}, or a corpus_index of an earlier call"
        )
    return corpus


def search_all(queries: list[Any], ask: Callable[[Any], Hits], index: Any, output_index: bool) -> Any:
    """The answers to all queries and the seconds they took, and the index if it was asked for."""
    start = time.perf_counter()
    found = [ask(query) for query in queries]
    seconds = time.perf_counter() - start
    return (found, seconds, index) if output_index else (found, seconds)
