"""Vectors of queries and documents: from the cache, or encoded, each text once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from stlib.util.mining.cache import EmbeddingCache


@dataclass(frozen=True)
class EncodeSettings:
    """How texts are encoded."""

    query_prompt: str | None
    query_prompt_name: str | None
    corpus_prompt: str | None
    corpus_prompt_name: str | None
    batch_size: int
    processes: list[str] | bool
    """Encode in several processes: on these devices, or True for the usual ones."""
    show_progress: bool

    def of_query(self) -> dict[str, str | None]:
        return {"prompt_name": self.query_prompt_name, "prompt": self.query_prompt}

    def of_corpus(self) -> dict[str, str | None]:
        return {"prompt_name": self.corpus_prompt_name, "prompt": self.corpus_prompt}


def embed(
    model: Any, queries: list[Any], corpus: list[Any], settings: EncodeSettings, cache: EmbeddingCache | None
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of the queries ``[q, d]`` and of the corpus ``[n, d]``."""
    if cache is None:
        return _encode_both(model, queries, corpus, settings)
    paths = [
        cache.path("query_embeddings", settings.of_query(), queries),
        cache.path("corpus_embeddings", settings.of_corpus(), corpus),
    ]
    found = [cache.load(path, len(texts)) for path, texts in zip(paths, (queries, corpus), strict=True)]
    if found[0] is None and found[1] is None:
        made: list[np.ndarray] = list(_encode_both(model, queries, corpus, settings))
    else:
        made = list(_encode_missing(model, (queries, corpus), settings, found))
    for path, before, values in zip(paths, found, made, strict=True):
        if before is None:
            cache.save(path, values)
    return made[0], made[1]


def _encode_both(
    model: Any, queries: list[Any], corpus: list[Any], settings: EncodeSettings
) -> tuple[np.ndarray, np.ndarray]:
    positions = {text: i for i, text in enumerate(corpus)}
    repeated = any(text in positions for text in queries)
    if not (repeated and _treats_alike(model, settings)):
        values = _encode_missing(model, (queries, corpus), settings, [None, None])
        return values[0], values[1]
    for text in queries:
        positions.setdefault(text, len(positions))
    with pool_of(model, settings.processes) as pool:
        every = _encode(model.encode_document, list(positions), settings.of_corpus(), settings, pool)
    return every[[positions[text] for text in queries]], every[: len(corpus)]


def _encode_missing(
    model: Any,
    texts: tuple[list[Any], list[Any]],
    settings: EncodeSettings,
    found: list[np.ndarray | None],
) -> tuple[np.ndarray, np.ndarray]:
    queries, corpus = found
    with pool_of(model, settings.processes if queries is None or corpus is None else False) as pool:
        if corpus is None:
            corpus = _encode(model.encode_document, texts[1], settings.of_corpus(), settings, pool)
        if queries is None:
            queries = _encode(model.encode_query, texts[0], settings.of_query(), settings, pool)
    return queries, corpus


def _encode(
    encode: Any, texts: list[Any], prompt: dict[str, Any], settings: EncodeSettings, pool: Any
) -> np.ndarray:
    values = encode(
        texts,
        batch_size=settings.batch_size,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=settings.show_progress,
        **prompt,
        **({} if pool is None else {"pool": pool}),
    )
    return np.asarray(values)


@contextmanager
def pool_of(model: Any, devices: list[str] | bool) -> Iterator[Any]:
    """A pool of the model's processes, or None without ``devices``; it is stopped at the end."""
    if not devices:
        yield None
        return
    pool = model.start_multi_process_pool(target_devices=None if isinstance(devices, bool) else devices)
    try:
        yield pool
    finally:
        model.stop_multi_process_pool(pool)


def _treats_alike(model: Any, settings: EncodeSettings) -> bool:
    """Whether it is certain that a text has the same vector as a query and as a document."""
    ask = getattr(model, "treats_roles_alike", None)  # models of other libraries do not tell
    return ask is not None and ask(settings.of_query(), settings.of_corpus())
