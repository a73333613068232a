"""The models a collection can embed with, behind the one protocol that indexing knows.

A static model, or one whose transformer has an ONNX file, runs on `stlib.runtime` without torch; anything
else is loaded by `stlib.SentenceTransformer`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from indexing.errors import BadInput, IndexingError, ModelMismatch
from indexing.models.callables import CallableEncoder
from indexing.models.full_models import full_class, quiet_loading, weights_digest
from indexing.models.trust import recorded_source, remember_model, trusted_source
from stlib.runtime import (
    BUNDLED_MODEL_NAME,
    Encoder,
    EncoderProtocol,
    MissingDependencyError,
    ModelError,
    ModelNotFoundError,
    UnsupportedModelError,
    default_model_path,
)
from stlib.runtime.words import TokenReader
from stlib.util.forks import cached_property
from stlib.util.plain_files import check_file

if TYPE_CHECKING:
    from stlib import SentenceTransformer

__all__ = [
    "FullModelEncoder",
    "is_object_mark",
    "load_encoder",
    "load_trusted_encoder",
    "normalise",
    "recorded_name",
    "remember_encoder",
    "replaced_bundled",
]

# Around the name of a model that was given as an object and can not be found again by it.
_OBJECT = "object of {}; pass model="


def load_encoder(
    model: str | os.PathLike[str] | EncoderProtocol | SentenceTransformer | None,
    *,
    fingerprint: str | None = None,
) -> EncoderProtocol:
    """The encoder for `model`: None is the bundled one, a string a folder, an ONNX file or a model name.

    For models that a person gave; one that a catalog names is `load_trusted_encoder`'s. `fingerprint` is
    that of the encoder a collection was made with. If a folder holds a model in several forms (torch weights,
    ONNX files), it tells which is meant; otherwise `model.onnx` is taken, or torch.

    Raises:
        BadInput: there is no such model, or the object cannot encode.
    """
    if model is None or isinstance(model, (str, os.PathLike)):
        return _load_named(model, fingerprint)
    if isinstance(model, EncoderProtocol):
        return model
    if hasattr(model, "encode_document") and hasattr(model, "tokenizer"):
        return FullModelEncoder(model)
    if callable(model) and not hasattr(model, "encode"):
        return CallableEncoder(model)
    raise BadInput(
        f"model {model!r}: give a folder, a model name, an stlib Encoder, a SentenceTransformer or a"
        " function from texts to vectors"
    )


def load_trusted_encoder(name: str, fingerprint: str) -> EncoderProtocol:
    """The encoder of this fingerprint that a catalog calls `name`, if it may be opened: see `trust`.

    The bundled one is not compared with `fingerprint`, which a newer version of the package may have changed.

    Raises:
        UntrustedModel: nobody used it on this machine, and it was not opened.
        ModelMismatch: another model lies where it was.
        BadInput: it cannot be loaded from there, or only an object in memory was it.
    """
    if is_object_mark(name) and recorded_source(fingerprint) is None:
        raise _needs_object(name)
    if name == BUNDLED_MODEL_NAME and recorded_source(fingerprint) is None:
        return _load_named(None, None)
    source = trusted_source(name, fingerprint)
    encoder = load_encoder(source, fingerprint=fingerprint)
    if encoder.fingerprint != fingerprint:
        raise ModelMismatch(
            f"the collection was made with the model of fingerprint {fingerprint[:12]}, but in {source} is "
            f"now {encoder.fingerprint[:12]}: restore it, or give the right one with model= or --model"
        )
    return encoder


def replaced_bundled(name: str, fingerprint: str) -> EncoderProtocol | None:
    """The bundled encoder, where a catalog calls another one by its name: one of another version of stlib,
    which cannot be loaded any more. None where the model is what it was.
    """
    if name != BUNDLED_MODEL_NAME or recorded_source(fingerprint) is not None:
        return None
    encoder = _load_named(None, None)
    return None if encoder.fingerprint == fingerprint else encoder


def remember_encoder(model: Any, encoder: EncoderProtocol) -> EncoderProtocol:
    """`encoder` itself, after it was recorded as used by hand on this machine; `model` is what was given.

    One that exists in memory only is not recorded; one that was given as an object and loaded from somewhere
    does not take the place of a path that was given, as it may have been changed since.
    """
    named = isinstance(model, (str, os.PathLike))
    if named or isinstance(getattr(encoder, "source", None), str):
        source = recorded_name(model, encoder)
        if source != BUNDLED_MODEL_NAME:
            remember_model(encoder.fingerprint, source, replace=named)
    return encoder


def recorded_name(model: Any, encoder: EncoderProtocol) -> str:
    """What a collection stores to find its model again, from what was given as `model`.

    A folder or file by its absolute path, a model name as it is. An object by where it was loaded from; one
    that was made in memory has a mark instead, which `load_encoder` refuses with a way out.
    """
    if isinstance(model, (str, os.PathLike)):
        return str(Path(model).resolve()) if Path(model).exists() else str(model)
    source = getattr(encoder, "source", None)
    if not isinstance(source, str):
        return _OBJECT.format(encoder.name)
    return str(Path(source).resolve()) if Path(source).exists() else source


def _load_named(model: str | os.PathLike[str] | None, fingerprint: str | None) -> EncoderProtocol:
    if isinstance(model, str) and is_object_mark(model):
        raise _needs_object(model)
    try:
        if model is not None:
            check_file(Path(model))  # what lies in a folder is looked at when it is loaded
        is_bundled = model is None or (model == BUNDLED_MODEL_NAME and not Path(model).is_dir())
        encoder = _bundled(default_model_path()) if is_bundled else Encoder.load(model)
    except ModelError as error:
        if model is not None and isinstance(error, (UnsupportedModelError, ModelNotFoundError)):
            return _load_full(str(model))
        if fingerprint is not None and isinstance(error, MissingDependencyError):
            other = _other_form(str(model), fingerprint)
            if other is not None:
                return other
        raise BadInput(f"model {str(model or BUNDLED_MODEL_NAME)!r} cannot be loaded: {error}") from error
    if fingerprint is None or encoder.fingerprint == fingerprint:
        return encoder
    return _other_form(str(model or BUNDLED_MODEL_NAME), fingerprint) or encoder


@lru_cache(maxsize=1)
def _bundled(_folder: Path) -> Encoder:
    """The bundled model, one for all collections of this process: nothing changes an encoder, and its folder
    is the package's.
    """
    return Encoder.load()


def _other_form(model: str, fingerprint: str) -> EncoderProtocol | None:
    """The model by another of its ONNX files or by torch, if that is what the fingerprint belongs to."""
    for path in sorted(file for place in ("", "onnx") for file in (Path(model) / place).glob("*.onnx")):
        try:
            encoder = Encoder.load(path)
        except ModelError:
            continue  # not a file of this model
        if encoder.fingerprint == fingerprint:
            return encoder
    try:
        full = _load_full(model)
    except BadInput:
        return None  # there is no other form; the caller reports the mismatch
    return full if full.fingerprint == fingerprint else None


def _needs_object(mark: str) -> BadInput:
    return BadInput(
        f"the model of this collection was an {mark.partition(';')[0]} in memory, which no folder "
        "holds: open the collection with model= and that model, or save it and index with its folder"
    )


def is_object_mark(model: str) -> bool:
    before, after = _OBJECT.split("{}")
    return model.startswith(before) and model.endswith(after)


def _load_full(model: str) -> FullModelEncoder:
    """A model that the torch-free runtime does not know: one without an ONNX file, or still on a hub."""
    try:
        sentence_transformer = full_class("SentenceTransformer")
        with quiet_loading():
            return FullModelEncoder(sentence_transformer(model), name=model)
    except Exception as error:  # the hub's client lets the errors of its HTTP library through
        raise BadInput(f"model {model!r} cannot be loaded: {' '.join(str(error).split())}") from error


class FullModelEncoder:
    """A SentenceTransformer in the encoder protocol."""

    def __init__(self, model: SentenceTransformer, name: str | None = None) -> None:
        self._model = model
        dimension = model.get_embedding_dimension()
        if not dimension:
            raise BadInput(
                "the model does not say its embedding dimension; use one with a pooling or dense module"
            )
        self.dimension = int(dimension)
        self.source: str | None = name or getattr(model, "loaded_from", None)
        """What loads the model again: a folder or a model name; None for one made in memory."""
        self.name = name or (Path(self.source).name if self.source else "SentenceTransformer")
        self.prompts: dict[str, str] = dict(model.prompts)
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """sha256 over the names, shapes and values of the weights and over the prompts."""
        if self._fingerprint is None:
            header = repr(sorted(self.prompts.items()))
            self._fingerprint = weights_digest(header, self._model.state_dict())
        return self._fingerprint

    def encode(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        return self._model.encode(list(texts), show_progress_bar=False, **options)

    def encode_query(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        return self._model.encode_query(list(texts), show_progress_bar=False, **options)

    def encode_document(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        if options.get("prompt_name") is None and options.get("prompt") is None:
            # The first with a text, as without torch; the model itself takes the first that it has.
            names = (name for name in ("document", "passage", "corpus") if self._model.prompts.get(name))
            options["prompt_name"] = next(names, None)
        return self._model.encode_document(list(texts), show_progress_bar=False, **options)

    def token_spans(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Character offsets [n_tokens, 2] of each text's tokens, special tokens left out.

        Raises:
            IndexingError: the model's tokenizer has no offsets (it is a slow, pure Python one).
        """
        tokenizer = self._model.tokenizer
        if isinstance(tokenizer, Tokenizer):
            return self._reader.spans(texts)
        if not (callable(tokenizer) and getattr(tokenizer, "is_fast", True)):
            raise IndexingError(
                f"model {self.name!r}: its tokenizer gives no character offsets; convert it to a fast one"
            )
        encoded = tokenizer(
            list(texts),
            add_special_tokens=False,
            return_offsets_mapping=True,
            truncation=False,
            verbose=False,
        )
        return [np.asarray(spans, dtype=np.int32).reshape(-1, 2) for spans in encoded["offset_mapping"]]

    def unread_shares(self, texts: Sequence[str]) -> list[float]:
        """Of each text the part of its letters that the model's tokens say nothing of, as of other scripts;
        0 where its tokenizer cannot tell.
        """
        fast = isinstance(self._model.tokenizer, Tokenizer) or hasattr(
            self._model.tokenizer, "backend_tokenizer"
        )
        return self._reader.unread_shares(texts) if fast else [0.0] * len(texts)

    @cached_property
    def _reader(self) -> TokenReader:
        """Of a copy of the model's tokenizer, which might cut long texts itself."""
        tokenizer = self._model.tokenizer
        tokenizer = Tokenizer.from_str(getattr(tokenizer, "backend_tokenizer", tokenizer).to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return TokenReader(tokenizer)


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32; a zero row stays zero, so it is similar to nothing."""
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)
