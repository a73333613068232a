"""The rerankers a search can use, behind the one protocol that indexing knows.

One with an ONNX file runs on `stlib.runtime` without torch; anything else is loaded by `stlib.CrossEncoder`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from indexing.errors import RerankingFailed
from stlib.runtime import (
    BUNDLED_RERANKER_NAME,
    InteractionReranker,
    ModelError,
    ModelNotFoundError,
    Reranker,
    RerankerProtocol,
    UnsupportedModelError,
)
from stlib.runtime.files import read_object
from stlib.runtime.interaction_reranker import MODEL_TYPE

if TYPE_CHECKING:
    from stlib import CrossEncoder

__all__ = ["FullModelReranker", "Rerankers", "loaded_reranker", "no_reranker"]

# One of them is in every folder that CrossEncoder loads.
_MODEL_FILES = ("modules.json", "config.json", "adapter_config.json")
# Ends of the names of architectures that say nothing about pairs.
_HEADLESS = ("Model", "ForMaskedLM", "ForPreTraining")


def no_reranker(model: Any) -> bool:
    """Whether `model` says that nothing is to be reranked: None, False, or an empty name."""
    return model is None or model is False or (isinstance(model, str) and not model)


class Rerankers:
    """The reranker of the last search: loading one takes longer than a search. Threads may share it."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._reranker: RerankerProtocol | None = None
        self._lock = Lock()

    def of(self, model: Any) -> RerankerProtocol:
        """The reranker for `model`, see `loaded_reranker`."""
        if not isinstance(model, (str, os.PathLike)):
            return loaded_reranker(model)
        with self._lock:
            if self._reranker is None or self._name != os.fspath(model):
                self._reranker, self._name = loaded_reranker(model), os.fspath(model)
            return self._reranker

    def forget(self) -> None:
        """Load anew what is asked for next."""
        with self._lock:
            self._reranker = None


def loaded_reranker(model: str | os.PathLike[str] | RerankerProtocol | CrossEncoder) -> RerankerProtocol:
    """The reranker for `model`: a folder, an ONNX file, a model name, or an object.

    Raises:
        RerankingFailed: there is no such model, or it gives no score per pair.
    """
    if isinstance(model, (str, os.PathLike)):
        try:
            return InteractionReranker.load(model) if _is_interaction(model) else Reranker.load(model)
        except ModelError as error:
            if isinstance(error, (UnsupportedModelError, ModelNotFoundError)):
                return _load_full(str(model))
            raise RerankingFailed(f"reranker {str(model)!r} cannot be loaded: {error}") from error
    if isinstance(model, RerankerProtocol):
        return model
    if hasattr(model, "predict") and hasattr(model, "num_labels"):
        return FullModelReranker(model)
    raise RerankingFailed(
        f"reranker of type {type(model).__name__}: give a folder, a model name, an stlib Reranker or a "
        "CrossEncoder"
    )


def _is_interaction(model: str | os.PathLike[str]) -> bool:
    """Whether `model` is the bundled reranker, or a folder with one of its kind."""
    if os.fspath(model) == BUNDLED_RERANKER_NAME:
        return True
    return read_object(Path(model) / "config.json").get("model_type") == MODEL_TYPE


def _check_files(name: str) -> None:
    """Refuse a folder that is no model before torch is loaded, which takes seconds.

    Raises:
        RerankingFailed: none of the files of a model is there.
    """
    folder = Path(name)
    if folder.is_dir() and not any((folder / file).is_file() for file in _MODEL_FILES):
        raise RerankingFailed(
            f"reranker {name!r} cannot be loaded: {name!r} holds neither modules.json nor config.json, nor "
            "an ONNX file with its tokenizer.json; give the folder of a cross-encoder"
        )


def _check_head(name: str) -> None:
    """Refuse a folder whose model has no trained head: its scores would be random.

    Raises:
        RerankingFailed: `config.json` names an encoder or a language model only.
    """
    if read_object(Path(name) / "config_sentence_transformers.json").get("model_type") == "CrossEncoder":
        return  # its modules may well begin with an encoder
    named = read_object(Path(name) / "config.json").get("architectures")
    if isinstance(named, list) and named and all(str(one).endswith(_HEADLESS) for one in named):
        raise RerankingFailed(
            f"reranker {name!r} holds {', '.join(map(str, named))}, which gives no score for a pair: an "
            "embedding model, or one without a trained head; give a cross-encoder"
        )


def _load_full(name: str) -> FullModelReranker:
    """A model that the torch-free runtime does not know: one without an ONNX file, or still on a hub."""
    _check_files(name)
    _check_head(name)
    from stlib import CrossEncoder

    try:
        return FullModelReranker(CrossEncoder(name), name)
    except RerankingFailed:
        raise
    except Exception as error:  # the hub's client lets the errors of its HTTP library through
        raise RerankingFailed(
            f"reranker {name!r} cannot be loaded: {' '.join(str(error).split())}"
        ) from error


class FullModelReranker:
    """A CrossEncoder in the reranker protocol."""

    def __init__(self, model: CrossEncoder, name: str | None = None) -> None:
        if model.num_labels != 1:
            raise RerankingFailed(
                f"the model gives {model.num_labels} scores per pair; a reranker gives one, see num_labels"
            )
        self._model = model
        source = name or model.loaded_from
        self.name = Path(source).name if source else "CrossEncoder"

    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        import torch

        pairs = [(query, passage) for passage in passages]
        # Logits, as the torch-free reranker gives: a sigmoid would press the best ones together.
        scores: Any = self._model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
        return np.asarray(scores, dtype=np.float32)
