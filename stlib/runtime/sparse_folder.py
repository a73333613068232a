"""From the folder of a sparse model to what makes the words of its queries and of its documents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError, ModelNotFound, UnsupportedModel
from stlib.runtime.files import inside, read_json, read_object
from stlib.runtime.folder import CONFIG_NAME, MODULES_NAME, class_name, read_prompts
from stlib.runtime.modules.masked_language import MaskedLanguageModel, read_pooling
from stlib.runtime.modules.term_table import TermTable
from stlib.runtime.modules.text_tokens import TextTokens
from stlib.util.plain_files import check_folder

__all__ = ["SparsePipeline", "SparseRoute", "read_sparse_pipeline"]

_ROUTES = ("query", "document")
_TRANSFORMERS = ("MLMTransformer", "Transformer")
_CONFIG_OF_ROUTER = "router_config.json"


class SparseRoute(Protocol):
    """What turns texts of one kind into words with weights."""

    tokens: TextTokens
    dimension: int

    def rows(self, texts: list[str], prompt: str) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """Words (ascending) and weights of each text."""

    def signature(self) -> dict[str, Any]:
        """All that decides them, as JSON values."""


@dataclass(frozen=True)
class SparsePipeline:
    """The content of a sparse model's folder; both routes are one object where the model has only one."""

    query: SparseRoute
    document: SparseRoute
    prompts: dict[str, str]
    default_prompt_name: str | None


def read_sparse_pipeline(folder: Path) -> SparsePipeline:
    """Read and check the sparse model in ``folder``.

    Raises:
        ModelNotFound: there is no such folder.
        MissingModelFile, ModelConfigError: a file is missing or wrong, or files do not belong together.
        UnsupportedModel: it is a model of another kind, or a module needs the full library.
    """
    if not folder.is_dir():
        raise ModelNotFound(f"no model folder at {folder}; pass the folder that holds {MODULES_NAME}")
    check_folder(folder)
    config = read_object(folder / CONFIG_NAME)
    kind = config.get("model_type", "SparseEncoder")
    if kind != "SparseEncoder":
        raise UnsupportedModel(f"{folder} holds a {kind}; the SparseRuntimeEncoder runs SparseEncoders")
    prompts, default = read_prompts(config, folder)
    most = config.get("max_active_dims")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise ModelConfigError(f"{folder}: max_active_dims is {most!r}; it must be a number from 1 on")
    modules = _read_row(folder)
    if len(modules) == 1 and modules[0][0] in ("Router", "Asym"):
        query, document = _read_routes(modules[0][1], most)
    else:
        query = document = _route(modules, most, folder)
    if query.dimension != document.dimension:
        raise ModelConfigError(
            f"{folder}: queries have {query.dimension:,} words and documents {document.dimension:,}; the "
            "files are not from one model, get it again"
        )
    return SparsePipeline(query, document, prompts, default)


def _read_row(folder: Path) -> list[tuple[str, Path]]:
    """Class and folder of each module; a transformer without a list of modules has the usual pooling."""
    path = folder / MODULES_NAME
    if not path.is_file() and (folder / "config.json").is_file():
        return [("MLMTransformer", folder), ("SpladePooling", folder / "1_SpladePooling")]
    entries = read_json(path)
    try:
        entries = sorted(entries, key=lambda entry: entry.get("idx", 0))
        return [(_known(entry["type"]), inside(folder, entry["path"], path)) for entry in entries]
    except (TypeError, KeyError, AttributeError) as error:
        raise ModelConfigError(f"{path}: expected a list of modules with 'type' and 'path'") from error


def _read_routes(folder: Path, most: int | None) -> tuple[SparseRoute, SparseRoute]:
    path = folder / _CONFIG_OF_ROUTER
    if not path.is_file():
        path = folder / "config.json"
    config = read_object(path)
    try:
        types, structure = config["types"], config["structure"]
        rows = [
            [(_known(types[name]), inside(folder, name, path)) for name in structure[route]]
            for route in _ROUTES
        ]
    except (KeyError, TypeError) as error:
        raise ModelConfigError(
            f"{path} describes no routes named {' and '.join(_ROUTES)} ({type(error).__name__}: {error})"
        ) from error
    if (config.get("parameters") or {}).get("route_mappings"):
        raise UnsupportedModel(f"{path}: routes by kinds of input need stlib.SparseEncoder")
    if rows[0] == rows[1]:
        only = _route(rows[0], most, folder)
        return only, only
    return _route(rows[0], most, folder), _route(rows[1], most, folder)


def _route(modules: list[tuple[str, Path]], most: int | None, source: Path) -> SparseRoute:
    names = [name for name, _ in modules]
    if names == ["SparseStaticEmbedding"]:
        return TermTable.load(modules[0][1], most)
    if len(names) == 2 and names[0] in _TRANSFORMERS and names[1] == "SpladePooling":
        return MaskedLanguageModel.load(modules[0][1], read_pooling(modules[1][1], most))
    raise UnsupportedModel(
        f"{source}: a sparse model of {' + '.join(names) or 'nothing'} needs stlib.SparseEncoder; without "
        "torch a SparseStaticEmbedding runs, and a Transformer followed by a SpladePooling"
    )


def _known(type_: object) -> str:
    return class_name(type_) or str(type_)
