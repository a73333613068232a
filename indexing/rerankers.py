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
from stlib.runtime.modules.onnx_files import find_onnx_file, has_torch_weights

if TYPE_CHECKING:
    from stlib import CrossEncoder

__all__ = ["FullModelReranker", "Rerankers", "loaded_reranker", "no_reranker"]

# One of them is in every folder that CrossEncoder loads.
_MODEL_FILES = ("modules.json", "config.json", "adapter_config.json")
# Ends of the names of architectures whose weights can say something about pairs.
_SCORING = ("ForSequenceClassification", "ForCausalLM", "ForConditionalGeneration")

# Characters of a message, of which some quote what they are about.
_SHOWN = 1000


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
        return _load(str(model))
    if isinstance(model, RerankerProtocol):
        return model
    if hasattr(model, "predict") and hasattr(model, "num_labels"):
        return FullModelReranker(model)
    raise RerankingFailed(
        f"reranker of type {type(model).__name__}: give a folder, a model name, an stlib Reranker or a "
        "CrossEncoder"
    )


def _load(name: str) -> RerankerProtocol:
    try:
        return InteractionReranker.load(name) if _is_interaction(name) else Reranker.load(name)
    except (UnsupportedModelError, ModelNotFoundError) as error:
        return _load_full(name, error)
    except Exception as error:  # any file may lie there; a search must survive it
        raise RerankingFailed(f"reranker {_shown(name)} cannot be loaded: {_line(error)}") from error


def _line(error: Exception) -> str:
    return _cut(" ".join(str(error).split())) or type(error).__name__


def _shown(name: str) -> str:
    return repr(_cut(name))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


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
    if isinstance(named, list) and named and not any(str(one).endswith(_SCORING) for one in named):
        raise _headless(f"reranker {name!r}", named)


def _headless(which: str, named: list[Any]) -> RerankingFailed:
    return RerankingFailed(
        f"{which} holds {', '.join(map(str, named))}, which gives no score for a pair: an embedding model, "
        "or one without a trained head for it; give a cross-encoder (…ForSequenceClassification)"
    )


def _load_full(name: str, reason: ModelError) -> FullModelReranker:
    """A model that the torch-free runtime does not know: one without an ONNX file, or still on a hub.

    Args:
        name: folder, file or model name.
        reason: why the runtime did not load it.
    """
    _check_files(name)
    _check_head(name)
    from stlib import CrossEncoder

    graph = find_onnx_file(Path(name)) if Path(name).is_dir() and not has_torch_weights(Path(name)) else None
    try:
        model = CrossEncoder(name, backend="torch" if graph is None else "onnx")
        return FullModelReranker(model, name)
    except RerankingFailed:
        raise
    except Exception as error:  # the hub's client lets the errors of its HTTP library through
        raise RerankingFailed(_why_not(name, error, reason, graph)) from error


def _why_not(name: str, error: Exception, reason: ModelError, graph: Path | None) -> str:
    if isinstance(reason, ModelNotFoundError):
        known = "" if "/" in name or os.sep in name else f" and not the bundled {BUNDLED_RERANKER_NAME!r}"
        return f"reranker {_shown(name)} is no folder{known}: {_line(error)}"
    why = f"reranker {_shown(name)} cannot be loaded: {_line(error)}"
    return why if graph is None else f"{why}; without torch: {_line(reason)}"


class FullModelReranker:
    """A CrossEncoder in the reranker protocol.

    Raises:
        RerankingFailed: it gives several scores per pair, or none that was learnt.
    """

    def __init__(self, model: CrossEncoder, name: str | None = None) -> None:
        if model.num_labels != 1:
            raise RerankingFailed(
                f"the model gives {model.num_labels} scores per pair; a reranker gives one, see num_labels"
            )
        _check_trained(model)
        self._model = model
        source = name or model.loaded_from
        self.name = Path(source).name if source else "CrossEncoder"

    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        import torch

        pairs = [(query, passage) for passage in passages]
        # Logits, as the torch-free reranker gives: a sigmoid would press the best ones together.
        scores: Any = self._model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
        return np.asarray(scores, dtype=np.float32)


def _check_trained(model: Any) -> None:
    """Refuse a model whose classifier was made up as it was loaded, and never trained since.

    Raises:
        RerankingFailed: its weights are those of another architecture, as its configuration still says.
    """
    from stlib import CrossEncoder
    from stlib.base.adapters import has_adapter

    if not isinstance(model, CrossEncoder) or "generated_from_trainer" in model.model_card_data.tags:
        return
    first = model[0]
    if getattr(first, "transformer_task", None) != "sequence-classification" or has_adapter(first.model):
        return
    named = getattr(first.config, "architectures", None) or []
    known = any(str(one).endswith("ForSequenceClassification") for one in named)
    if named and not known and type(first.model).__name__ not in named:
        which = f"the model {model.loaded_from!r}" if model.loaded_from else "the model"
        raise RerankingFailed(f"{_headless(which, named)}; one that you trained is known as such once saved")
