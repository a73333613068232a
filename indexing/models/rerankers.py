"""The rerankers a search can use, behind the one protocol that indexing knows.

One with an ONNX file runs on `stlib.runtime` without torch; anything else is loaded by `stlib.CrossEncoder`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexing.errors import BadInput, ModelMismatch, RerankingFailed, UntrustedModel
from indexing.models.full_models import full_class, quiet_loading, weights_digest
from indexing.models.reranker_checks import (
    check_folder,
    check_label_count,
    check_name,
    headless_error,
    shorten,
)
from indexing.models.trust import recorded_source, remember_model, trusted_source
from indexing.names import TOKENS_RERANKER
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
from stlib.util.forks import ThreadLock, cached_property
from stlib.util.plain_files import check_file

if TYPE_CHECKING:
    from stlib import CrossEncoder

__all__ = [
    "FullModelReranker",
    "Rerankers",
    "by_tokens",
    "load_reranker",
    "load_trusted_reranker",
    "no_reranker",
    "record_reranker",
    "remember_reranker",
    "reranker_fingerprint",
]


def no_reranker(model: Any) -> bool:
    """Whether `model` says that nothing is to be reranked: None, False, or an empty name."""
    return model is None or model is False or (isinstance(model, str) and not model)


class Rerankers:
    """The reranker of the last search: loading one takes longer than a search. Threads may share it."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._reranker: RerankerProtocol | None = None
        self._lock = ThreadLock()

    def of(self, model: Any) -> RerankerProtocol:
        """The reranker for `model`, see `load_reranker`."""
        if not isinstance(model, (str, os.PathLike)):
            return load_reranker(model)
        with self._lock:
            if self._reranker is None or self._name != os.fspath(model):
                self._reranker, self._name = load_reranker(model), os.fspath(model)
            return self._reranker

    def recorded(self, name: str, fingerprint: str) -> RerankerProtocol:
        """The reranker that a serving names, if it may be opened.

        Raises:
            RerankingFailed: it may not, or cannot be loaded.
        """
        with self._lock:
            if self._reranker is None or self._name != fingerprint:
                try:
                    self._reranker = load_trusted_reranker(name, fingerprint)
                except (ModelMismatch, UntrustedModel) as error:
                    raise RerankingFailed(str(error)) from error
                self._name = fingerprint
            return self._reranker

    def forget(self) -> None:
        """Load anew what is asked for next."""
        with self._lock:
            self._reranker = None


def load_reranker(model: str | os.PathLike[str] | RerankerProtocol | CrossEncoder) -> RerankerProtocol:
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
        f"reranker of type {type(model).__name__}: give a folder, a model name, an "
        "stlib.runtime.Reranker or an stlib.CrossEncoder"
    )


def load_trusted_reranker(name: str, fingerprint: str) -> RerankerProtocol:
    """The reranker of this fingerprint that a catalog calls `name`, if it may be opened: see `trust`.

    Raises:
        UntrustedModel: nobody used it on this machine, and it was not opened.
        ModelMismatch: another model lies where it was, or the bundled one is of another version.
        RerankingFailed: it cannot be loaded from there.
    """
    if name == BUNDLED_RERANKER_NAME and recorded_source(fingerprint) is None:
        source = name
    else:
        try:
            source = trusted_source(name, fingerprint, what="reranker", by_hand="--rerank")
        except BadInput as error:
            raise RerankingFailed(str(error)) from error
    reranker = _load(source)
    found = reranker_fingerprint(reranker)
    if found != fingerprint:
        raise ModelMismatch(
            f"the reranker of fingerprint {fingerprint[:12]} was chosen, but in {source} is now {found[:12]}:"
            " restore it, or give the right one with rerank= or --rerank"
        )
    return reranker


def remember_reranker(model: Any, reranker: RerankerProtocol) -> str | None:
    """Records that `reranker` was used by hand on this machine, from what was given as `model`.

    Returns what loads it again, for a catalog: the bundled name, an absolute path, or a name on the hub; None
    for one that is an object in memory.
    """
    if not isinstance(model, (str, os.PathLike)):
        return None
    name = os.fspath(model)
    if name == BUNDLED_RERANKER_NAME:
        return name
    path = Path(name).expanduser()
    source = str(path.resolve()) if path.exists() else name
    remember_model(reranker_fingerprint(reranker), source)
    return source


def by_tokens(model: Any) -> bool:
    """Whether `model`, as a person or a serving names it, is what reads the stored vectors of tokens."""
    return isinstance(model, str) and model == TOKENS_RERANKER


def record_reranker(model: Any) -> dict[str, str]:
    """What a serving records of a reranker that a person gave: name and fingerprint. The vectors of tokens
    have that of their model, which only a generation knows: it is empty here.

    Raises:
        RerankingFailed: it cannot be loaded, or nothing loads it again.
    """
    if by_tokens(model):
        return {"name": TOKENS_RERANKER, "fingerprint": ""}
    reranker = load_reranker(model)
    name = remember_reranker(model, reranker)
    if name is None:
        raise RerankingFailed(
            f"reranker {shorten(reranker.name)!r} is an object in memory, which a serving cannot name: "
            "give a folder, an ONNX file or a model name"
        )
    return {"name": name, "fingerprint": reranker_fingerprint(reranker)}


def reranker_fingerprint(reranker: RerankerProtocol) -> str:
    """Digest of everything that decides the scores of `reranker`.

    Raises:
        RerankingFailed: it is an object without one.
    """
    fingerprint = getattr(reranker, "fingerprint", None)
    if not isinstance(fingerprint, str) or not fingerprint:
        raise RerankingFailed(
            f"reranker {shorten(reranker.name)!r} has no fingerprint, by which it could be found again: "
            "give a folder, an ONNX file or a model name"
        )
    return fingerprint


def _load(name: str) -> RerankerProtocol:
    try:
        if name.startswith("~"):  # a shell expands it, but not in a variable that is quoted
            name = str(Path(name).expanduser())
        check_name(name)
        check_file(Path(name))  # what lies in a folder is looked at when it is loaded
        return InteractionReranker.load(name) if _is_interaction(name) else Reranker.load(name)
    except RerankingFailed:
        raise
    except (UnsupportedModelError, ModelNotFoundError) as error:
        return _load_full(name, error)
    except Exception as error:  # any file may lie there; a search must survive it
        raise RerankingFailed(f"reranker {shorten(name)!r} cannot be loaded: {_line(error)}") from error


def _line(error: Exception) -> str:
    return shorten(" ".join(str(error).split())) or type(error).__name__


def _is_interaction(model: str | os.PathLike[str]) -> bool:
    """Whether `model` is the bundled reranker, or a folder with one of its kind."""
    if os.fspath(model) == BUNDLED_RERANKER_NAME:
        return True
    return read_object(Path(model) / "config.json").get("model_type") == MODEL_TYPE


def _load_full(name: str, reason: ModelError) -> FullModelReranker:
    """A model that the torch-free runtime does not know: one without an ONNX file, or still on a hub.

    Args:
        name: folder, file or model name.
        reason: why the runtime did not load it.
    """
    graph: Path | None = None
    try:
        check_folder(name)
        if Path(name).is_dir() and not has_torch_weights(Path(name)):
            graph = find_onnx_file(Path(name))
        cross_encoder = full_class("CrossEncoder")
        with quiet_loading():
            model = cross_encoder(name, backend="torch" if graph is None else "onnx")
        return FullModelReranker(model, name)
    except RerankingFailed:
        raise
    except Exception as error:  # the hub's client lets the errors of its HTTP library through
        raise RerankingFailed(_why_not(name, error, reason, graph)) from error


def _why_not(name: str, error: Exception, reason: ModelError, graph: Path | None) -> str:
    why = f"reranker {shorten(name)!r} cannot be loaded: {_line(error)}"
    return why if graph is None else f"{why}; without torch: {_line(reason)}"


class FullModelReranker:
    """A CrossEncoder in the reranker protocol.

    Raises:
        RerankingFailed: it gives several scores per pair, or none that was learnt.
    """

    def __init__(self, model: CrossEncoder, name: str | None = None) -> None:
        check_label_count(model.num_labels)
        _check_trained(model)
        self.model = model
        source = name or model.loaded_from
        self.name = Path(source).name if source else "CrossEncoder"

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the names, shapes and values of the weights, the prompts and the greatest length."""
        model = self.model
        prompts = sorted(getattr(model, "prompts", {}).items())
        header = [prompts, getattr(model, "default_prompt_name", None), getattr(model, "max_length", None)]
        return weights_digest(repr(header), model.state_dict())

    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        import torch

        pairs = [(query, passage) for passage in passages]
        # Logits, as the torch-free reranker gives: a sigmoid would press the best ones together.
        scores: Any = self.model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
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
        raise RerankingFailed(
            f"{headless_error(which, named)}; one that you trained is known as such once saved"
        )
