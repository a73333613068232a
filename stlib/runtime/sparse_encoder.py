"""A sparse model without torch: for each text the words that it is about, with weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stlib.errors import InvalidInput
from stlib.runtime.protocol import SparseRows
from stlib.runtime.sparse_folder import SparsePipeline, SparseRoute, read_sparse_pipeline
from stlib.util.forks import cached_property

__all__ = ["SparseRuntimeEncoder"]

# Texts tokenised at a time, which bounds memory; so many are sorted by length.
_PORTION = 1024


class SparseRuntimeEncoder:
    """Turns texts into weighted words with numpy and a tokenizer.

    Queries of a model with a table of weights run no network. Create it with :meth:`load`; threads may share
    it.
    """

    def __init__(self, pipeline: SparsePipeline, name: str, source: str) -> None:
        self._pipeline = pipeline
        self.name = name
        self.source = source
        """What :meth:`load` takes to load this model again."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SparseRuntimeEncoder:
        """Load the model in the folder ``path``, saved by ``SparseEncoder`` of Sentence Transformers or of
        this library: BERT with its masked-language head, with or without a table of weights for queries.

        Raises:
            StlibError: see :func:`stlib.runtime.sparse_folder.read_sparse_pipeline`.
        """
        source = Path(path).resolve()
        return cls(read_sparse_pipeline(Path(path)), source.name, str(source))

    @property
    def dimension(self) -> int:
        """Size of the vocabulary."""
        return self._pipeline.document.dimension

    @property
    def prompts(self) -> dict[str, str]:
        """Prompt name to prompt text; a copy."""
        return dict(self._pipeline.prompts)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over tokenizers, weights, settings and prompts: equal words everywhere if equal."""
        pipeline = self._pipeline
        header = {
            "kind": "weighted words",
            "prompts": pipeline.prompts,
            "default_prompt_name": pipeline.default_prompt_name,
            "query": pipeline.query.signature(),
            "document": pipeline.document.signature(),
        }
        return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()

    def encode_query(self, texts: Sequence[str]) -> SparseRows:
        """The words of questions, with the prompt named ``query`` if the model has one.

        Raises:
            TypeError: ``texts`` is a single string.
        """
        return self._encode(texts, self._pipeline.query, "query")

    def encode_document(self, texts: Sequence[str]) -> SparseRows:
        """The words of documents, with the prompt named ``document`` if the model has one.

        Raises:
            TypeError: ``texts`` is a single string.
        """
        return self._encode(texts, self._pipeline.document, "document")

    def words(self, terms: Sequence[int]) -> list[str]:
        """What each term is called by the tokenizer.

        Raises:
            InvalidInput: there is no such term.
        """
        reader = self._pipeline.document.tokens.reader
        found = [reader.name_of(int(term)) for term in terms]
        for term, name in zip(terms, found, strict=True):
            if name is None:
                raise InvalidInput(
                    f"there is no term {term}; {self.name} has those from 0 to {self.dimension - 1}"
                )
        return [name for name in found if name is not None]

    def __repr__(self) -> str:
        return f"SparseRuntimeEncoder(name={self.name!r}, dimension={self.dimension})"

    def _encode(self, texts: Sequence[str], route: SparseRoute, task: str) -> SparseRows:
        if isinstance(texts, str):
            raise TypeError("texts is a single string; pass a list of strings, for example [text]")
        texts, prompt = list(texts), self._pipeline.prompts.get(task, "")
        rows = []
        for start in range(0, len(texts), _PORTION):
            rows += route.rows(texts[start : start + _PORTION], prompt)
        starts = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(terms) for terms, _ in rows], out=starts[1:])
        terms = np.concatenate([np.empty(0, np.int32), *(row[0] for row in rows)])
        weights = np.concatenate([np.empty(0, np.float32), *(row[1] for row in rows)])
        return SparseRows(starts, terms, weights)
