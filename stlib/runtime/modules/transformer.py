"""A transformer exported to ONNX: texts in, token embeddings out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stlib.errors import (
    ModelConfigError,
    UnsupportedModel,
)
from stlib.runtime.files import OpenFiles, read_object
from stlib.runtime.modules.base import (
    EXPANDED,
    SENTENCE_EMBEDDING,
    TOKEN_EMBEDDINGS,
    Features,
    Rows,
)
from stlib.runtime.modules.expansion import Expansion, read_expansion
from stlib.runtime.modules.onnx_files import depends_on_batch, external_files, find_onnx_file
from stlib.runtime.modules.onnx_session import open_session, run_session
from stlib.runtime.modules.text_tokens import TextTokens, check_length, load_text_tokens
from stlib.runtime.words import TokenReader
from stlib.util.forks import ThreadLock, cached_property

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Names under which generations of the library saved the settings of this module, newest first.
CONFIG_NAMES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)

_OLDER_KEYS = {"tokenizer_args": "processor_kwargs", "tokenizer_kwargs": "processor_kwargs"}

_INPUT_TYPES = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(bool)": np.bool_,
}
_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class OnnxTransformer:
    """Runs an ONNX file on the CPU.

    Args:
        path: the ONNX file.
        tokens: makes its inputs.
        lengths: tokens kept per text by task, where a task has its own limit.
        output_name: key under which the token embeddings go into the features.
        width: size of a token embedding, for files that do not tell.
        expansion: how texts of the task ``"query"`` are filled up.

    Raises:
        MissingDependency: ONNX Runtime is not installed.
        ModelConfigError: the file is damaged or holds weights outside its folder.
        UnsupportedModel: it takes or gives something else than token ids and embeddings.
    """

    def __init__(
        self,
        path: Path,
        tokens: TextTokens,
        lengths: dict[str, int] | None = None,
        output_name: str = TOKEN_EMBEDDINGS,
        width: int | None = None,
        expansion: Expansion | None = None,
    ) -> None:
        self.path = path
        self._tokens = tokens
        self._lengths = lengths or {}
        self._output_name = output_name
        self._expansion = expansion
        external = external_files(path)
        self._files = OpenFiles([path, *external])
        self._has_external = bool(external)
        self._session = open_session(path, self._has_external)
        self._alone = depends_on_batch(path)
        self._lock = ThreadLock()
        self._single: InferenceSession | None = None
        self._inputs = {node.name: _input_type(node, path) for node in self._session.get_inputs()}
        self._output, self._gives_tokens, shape = _find_output(self._session, path)
        self.dimension = shape[-1] if isinstance(shape[-1], int) else width

    @classmethod
    def load(cls, folder: Path, file_name: str | None = None, *, expands: bool = False) -> OnnxTransformer:
        """Read the settings of any generation beside the ONNX file.

        Args:
            folder: of the transformer.
            file_name: which ONNX file of it, see :func:`find_onnx_file`.
            expands: whether queries may be filled up, as late-interaction models do.

        Raises:
            UnsupportedModel: there is no ONNX file, or a setting needs the full library.
        """
        path = find_onnx_file(folder, file_name)
        if path is None:
            raise UnsupportedModel(
                f"{folder} holds no ONNX file, so its transformer needs stlib.SentenceTransformer; "
                "stlib.SentenceTransformer(folder, backend='onnx') exports one"
            )
        settings = read_settings(folder, expands)
        tokens = load_text_tokens(folder, settings.get("max_seq_length"), settings)
        lengths = _lengths(settings)
        config = read_object(folder / "config.json")
        sizes = (config.get(key) for key in ("hidden_size", "d_model", "dim", "hidden_dim"))
        width = next((size for size in sizes if isinstance(size, int)), None)
        expansion = read_expansion(settings.get("query_expansion"), folder, tokens.reader.id_of)
        output = settings.get("module_output_name") or TOKEN_EMBEDDINGS
        return cls(path, tokens, lengths, output, width, expansion)

    @property
    def max_seq_length(self) -> int | None:
        return self._tokens.settings.max_length

    @property
    def gives_tokens(self) -> bool:
        """False if the file pools by itself and gives one vector per text."""
        return self._gives_tokens

    def token_reader(self, task: str | None) -> TokenReader:
        return self._tokens.reader

    def batches(self, texts: list[str], prompt: str, task: str | None) -> Iterator[tuple[Rows, Features]]:
        length = self._lengths.get(task or "")
        expansion = self._expansion if task == "query" else None
        yield from self._tokens.batches(texts, prompt, length, self._alone, expansion)

    def forward(self, features: Features) -> Features:
        self._files.check()  # weights are mapped, so a file that shrank would end the process
        feed = {name: _input(name, features).astype(kind) for name, kind in self._inputs.items()}
        session = self._single_thread_session() if features.get("side_by_side") else self._session
        result = run_session(session, self.path, self._output, feed)
        key = self._output_name if self._gives_tokens else SENTENCE_EMBEDDING
        features[key] = result.astype(np.float32, copy=False)
        return features

    def signature(self) -> dict[str, Any]:
        shared = {
            "kind": "OnnxTransformer",
            "files": self._digests,
            "tokenizer": self._tokens.digest,
            "tokens": asdict(self._tokens.settings),
            "lengths": self._lengths,
            "output": [self._output, self._output_name],
        }
        # Without an expansion as it was before there were any: fingerprints are recorded in collections.
        return shared if self._expansion is None else {**shared, "expansion": asdict(self._expansion)}

    def _single_thread_session(self) -> InferenceSession:
        """For batches that run side by side: threads that share a batch wait for each other at every step."""
        with self._lock:
            if self._single is None:
                # Another file may have come to the path since; it must not encode the rest.
                in_place = self._files.are_in_place()
                again = open_session(self.path, self._has_external, threads=1) if in_place else self._session
                self._single = again if self._files.are_in_place() else self._session
            return self._single

    @cached_property
    def _digests(self) -> list[str]:
        return self._files.digests()


def read_settings(folder: Path, expands: bool = False, task: str = "feature-extraction") -> dict[str, Any]:
    """The module's settings under the first of the names that generations used, current keys only.

    Args:
        folder: of the module.
        expands: whether the caller can fill up queries.
        task: what the caller runs of the model, ``transformer_task`` of the settings.

    Raises:
        UnsupportedModel: a setting needs the full library.
        ModelConfigError: a setting has another form.
    """
    path = next((folder / name for name in CONFIG_NAMES if (folder / name).is_file()), None)
    if path is None:
        return {}
    settings = {_OLDER_KEYS.get(key, key): value for key, value in read_object(path).items()}
    settings["processor_kwargs"] = settings.get("processor_kwargs") or {}
    if not isinstance(settings["processor_kwargs"], dict):
        raise ModelConfigError(f"{path}: processor_kwargs is no object")
    for key in ("max_seq_length", "query_length", "document_length"):
        check_length(settings, key, path)
    check_length(settings["processor_kwargs"], "model_max_length", path)
    calls = settings.get("processing_kwargs")
    for kind in ("common", "text"):
        keywords = calls.get(kind) if isinstance(calls, dict) else None
        if not (keywords is None or isinstance(keywords, dict)):
            raise ModelConfigError(f"{path}: processing_kwargs[{kind!r}]={keywords!r}; it must be an object")
        check_length(keywords or {}, "max_length", path)
    unserved = {
        "transformer_task": settings.get("transformer_task", task) != task,
        "query_expansion": bool(settings.get("query_expansion")) and not expands,
        "tokenizer_name_or_path": bool(settings.get("tokenizer_name_or_path")),
        "modality_config": not _serves_text(settings.get("modality_config")),
    }
    for key, needs_more in unserved.items():
        if needs_more:
            raise UnsupportedModel(
                f"{path}: {key}={settings[key]!r} needs stlib.SentenceTransformer; the torch-free Encoder "
                "runs plain text encoders"
            )
    if "model_max_length" in settings["processor_kwargs"]:
        settings["max_seq_length"] = settings["processor_kwargs"]["model_max_length"]
    return settings


def _lengths(settings: dict[str, Any]) -> dict[str, int]:
    """Tokens kept per text of a task; what is said of every call of the tokenizer wins over them."""
    calls = settings.get("processing_kwargs") or {}
    every = {**(calls.get("common") or {}), **(calls.get("text") or {})}
    if "max_length" in every or every.get("truncation") is False:
        return {}
    names = {"query": "query_length", "document": "document_length"}
    return {task: settings[key] for task, key in names.items() if settings.get(key) is not None}


def _serves_text(modality_config: Any) -> bool:
    if modality_config is None:
        return True
    text = modality_config.get("text") if isinstance(modality_config, dict) else None
    return isinstance(text, dict) and text.get("method", "forward") == "forward"


def _input_type(node: Any, path: Path) -> type:
    if node.name not in _INPUTS or node.type not in _INPUT_TYPES:
        raise UnsupportedModel(
            f"{path} wants the input {node.name!r} of type {node.type}; the torch-free Encoder gives "
            f"{', '.join(_INPUTS)}"
        )
    return _INPUT_TYPES[node.type]


def _find_output(session: InferenceSession, path: Path) -> tuple[str, bool, list[Any]]:
    """Name of the output to read, whether it has a vector per token, and its shape."""
    outputs = {node.name: list(node.shape or []) for node in session.get_outputs()}
    for name in ("token_embeddings", "last_hidden_state", *outputs):
        if len(outputs.get(name, ())) == 3:
            return name, True, outputs[name]
    for name in ("sentence_embedding", *outputs):
        if len(outputs.get(name, ())) == 2:
            return name, False, outputs[name]
    raise UnsupportedModel(f"{path} gives {outputs}; expected vectors per token or per text")


def _input(name: str, features: Features) -> Any:
    if name == "token_type_ids":
        return np.zeros_like(features["input_ids"])
    if name == "position_ids":
        read = features["attention_mask"] | features.get(EXPANDED, False)
        return np.maximum(np.cumsum(read, axis=1) - 1, 0)
    return features[name]
