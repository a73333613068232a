"""A reranker without torch: a query and passages in, a score for each out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from stlib.errors import UnsupportedModel
from stlib.runtime.files import OpenFiles, no_folder
from stlib.runtime.long_texts import shorten
from stlib.runtime.modules.base import available_cores
from stlib.runtime.modules.onnx_files import depends_on_batch, external_files, find_onnx_file
from stlib.runtime.modules.onnx_session import open_session, run_session
from stlib.runtime.modules.static import read_tokenizer
from stlib.runtime.pair_settings import PairSettings, check_pipeline, read_pair_settings
from stlib.runtime.side_by_side import run_side_by_side
from stlib.util.forks import cached_property
from stlib.util.panics import TOKENISING
from stlib.util.plain_files import check_folder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["Reranker"]

# Tokens of one batch, padding included: the activations of a layer stay in the caches of one core.
_MAX_TOKENS = 1024
_ALONE = 0  # every pair by itself
# Below this, pairs of different lengths share a batch: a run's fixed cost is larger than the padding's.
_MIN_TOKENS = 128
_SIMILAR = 0.8
_TYPES = "token_type_ids"


class Reranker:
    """A cross-encoder in an ONNX file: reads query and passage together and scores the pair.

    Create it with :meth:`load`. Instances may be shared between threads.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer, settings: PairSettings) -> None:
        self.path = path
        self.settings = settings
        tokenizer.no_padding()
        tokenizer.enable_truncation(
            settings.max_length, strategy="longest_first", direction=settings.truncation_side
        )
        self._tokenizer = tokenizer
        external = external_files(path)
        self._files = OpenFiles([path, *external])
        self._session = open_session(path, bool(external), threads=1)
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._output = _score_output(self._session, path)
        self._alone = depends_on_batch(path)  # else an order would depend on how much fitted into the time

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, file_name: str | None = None) -> Reranker:
        """Load the reranker in the folder ``path``: an ONNX file with one score per pair and its tokenizer.

        Args:
            path: a folder saved by ``CrossEncoder.save`` with ``backend="onnx"``, any other folder with an
                ONNX file and ``tokenizer.json``, or the ONNX file itself.
            file_name: the ONNX file to run, in the folder or its ``onnx`` subfolder; default: ``model.onnx``,
                or the only one in a folder without torch weights.

        Raises:
            ModelNotFound: there is no such folder.
            UnsupportedModel: the model needs ``stlib.CrossEncoder``, or is no reranker.
            ModelConfigError, MissingModelFile: a file is damaged or missing.
            MissingDependency: ONNX Runtime is not installed.
        """
        folder = Path(path)
        if file_name is None and folder.suffix == ".onnx" and folder.is_file():
            file_name, folder = folder.name, folder.parent
            if folder.name == "onnx" and not (folder / "tokenizer.json").is_file():
                file_name, folder = f"onnx/{file_name}", folder.parent
        if not folder.is_dir():
            raise no_folder(Path(path), "reranker")
        check_folder(folder)
        check_pipeline(folder)
        graph = find_onnx_file(folder, file_name)
        if graph is None:
            raise UnsupportedModel(
                f"{folder} holds no ONNX file, so it needs stlib.CrossEncoder; "
                "stlib.CrossEncoder(folder, backend='onnx') exports one"
            )
        tokenizer, _ = read_tokenizer(folder / "tokenizer.json")
        with TOKENISING:
            return cls(graph, tokenizer, read_pair_settings(folder, tokenizer))

    @property
    def max_length(self) -> int:
        """Tokens kept per pair, special ones included."""
        return self.settings.max_length

    @property
    def name(self) -> str:
        """The folder's name."""
        folder = self.path.parent
        return (folder.parent if folder.name == "onnx" else folder).resolve().name

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the ONNX file, what lies beside it, the tokenizer and the settings of pairs.

        Raises:
            InvalidModelError: a file was written to since it was loaded.
        """
        header = [asdict(self.settings), self._tokenizer.to_str(), *self._files.digests()]
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
        pairs = [(self.settings.prompt + query, passage) for passage in passages]
        with TOKENISING:
            pairs = shorten(lambda: self._untruncating, pairs, self.max_length, self.settings.truncation_side)
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
        tokenizer.encode_special_tokens = self._tokenizer.encode_special_tokens  # its file does not tell
        return tokenizer

    def _feed(self, rows: list[Encoding]) -> dict[str, NDArray[np.int64]]:
        width = max(len(row.ids) for row in rows)
        feed = {name: np.zeros((len(rows), width), np.int64) for name in self._inputs}
        if "input_ids" in feed:
            feed["input_ids"] += self.settings.pad_id
        for position, row in enumerate(rows):
            values: dict[str, Any] = {
                "input_ids": row.ids,
                "attention_mask": row.attention_mask,
                _TYPES: row.type_ids if self.settings.told_apart else 0,
                "position_ids": range(len(row.ids)),
            }
            begin = width - len(row.ids) if self.settings.padding_side == "left" else 0
            for name, array in feed.items():
                array[position, begin : begin + len(row.ids)] = values[name]
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


def _score_output(session: InferenceSession, path: Path) -> str:
    """Name of the output with one score per pair."""
    known = {"input_ids", "attention_mask", _TYPES, "position_ids"}
    foreign = sorted({node.name for node in session.get_inputs()} - known)
    if foreign:
        raise UnsupportedModel(f"{path} wants the inputs {', '.join(foreign)}; a text reranker has none")
    outputs = {node.name: list(node.shape or []) for node in session.get_outputs()}
    name = "logits" if "logits" in outputs else next(iter(outputs))
    shape = outputs[name]
    if len(shape) == 2 and isinstance(shape[1], int) and shape[1] > 1:
        raise UnsupportedModel(
            f"{path} gives {shape[1]} scores per pair; a reranker gives one. It classifies pairs: use "
            "stlib.CrossEncoder(…).predict"
        )
    if len(shape) > 2:
        raise UnsupportedModel(
            f"{path} gives {name} of {len(shape)} dimensions, as embedding models do; a reranker gives one "
            "score per pair"
        )
    return name
