"""An embedding model without torch: a facade over the modules of its pipeline."""

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
from stlib.runtime.bundled import BUNDLED_MODEL_NAME, default_model_path
from stlib.runtime.folder import Pipeline, read_pipeline
from stlib.runtime.modules.base import SENTENCE_EMBEDDING, Features, Rows, available_cores, unit_length
from stlib.runtime.modules.normalize import Normalize
from stlib.runtime.modules.static import StaticEmbedding
from stlib.runtime.side_by_side import run_side_by_side
from stlib.util.forks import cached_property

# Tasks of encode_query and encode_document, and the prompts they try, the first with a text wins.
_TASK_PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}


class Encoder:
    """Turns texts into vectors with numpy, a tokenizer and, for transformers, ONNX Runtime.

    Loads in a fraction of a second. Create it with :meth:`load`. Instances may be shared between threads.
    """

    def __init__(self, pipeline: Pipeline, name: str, source: str) -> None:
        self._pipeline = pipeline
        self.name = name
        self.source = source
        """What :meth:`load` takes to load this model again: a folder, an ONNX file, or the bundled name."""

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, *, file_name: str | None = None) -> Encoder:
        """Load the model in the folder ``path``.

        Args:
            path: a folder saved by Sentence Transformers or this library, static or with ONNX files; or one
                of these ONNX files itself. ``None`` and ``"stlib-static-en"`` mean the bundled model, unless
                a folder of that name exists in the working directory.
            file_name: the ONNX file to run, in the folder or its ``onnx`` subfolder. By default it is
                ``model.onnx``, or the only one in a folder without torch weights.

        Raises:
            StlibError: see :func:`stlib.runtime.folder.read_pipeline`.
        """
        if path is None or (os.fspath(path) == BUNDLED_MODEL_NAME and not Path(path).is_dir()):
            return cls(read_pipeline(default_model_path()), BUNDLED_MODEL_NAME, BUNDLED_MODEL_NAME)
        folder = Path(path)
        if file_name is None and folder.suffix == ".onnx" and folder.is_file():
            file_name, folder = folder.name, folder.parent
            if folder.name == "onnx" and not (folder / "config.json").is_file():
                file_name, folder = f"onnx/{file_name}", folder.parent
        pipeline = read_pipeline(folder, file_name)
        source = folder.resolve()
        if file_name is not None:
            runs = getattr(pipeline.first, "path", source)
            return cls(pipeline, source.name, str(Path(runs).absolute()))
        return cls(pipeline, source.name, str(source))

    @property
    def dimension(self) -> int:
        """Width of the vectors unless a call asks for another one."""
        return self._pipeline.truncate_dim or self._pipeline.dimension

    @property
    def is_static(self) -> bool:
        """Whether vectors are means of fixed token vectors, so that encoding a word costs microseconds."""
        return isinstance(self._pipeline.first, StaticEmbedding)

    @property
    def max_seq_length(self) -> int | None:
        """Tokens kept per text, special ones included; None without a limit."""
        return self._pipeline.first.max_seq_length

    @property
    def prompts(self) -> dict[str, str]:
        """Prompt name to prompt text; a copy."""
        return dict(self._pipeline.prompts)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over tokenizer, weights, pipeline and prompts: equal vectors everywhere if equal.

        Depends on contents only (no paths, names or library versions), so it is the same on every machine.
        """
        pipeline = self._pipeline
        shared: dict[str, Any] = {
            "prompts": pipeline.prompts,
            "default_prompt_name": pipeline.default_prompt_name,
        }
        if pipeline.truncate_dim is not None:
            shared["truncate_dim"] = pipeline.truncate_dim
        static = _static_only(pipeline)
        if static is not None:
            return _static_fingerprint(static, len(pipeline.modules) == 2, shared)
        header = {**shared, "modules": [module.signature() for module in pipeline.modules]}
        return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        task: str | None = None,
        truncate_dim: int | None = None,
        normalize_embeddings: bool = False,
        batch_size: int = 1024,
    ) -> NDArray[np.float32]:
        """Vectors of ``texts``: float32 ``[len(texts), d]``, in order.

        Args:
            texts: list of strings; a single string is refused, since it is a sequence of letters.
            prompt_name: name of one of the model's prompts, put before every text.
            prompt: text put before every text; wins over ``prompt_name``.
            task: route of a model with several, such as ``"query"`` or ``"document"``.
            truncate_dim: keep the first ``truncate_dim`` dimensions (Matryoshka); the bundled model is
                trained for the sizes in its model card. Default: what the model asks for, or all.
            normalize_embeddings: scale vectors to unit length, after truncation. Zero vectors stay zero.
            batch_size: texts tokenised at a time; bounds memory, does not change the vectors. A transformer
                runs them in smaller batches of similar length.

        Raises:
            UnknownPrompt: the model has no prompt of this name.
            UnknownTask: the model has no route for this task.
            TypeError: ``texts`` is a single string.
            ValueError: ``truncate_dim`` or ``batch_size`` is out of range.
        """
        texts = self._check(texts, truncate_dim, batch_size)
        prefix = self._prefix(prompt_name, prompt)
        width = truncate_dim or self.dimension
        vectors = np.empty((len(texts), width), dtype=np.float32)
        for start in range(0, len(texts), batch_size):
            self._encode_into(
                vectors[start : start + batch_size], texts[start : start + batch_size], prefix, task
            )
        return unit_length(vectors) if normalize_embeddings else vectors

    def encode_query(self, texts: Sequence[str], **options: Any) -> NDArray[np.float32]:
        """:meth:`encode` with the task and, if the model has one, the prompt named ``query``."""
        return self.encode(texts, **self._with_task("query", options))

    def encode_document(self, texts: Sequence[str], **options: Any) -> NDArray[np.float32]:
        """:meth:`encode` with the task ``document`` and the model's prompt named ``document``, ``passage`` or
        ``corpus``, the first that has a text. (``SentenceTransformer.encode_document`` takes the first that
        the model has, and it always has ``document``, most often without a text.)
        """
        return self.encode(texts, **self._with_task("document", options))

    def token_spans(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Where each token of a document lies: int32 ``[n_tokens, 2]`` of (start, end) characters."""
        return self._pipeline.first.token_reader("document").spans(texts)

    def token_counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """How many tokens each document has; much cheaper than :meth:`token_spans`."""
        return self._pipeline.first.token_reader("document").counts(texts)

    def unread_shares(self, texts: Sequence[str]) -> list[float]:
        """Of each text the part of its letters that the tokens say nothing of, as of other scripts."""
        return self._pipeline.first.token_reader("document").unread_shares(texts)

    def __repr__(self) -> str:
        kinds = " + ".join(type(module).__name__ for module in self._pipeline.modules)
        return f"Encoder(name={self.name!r}, dimension={self.dimension}, modules={kinds})"

    def _check(self, texts: Sequence[str], truncate_dim: int | None, batch_size: int) -> list[str]:
        if isinstance(texts, str):
            raise TypeError("texts is a single string; pass a list of strings, for example encode([text])")
        if truncate_dim is not None and not 1 <= truncate_dim <= self._pipeline.dimension:
            raise ValueError(f"truncate_dim is {truncate_dim}; allowed are 1 to {self._pipeline.dimension}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        return list(texts)

    def _encode_into(self, out: NDArray[np.float32], texts: list[str], prompt: str, task: str | None) -> None:
        batches = list(self._pipeline.first.batches(texts, prompt, task))
        threads = min(available_cores(), len(batches)) if len(batches) > 1 else 1

        def run(batch: tuple[Rows, Features]) -> None:
            rows, features = batch
            features["task"], features["side_by_side"] = task, threads > 1
            for module in self._pipeline.modules:
                features = module.forward(features)
            out[rows] = self._of_declared_width(features[SENTENCE_EMBEDDING])[:, : out.shape[1]]

        run_side_by_side(run, batches, threads)

    def _of_declared_width(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if vectors.shape[1] != self._pipeline.dimension:
            raise ModelConfigError(
                f"the modules of {self.name} give vectors of {vectors.shape[1]} dimensions, but its settings "
                f"say {self._pipeline.dimension}; the files are not from one model: save it again"
            )
        return vectors

    def _prefix(self, prompt_name: str | None, prompt: str | None) -> str:
        if prompt is not None:
            return prompt
        name = prompt_name or self._pipeline.default_prompt_name
        if name is None:
            return ""
        prompts = {"query": "", "document": "", **self._pipeline.prompts}  # every model has these two
        if name not in prompts:
            known = ", ".join(sorted(self._pipeline.prompts)) or "none"
            raise UnknownPrompt(f"no prompt named {name!r}; the prompts of {self.name} are: {known}")
        return prompts[name]

    def _with_task(self, task: str, options: dict[str, Any]) -> dict[str, Any]:
        options = {"task": task, **options}
        if options.get("prompt_name") is None and options.get("prompt") is None:
            prompts = self._pipeline.prompts
            options["prompt_name"] = next((n for n in _TASK_PROMPTS[task] if prompts.get(n)), task)
        return options


def _static_only(pipeline: Pipeline) -> StaticEmbedding | None:
    """The token table of a pipeline that consists of it, perhaps followed by a plain normalisation."""
    first, *rest = pipeline.modules
    return first if isinstance(first, StaticEmbedding) and rest in ([], [Normalize()]) else None


def _static_fingerprint(static: StaticEmbedding, normalize: bool, shared: dict[str, Any]) -> str:
    """The form that collections of static models have recorded from the beginning."""
    header = {**shared, "normalize": normalize, "tokenizer": static.tokenizer_digest}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for tensor in (static.weight, static.scale):
        if tensor is not None:
            digest.update(f"{tensor.dtype.str}{list(tensor.shape)}".encode())
            digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()
