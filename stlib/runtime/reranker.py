"""A reranker without torch: a query and passages in, a score for each out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from stlib.runtime.errors import InvalidModelError, ModelNotFoundError, UnsupportedModelError
from stlib.runtime.files import OpenFiles, read_json, read_object
from stlib.runtime.long_texts import shorten
from stlib.runtime.modules.base import available_cores
from stlib.runtime.modules.onnx_files import depends_on_batch, external_files, find_onnx_file
from stlib.runtime.modules.onnx_session import open_session, run_session
from stlib.runtime.modules.static import read_tokenizer
from stlib.runtime.modules.text_tokens import check_length
from stlib.runtime.side_by_side import run_side_by_side

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["Reranker"]

# Tokens of one batch, padding included: the activations of a layer stay in the caches of one core.
_MAX_TOKENS = 1024
_ALONE = 0  # every pair by itself
# Below this, pairs of different lengths share a batch: a run's fixed cost is larger than the padding's.
_MIN_TOKENS = 128
_SIMILAR = 0.8
# Kept per pair by a model that does not say. Cross-encoders were trained on passages, not on books.
_USUAL_LENGTH = 512
_NO_LIMIT = 10**9  # greater numbers limit nothing; transformers writes 10**30
# Settings of the transformer that change its input in ways the tokenizer's file does not tell.
_UNSERVED = (
    "do_lower_case",
    "processing_kwargs",
    "processor_kwargs",
    "tokenizer_args",
    "tokenizer_name_or_path",
)
_SHIFTED = ("roberta", "xlm-roberta", "camembert")


class Reranker:
    """A cross-encoder in an ONNX file: reads query and passage together and scores the pair.

    Create it with :meth:`load`. Instances may be shared between threads.
    """

    def __init__(
        self,
        path: Path,
        tokenizer: Tokenizer,
        digest: str,
        max_length: int,
        pad_id: int,
        prompt: str = "",
        truncation_side: str = "right",
    ) -> None:
        self.path = path
        self.prompt = prompt  # in front of every query, as saved with the model
        self.max_length = max_length
        self.truncation_side = truncation_side
        self._digest = digest
        self._pad_id = pad_id
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length, strategy="longest_first", direction=truncation_side)
        self._tokenizer = tokenizer
        external = external_files(path)
        self._files = OpenFiles([path, *external])
        self._has_external = bool(external)
        self._session = open_session(path, self._has_external, threads=1)
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._output = _score_output(self._session, path)
        self._alone = depends_on_batch(path)  # else an order would depend on how much fitted into the time
        self._lock = Lock()

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, file_name: str | None = None) -> Reranker:
        """Load the reranker in the folder ``path``: an ONNX file with one score per pair and its tokenizer.

        Args:
            path: a folder saved by ``CrossEncoder.save`` with ``backend="onnx"``, any other folder with an
                ONNX file and ``tokenizer.json``, or the ONNX file itself.
            file_name: the ONNX file to run, in the folder or its ``onnx`` subfolder; default: ``model.onnx``,
                or the only one in a folder without torch weights.

        Raises:
            ModelNotFoundError: there is no such folder.
            UnsupportedModelError: the model needs ``stlib.CrossEncoder``, or is no reranker.
            InvalidModelError, MissingModelFileError: a file is damaged or missing.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        folder = Path(path)
        if file_name is None and folder.suffix == ".onnx" and folder.is_file():
            file_name, folder = folder.name, folder.parent
            if folder.name == "onnx" and not (folder / "tokenizer.json").is_file():
                file_name, folder = f"onnx/{file_name}", folder.parent
        if not folder.is_dir():
            raise ModelNotFoundError(f"no reranker at {str(path)!r}: there is no such folder")
        _check_modules(folder)
        _check_settings(folder)
        graph = find_onnx_file(folder, file_name)
        if graph is None:
            raise UnsupportedModelError(
                f"{folder} holds no ONNX file, so it needs stlib.CrossEncoder; "
                "stlib.CrossEncoder(folder, backend='onnx') exports one"
            )
        tokenizer, digest = read_tokenizer(folder / "tokenizer.json")
        length, pad_id, prompt = _max_length(folder), _pad_id(folder, tokenizer), _default_prompt(folder)
        return cls(graph, tokenizer, digest, length, pad_id, prompt, _truncation_side(folder, tokenizer))

    @property
    def name(self) -> str:
        """The folder's name."""
        folder = self.path.parent
        return (folder.parent if folder.name == "onnx" else folder).resolve().name

    @property
    def source(self) -> str:
        """What :meth:`load` takes to load this model again."""
        return str(self.path.absolute())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over tokenizer, weights, length and prompt: equal scores everywhere if equal."""
        header = {"tokenizer": self._digest, "files": self._files.digests(), "length": self.max_length}
        if self.prompt:
            header["prompt"] = self.prompt
        if self.truncation_side != "right":
            header["truncation_side"] = self.truncation_side
        return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How well each passage answers: float32 ``[len(passages)]``, the model's logits, larger is better.

        The model's default prompt, if it has one, comes in front of the query. Pairs are cut to
        ``max_length`` tokens, and run in batches of similar length on all cores.

        Raises:
            TypeError: ``passages`` is a single string.
        """
        if isinstance(passages, str):
            raise TypeError("passages is a single string; pass a list, for example scores(query, [passage])")
        pairs = [(self.prompt + query, passage) for passage in passages]
        pairs = shorten(lambda: self._untruncating, pairs, self.max_length, self.truncation_side)
        encoded = self._tokenizer.encode_batch(pairs)
        result = np.zeros(len(encoded), np.float32)
        self._files.check()  # weights are mapped, so a file that shrank would end the process
        batches = list(_batches(encoded, _ALONE if self._alone else _MAX_TOKENS))

        def run(rows: list[int]) -> None:
            feed = self._feed([encoded[row] for row in rows])
            logits = run_session(self._session, self.path, self._output, feed)
            result[rows] = np.asarray(logits, np.float32).reshape(len(rows))

        run_side_by_side(run, batches, min(available_cores(), len(batches)))
        return result

    @cached_property
    def _untruncating(self) -> Tokenizer:
        """A second tokenizer, as the settings of the first are shared by all threads."""
        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.no_truncation()
        return tokenizer

    def _feed(self, rows: list[Encoding]) -> dict[str, NDArray[np.int64]]:
        width = max(len(row.ids) for row in rows)
        feed = {name: np.zeros((len(rows), width), np.int64) for name in self._inputs}
        if "input_ids" in feed:
            feed["input_ids"] += self._pad_id
        for position, row in enumerate(rows):
            values = {
                "input_ids": row.ids,
                "attention_mask": row.attention_mask,
                "token_type_ids": row.type_ids,
                "position_ids": range(len(row.ids)),
            }
            for name, array in feed.items():
                array[position, : len(row.ids)] = values[name]
        return feed

    def __repr__(self) -> str:
        return f"Reranker(name={self.name!r}, max_length={self.max_length})"


def _batches(encoded: list[Encoding], most: int) -> Iterator[list[int]]:
    """Rows of about equal length, longest first, so that little is padding; at most ``most`` tokens."""
    batch: list[int] = []
    for row in sorted(range(len(encoded)), key=lambda row: -len(encoded[row].ids)):
        if batch:
            longest, tokens = len(encoded[batch[0]].ids), len(batch) * len(encoded[batch[0]].ids)
            shorter = len(encoded[row].ids) < _SIMILAR * longest and tokens >= _MIN_TOKENS
            if shorter or tokens + longest > most:
                yield batch
                batch = []
        batch.append(row)
    if batch:
        yield batch


def _check_modules(folder: Path) -> None:
    """Refuse a pipeline of more than a transformer: what its other modules do is not in the ONNX file."""
    path = folder / "modules.json"
    if not path.is_file():
        return
    entries: Any = read_json(path)
    kinds = [str(entry.get("type", "")).rpartition(".")[2] for entry in entries if isinstance(entry, dict)]
    if kinds != ["Transformer"]:
        raise UnsupportedModelError(
            f"{path} names the modules {', '.join(kinds) or 'none'}; the torch-free Reranker runs a "
            "Transformer alone: use stlib.CrossEncoder"
        )


def _check_settings(folder: Path) -> None:
    """Refuse a transformer that prepares texts in another way than its tokenizer's file says."""
    path = folder / "sentence_bert_config.json"
    settings = read_object(path)
    if unserved := [name for name in _UNSERVED if settings.get(name)]:
        raise UnsupportedModelError(
            f"{path} sets {', '.join(unserved)}, which the torch-free Reranker does not serve; use "
            "stlib.CrossEncoder(folder, backend='onnx')"
        )


def _truncation_side(folder: Path, tokenizer: Tokenizer) -> str:
    """The end at which long texts are cut."""
    path = folder / "tokenizer_config.json"
    saved = (tokenizer.truncation or {}).get("direction", "right")
    side = read_object(path).get("truncation_side", saved)
    if side not in ("left", "right"):
        raise InvalidModelError(f"{path}: truncation_side is {side!r}; use 'left' or 'right'")
    return side


def _max_length(folder: Path) -> int:
    """Tokens kept per pair: the least that module, tokenizer and model allow."""
    limits = []
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
        ("config.json", "max_position_embeddings"),
    ):
        settings = read_object(folder / name)
        check_length(settings, key, folder / name)
        limit = settings.get(key)
        if isinstance(limit, int) and limit < _NO_LIMIT:
            # RoBERTa's kin number positions from behind the padding id.
            offset = settings.get("pad_token_id", 1) + 1 if settings.get("model_type") in _SHIFTED else 0
            limits.append(limit - offset)
    return min(limits, default=_USUAL_LENGTH)


def _default_prompt(folder: Path) -> str:
    """The text that ``CrossEncoder.predict`` puts in front of queries unless it is told otherwise."""
    path = folder / "config_sentence_transformers.json"
    settings = read_object(path)
    name, prompts = settings.get("default_prompt_name"), settings.get("prompts")
    if name is None:
        return ""
    prompt = prompts.get(name) if isinstance(prompts, dict) and isinstance(name, str) else None
    if not isinstance(prompt, str):
        raise InvalidModelError(
            f"{path}: default_prompt_name is {name!r}, and prompts has no text of that name; add it, or set "
            "default_prompt_name to null"
        )
    return prompt


def _pad_id(folder: Path, tokenizer: Tokenizer) -> int:
    saved = read_object(folder / "config.json").get("pad_token_id")
    if isinstance(saved, int):
        return saved
    return next((i for t in ("[PAD]", "<pad>") if (i := tokenizer.token_to_id(t)) is not None), 0)


def _score_output(session: InferenceSession, path: Path) -> str:
    """Name of the output with one score per pair."""
    known = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
    foreign = sorted({node.name for node in session.get_inputs()} - known)
    if foreign:
        raise UnsupportedModelError(f"{path} wants the inputs {', '.join(foreign)}; a text reranker has none")
    outputs = {node.name: list(node.shape or []) for node in session.get_outputs()}
    name = "logits" if "logits" in outputs else next(iter(outputs))
    shape = outputs[name]
    if len(shape) == 2 and isinstance(shape[1], int) and shape[1] > 1:
        raise UnsupportedModelError(
            f"{path} gives {shape[1]} scores per pair; a reranker gives one. It classifies pairs: use "
            "stlib.CrossEncoder(…).predict"
        )
    if len(shape) > 2:
        raise UnsupportedModelError(
            f"{path} gives {name} of {len(shape)} dimensions, as embedding models do; a reranker gives one "
            "score per pair"
        )
    return name
