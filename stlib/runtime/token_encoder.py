"""A late-interaction model without torch: a vector for each token of a text."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError, UnknownPrompt
from stlib.runtime.modules.base import TOKEN_EMBEDDINGS, Features, Rows, available_cores
from stlib.runtime.side_by_side import run_side_by_side
from stlib.runtime.token_folder import TokenPipeline, read_token_pipeline
from stlib.util.forks import cached_property

__all__ = ["TokenRuntimeEncoder"]

TokenVectors = NDArray[np.float32]
"""Vectors of a text's tokens, ``[tokens, dimension]``."""


class TokenRuntimeEncoder:
    """Turns texts into a vector for each token that counts, with numpy, a tokenizer and ONNX Runtime.

    Create it with :meth:`load`. Instances may be shared between threads.
    """

    def __init__(self, pipeline: TokenPipeline, name: str, source: str) -> None:
        self._pipeline = pipeline
        self.name = name
        self.source = source
        """What :meth:`load` takes to load this model again."""

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, file_name: str | None = None) -> TokenRuntimeEncoder:
        """Load the model in the folder ``path``.

        Args:
            path: a folder saved by ``MultiVectorEncoder`` of Sentence Transformers or of this library with an
                ONNX file of its transformer; or such a transformer alone with its tokenizer, of which every
                token's vector is then scaled to unit length.
            file_name: the ONNX file to run, in the folder or its ``onnx`` subfolder. By default it is
                ``model.onnx``, or the only one in a folder without torch weights.

        Raises:
            StlibError: see :func:`stlib.runtime.token_folder.read_token_pipeline`.
        """
        folder = Path(path)
        source = folder.resolve()
        return cls(read_token_pipeline(folder, file_name), source.name, str(source))

    @property
    def dimension(self) -> int:
        """Width of a token's vector."""
        return self._pipeline.dimension

    @property
    def prompts(self) -> dict[str, str]:
        """Prompt name to prompt text; a copy."""
        return dict(self._pipeline.prompts)

    @property
    def max_seq_length(self) -> int | None:
        """Tokens read of a text without a task, special ones included; None without a limit."""
        return self._pipeline.first.max_seq_length

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over tokenizer, weights, pipeline and prompts: equal vectors everywhere if equal.

        Depends on contents only (no paths, names or library versions), so it is the same on every machine.
        """
        pipeline = self._pipeline
        header = {
            "kind": "token vectors",
            "prompts": pipeline.prompts,
            "default_prompt_name": pipeline.default_prompt_name,
            "modules": [module.signature() for module in pipeline.modules],
        }
        return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        task: str | None = None,
        batch_size: int = 1024,
    ) -> list[TokenVectors]:
        """For each of ``texts`` the vectors of its tokens, float32 ``[tokens, dimension]``, in order.

        Tokens that do not count, such as punctuation of documents, are left out, as the model says.

        Args:
            texts: list of strings; a single string is refused, since it is a sequence of letters.
            prompt_name: name of one of the model's prompts, put before every text.
            prompt: text put before every text; wins over ``prompt_name``.
            task: ``"query"`` or ``"document"``: which length, route and tokens; see :meth:`encode_query`.
            batch_size: texts tokenised at a time; bounds memory, does not change the vectors.

        Raises:
            UnknownPrompt: the model has no prompt of this name.
            UnknownTask: the model has no route for this task.
            TypeError: ``texts`` is a single string.
            ValueError: ``batch_size`` is below 1.
        """
        if isinstance(texts, str):
            raise TypeError("texts is a single string; pass a list of strings, for example encode([text])")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        prefix = self._prefix(prompt_name, prompt)
        texts = list(texts)
        found: list[TokenVectors] = []
        for start in range(0, len(texts), batch_size):
            found += self._encode_some(texts[start : start + batch_size], prefix, task)
        return found

    def encode_query(self, texts: Sequence[str], **options: Any) -> list[TokenVectors]:
        """As :meth:`encode`, with the task and prompt ``query``; filled up with mask tokens if so set."""
        return self.encode(texts, **_with_task("query", options))

    def encode_document(self, texts: Sequence[str], **options: Any) -> list[TokenVectors]:
        """As :meth:`encode`, with the task and prompt ``document``."""
        return self.encode(texts, **_with_task("document", options))

    def __repr__(self) -> str:
        kinds = " + ".join(type(module).__name__ for module in self._pipeline.modules)
        return f"TokenRuntimeEncoder(name={self.name!r}, dimension={self.dimension}, modules={kinds})"

    def _encode_some(self, texts: list[str], prefix: str, task: str | None) -> list[TokenVectors]:
        found: list[TokenVectors] = [np.empty((0, self.dimension), np.float32)] * len(texts)
        batches = list(self._pipeline.first.batches(texts, prefix, task))
        threads = min(available_cores(), len(batches)) if len(batches) > 1 else 1

        def run(batch: tuple[Rows, Features]) -> None:
            rows, features = batch
            features["task"], features["side_by_side"] = task, threads > 1
            for module in self._pipeline.modules:
                features = module.forward(features)
            vectors, counts = features[TOKEN_EMBEDDINGS], features["attention_mask"].astype(bool)
            if vectors.shape[2] != self.dimension:
                raise ModelConfigError(
                    f"the modules of {self.name} give vectors of {vectors.shape[2]} dimensions, but its "
                    f"settings say {self.dimension}; the files are not from one model: save it again"
                )
            for at, row in enumerate(np.arange(len(texts))[rows]):
                found[row] = vectors[at, counts[at]]

        run_side_by_side(run, batches, threads)
        return found

    def _prefix(self, prompt_name: str | None, prompt: str | None) -> str:
        if prompt is not None:
            return prompt
        name = prompt_name or self._pipeline.default_prompt_name
        if name is None:
            return ""
        if name not in self._pipeline.prompts:
            known = ", ".join(sorted(self._pipeline.prompts))
            raise UnknownPrompt(f"no prompt named {name!r}; the prompts of {self.name} are: {known}")
        return self._pipeline.prompts[name]


def _with_task(task: str, options: dict[str, Any]) -> dict[str, Any]:
    named = options.get("prompt_name") is not None or options.get("prompt") is not None
    return {"task": task, **({} if named else {"prompt_name": task}), **options}
