"""A static embedding model without torch: token vectors, their mean, and nothing else.

The vector of a text is the mean of the vectors of its tokens (no special tokens), as in Sentence
Transformers' ``StaticEmbedding``; a text without tokens gets the zero vector.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.runtime.bundled import BUNDLED_MODEL_NAME, default_model_path
from stlib.runtime.errors import UnknownPromptError
from stlib.runtime.folder import StaticModel, read_static_model
from stlib.runtime.words import TokenReader

# Tokens whose rows are gathered at a time: 2048 rows of 256 float32 are 2 MiB, which stays in a core's
# cache and bounds the memory whatever the length of the texts.
_TOKENS_PER_BLOCK = 2048

# From so many texts at a time it pays to hold the token vectors as float32.
_BULK_TEXTS = 512

# Prompt names tried by encode_query and encode_document, first match wins.
_QUERY_PROMPTS = ("query",)
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")


class Encoder:
    """Turns texts into vectors with numpy and a tokenizer; loads in a fraction of a second.

    Create it with :meth:`load`. Instances may be shared between threads.
    """

    def __init__(self, model: StaticModel, name: str) -> None:
        self._model = model
        self._tokens = TokenReader(model.tokenizer)
        self._bulk = False  # set once many texts come at a time; changes speed and memory, not vectors
        self.name = name

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Encoder:
        """Load the model in the folder ``path``.

        ``None`` and ``"stlib-static-en"`` mean the bundled model, unless a folder of that name exists in
        the working directory.

        Raises:
            ModelError: see :func:`stlib.runtime.folder.read_static_model`.
        """
        bundled = path is None or (os.fspath(path) == BUNDLED_MODEL_NAME and not Path(path).is_dir())
        folder = default_model_path() if bundled else Path(path)  # type: ignore[arg-type]
        return cls(read_static_model(folder), folder.resolve().name)

    @property
    def dimension(self) -> int:
        """Width of the vectors before any truncation."""
        return int(self._model.weight.shape[1])

    @property
    def prompts(self) -> dict[str, str]:
        """Prompt name to prompt text; a copy."""
        return dict(self._model.prompts)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over tokenizer, weights, pipeline and prompts: equal vectors everywhere if equal.

        Depends on contents only (no paths, names or library versions), so it is the same on every machine.
        """
        model = self._model
        header = {
            "normalize": model.normalize,
            "prompts": model.prompts,
            "default_prompt_name": model.default_prompt_name,
            "tokenizer": model.tokenizer_digest,
        }
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        for tensor in (model.weight, model.scale):
            if tensor is not None:
                digest.update(f"{tensor.dtype.str}{list(tensor.shape)}".encode())
                digest.update(np.ascontiguousarray(tensor).data)
        return digest.hexdigest()

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncate_dim: int | None = None,
        normalize_embeddings: bool = False,
        batch_size: int = 1024,
    ) -> NDArray[np.float32]:
        """Vectors of ``texts``: float32 ``[len(texts), d]``, in order.

        Args:
            texts: list of strings; a single string is refused, since it is a sequence of letters.
            prompt_name: name of one of the model's prompts, put before every text.
            prompt: text put before every text; wins over ``prompt_name``.
            truncate_dim: keep the first ``truncate_dim`` dimensions (Matryoshka); the bundled model is
                trained for the sizes in its model card.
            normalize_embeddings: scale vectors to unit length, after truncation. Zero vectors stay zero.
            batch_size: texts tokenised at a time; bounds memory, does not change the vectors.

        Raises:
            UnknownPromptError: the model has no prompt of this name.
            TypeError: ``texts`` is a single string.
            ValueError: ``truncate_dim`` or ``batch_size`` is out of range.
        """
        texts = self._checked(texts, truncate_dim, batch_size)
        self._bulk = self._bulk or len(texts) >= _BULK_TEXTS
        prefix = self._prefix(prompt_name, prompt)
        width = truncate_dim or self.dimension
        vectors = np.empty((len(texts), width), dtype=np.float32)
        for start in range(0, len(texts), batch_size):
            batch = (
                [prefix + text for text in texts[start : start + batch_size]]
                if prefix
                else (texts[start : start + batch_size])
            )
            vectors[start : start + batch_size] = self._encode_batch(batch)[:, :width]
        return _unit_length(vectors) if normalize_embeddings else vectors

    def encode_query(self, texts: Sequence[str], **options: Any) -> NDArray[np.float32]:
        """:meth:`encode` with the prompt named ``query`` if the model has one."""
        return self.encode(texts, **self._with_prompt(_QUERY_PROMPTS, options))

    def encode_document(self, texts: Sequence[str], **options: Any) -> NDArray[np.float32]:
        """:meth:`encode` with the prompt named ``document``, ``passage`` or ``corpus`` if there is one."""
        return self.encode(texts, **self._with_prompt(_DOCUMENT_PROMPTS, options))

    def token_spans(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Where each token lies: one int32 array ``[n_tokens, 2]`` of (start, end) characters per text."""
        return self._tokens.spans(texts)

    def token_counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """How many tokens each text has; much cheaper than :meth:`token_spans`."""
        return self._tokens.counts(texts)

    def __repr__(self) -> str:
        rows = len(self._model.weight)
        return f"Encoder(name={self.name!r}, dimension={self.dimension}, tokens={rows})"

    def _checked(self, texts: Sequence[str], truncate_dim: int | None, batch_size: int) -> list[str]:
        if isinstance(texts, str):
            raise TypeError("texts is a single string; pass a list of strings, for example encode([text])")
        if truncate_dim is not None and not 1 <= truncate_dim <= self.dimension:
            raise ValueError(f"truncate_dim is {truncate_dim}; allowed are 1 to {self.dimension}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        return list(texts)

    def _prefix(self, prompt_name: str | None, prompt: str | None) -> str:
        if prompt is not None:
            return prompt
        name = prompt_name or self._model.default_prompt_name
        if name is None:
            return ""
        if name not in self._model.prompts:
            known = ", ".join(sorted(self._model.prompts)) or "none"
            raise UnknownPromptError(f"no prompt named {name!r}; the prompts of {self.name} are: {known}")
        return self._model.prompts[name]

    def _with_prompt(self, names: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
        if options.get("prompt_name") or options.get("prompt") is not None:
            return options
        name = next((name for name in names if name in self._model.prompts), None)
        return {**options, "prompt_name": name}

    def _encode_batch(self, texts: list[str]) -> NDArray[np.float32]:
        flat, lengths = self._tokens.ids(texts)
        means = self._segment_sums(flat, lengths) / np.maximum(lengths, 1).astype(np.float32)[:, None]
        return _unit_length(means) if self._model.normalize else means

    def _segment_sums(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Sum of the token vectors of each text, ``[len(lengths), d]``; ``tokens`` are laid end to end.

        Blocks begin where texts do, so that a text's neighbours do not change how its sum is rounded.
        """
        sums = np.zeros((len(lengths), self.dimension), dtype=np.float32)
        ends = np.cumsum(lengths)
        first = 0
        while first < len(lengths):
            begin = ends[first] - lengths[first]
            after = int(np.searchsorted(ends, begin + _TOKENS_PER_BLOCK, "right"))
            if after == first:  # a long text on its own
                for start in range(begin, ends[first], _TOKENS_PER_BLOCK):
                    sums[first] += self._rows(
                        tokens[start : min(start + _TOKENS_PER_BLOCK, ends[first])]
                    ).sum(axis=0)
                first += 1
                continue
            filled = np.arange(first, after)[lengths[first:after] > 0]
            if len(filled):
                rows = self._rows(tokens[begin : ends[after - 1]])
                sums[filled] = np.add.reduceat(rows, ends[filled] - lengths[filled] - begin, axis=0)
            first = after
        return sums

    @cached_property
    def _float_rows(self) -> NDArray[np.float32]:
        """The whole table as float32: four times the memory of int8, a third of the time per token."""
        table = self._model.weight.astype(np.float32)
        scale = self._model.scale
        return table if scale is None else table * scale

    def _rows(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        if self._bulk:
            return np.take(self._float_rows, tokens, axis=0)
        rows = self._model.weight[tokens].astype(np.float32, copy=False)
        scale = self._model.scale
        if scale is not None:
            rows *= scale[tokens] if len(scale) > 1 else scale
        return rows


def _unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, np.float32(1e-12))
