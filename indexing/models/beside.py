"""The models of what passages have beside their vector, by role: loaded from what a person gave, or from
what a catalog names if it may be opened.

A folder runs on `stlib.runtime` without torch where it can; anything else is loaded by the library's own
class.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexing.beside.models import BesideModel
from indexing.beside.token_calibration import calibrate_tokens
from indexing.errors import BadInput, ModelMismatch
from indexing.models.full_models import full_class, quiet_loading
from indexing.models.full_sparse import FullSparseEncoder
from indexing.models.full_tokens import FullTokenEncoder
from indexing.models.trust import remember_model, trusted_source
from stlib.runtime import (
    MissingDependencyError,
    ModelError,
    ModelNotFoundError,
    SparseEncoderProtocol,
    TokenEncoderProtocol,
    UnsupportedModelError,
)
from stlib.runtime.modules.onnx_files import has_torch_weights
from stlib.runtime.sparse_encoder import SparseRuntimeEncoder
from stlib.runtime.token_encoder import TokenRuntimeEncoder
from stlib.util.plain_files import check_file

__all__ = ["describe_beside", "load_beside", "load_trusted_beside", "source_of_beside"]


@dataclass(frozen=True)
class _Kind:
    """How the models of a role are loaded.

    Attributes:
        what: words for messages.
        option: by which a person names one on the command line.
        protocol: what a model must offer.
        of_folder: loads a folder without torch.
        family: the library's class.
        wrap: gives a model of that class the protocol.
    """

    what: str
    option: str
    protocol: type
    of_folder: Callable[[Any], Any]
    family: str
    wrap: Callable[[Any], Any]


_KINDS: Mapping[str, _Kind] = {
    "sparse": _Kind(
        "model of weighted terms",
        "--sparse",
        SparseEncoderProtocol,
        SparseRuntimeEncoder.load,
        "SparseEncoder",
        FullSparseEncoder,
    ),
    "tokens": _Kind(
        "model of late interaction",
        "--tokens",
        TokenEncoderProtocol,
        TokenRuntimeEncoder.load,
        "MultiVectorEncoder",
        FullTokenEncoder,
    ),
}


def load_beside(role: str, model: Any, fingerprint: str | None = None) -> Any:
    """The encoder of `role` for what a person gave: a folder, a model name, or an object. `fingerprint` is
    that of the encoder a collection was made with: of a folder that holds a model in several forms (torch
    weights, ONNX files) it tells which is meant.

    Raises:
        BadInput: there is no such model, or the object cannot encode.
    """
    kind = _KINDS[role]
    if isinstance(model, (str, os.PathLike)):
        return _load_named(kind, os.fspath(model), fingerprint)
    if isinstance(model, kind.protocol) and hasattr(model, "fingerprint"):
        return model
    if type(model).__name__ == kind.family or hasattr(model, "state_dict"):
        return kind.wrap(model)
    raise BadInput(
        f"{kind.what} of type {type(model).__name__}: give a folder, a model name or an stlib.{kind.family}"
    )


def describe_beside(role: str, model: Any, encoder: Any, before: BesideModel | None = None) -> BesideModel:
    """What a generation records of `encoder`, after it was recorded as used by hand on this machine; `model`
    is what was given. Where it is that of the generation `before`, codes are made of it in the same way.

    Raises:
        BadInput: it gives nothing that can be stored.
    """
    named = isinstance(model, (str, os.PathLike))
    source = os.fspath(model) if named else getattr(encoder, "source", None)
    if isinstance(source, str) and Path(source).exists():
        source = str(Path(source).resolve())
    if isinstance(source, str):
        remember_model(encoder.fingerprint, source, replace=named)
    return BesideModel(
        source or f"object of {encoder.name}",
        encoder.fingerprint,
        encoder.dimension,
        _settings(role, encoder, before),
    )


def _settings(role: str, encoder: Any, before: BesideModel | None) -> Mapping[str, Any]:
    """How codes are made of what `encoder` gives."""
    if before is not None and before.fingerprint == encoder.fingerprint:
        return before.settings
    return calibrate_tokens(encoder).to_settings() if role == "tokens" else {}


def load_trusted_beside(role: str, model: BesideModel) -> Any:
    """The encoder of `role` that a catalog names, if it may be opened: see `trust`.

    Raises:
        UntrustedModel: nobody used it on this machine, and it was not opened.
        ModelMismatch: another model lies where it was.
        BadInput: it cannot be loaded from there.
    """
    kind = _KINDS[role]
    source = source_of_beside(role, model)
    encoder = _load_named(kind, source, model.fingerprint)
    if encoder.fingerprint != model.fingerprint:
        raise ModelMismatch(
            f"the collection was made with the {kind.what} of fingerprint {model.fingerprint[:12]}, but in"
            f" {source} is now {encoder.fingerprint[:12]}: restore it, or `stlib reindex` with {kind.option}"
        )
    return encoder


def source_of_beside(role: str, model: BesideModel) -> str:
    """Where the model of `role` lies that a catalog names, if it may be opened.

    Raises:
        UntrustedModel: nobody used it on this machine.
        BadInput: it was used here, and is no longer where it was.
    """
    kind = _KINDS[role]
    return trusted_source(model.model, model.fingerprint, what=kind.what, by_hand=kind.option)


def _load_named(kind: _Kind, name: str, fingerprint: str | None) -> Any:
    """The form of a model that has `fingerprint`, else the one that needs no torch."""
    if not name:
        raise BadInput(f"{kind.what}: its name is empty; give {kind.option} a folder or a model name")
    try:
        check_file(Path(name))  # what lies in a folder is looked at when it is loaded
        light = kind.of_folder(name)
        if fingerprint in (None, light.fingerprint) or not has_torch_weights(Path(name)):
            return light
        other = _load_full(kind, name, UnsupportedModelError("it has another fingerprint"))
        return other if other.fingerprint == fingerprint else light
    except (UnsupportedModelError, ModelNotFoundError, MissingDependencyError) as error:
        return _load_full(kind, name, error)
    except ModelError as error:
        raise BadInput(f"{kind.what} {name!r} cannot be loaded: {error}") from error


def _load_full(kind: _Kind, name: str, reason: ModelError) -> Any:
    """A model that the torch-free runtime does not know: one without an ONNX file, or still on a hub."""
    try:
        family = full_class(kind.family)
        with quiet_loading():
            return kind.wrap(family(name))
    except Exception as error:  # the hub's client lets the errors of its HTTP library through
        said = " ".join(str(error).split())
        raise BadInput(f"{kind.what} {name!r} cannot be loaded: {said}; without torch: {reason}") from error
