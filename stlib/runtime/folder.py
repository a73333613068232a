"""Reading the folder of a static embedding model: which files there are and what they say.

The layout is that of a Sentence Transformers pipeline (``modules.json`` naming a ``StaticEmbedding`` and
optionally a ``Normalize``). A weight may be stored as float32 or float16 ``embedding.weight``, or as int8
``embedding.weight`` with a float32 ``embedding.scale`` that broadcasts against it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from tokenizers import Tokenizer

from stlib.runtime.errors import (
    InvalidModelError,
    MissingModelFileError,
    ModelNotFoundError,
    UnsupportedModelError,
)


@dataclass(frozen=True)
class StaticModel:
    """The content of a static embedding model's folder.

    Attributes:
        tokenizer: ready to use; never pads.
        weight: ``[V, d]``, float32, float16 or int8 codes.
        scale: ``None``, or float32 of shape ``[V, 1]``, ``[1, d]`` or ``[1, 1]``: a row is
            ``weight[i] * scale`` after broadcasting.
        normalize: whether the pipeline ends by scaling vectors to unit length.
        prompts: prompt name to the text that is put before the input.
        default_prompt_name: prompt used when none is asked for.
        tokenizer_digest: SHA-256 of ``tokenizer.json``.
    """

    tokenizer: Tokenizer
    weight: NDArray[Any]
    scale: NDArray[np.float32] | None
    normalize: bool
    prompts: dict[str, str]
    default_prompt_name: str | None
    tokenizer_digest: str


def read_static_model(folder: Path) -> StaticModel:
    """Read and check the model in ``folder``.

    Raises:
        ModelNotFoundError: there is no such folder.
        MissingModelFileError: a file is missing (its path is in the message).
        InvalidModelError: a file is unreadable, or tokenizer and weight do not belong together.
        UnsupportedModelError: the pipeline holds a module other than StaticEmbedding and Normalize.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(f"no model folder at {folder}; pass the folder that holds modules.json")
    embedding_folder, normalize = _read_pipeline(folder)
    config = _read_config(folder / "config_sentence_transformers.json")
    tokenizer, digest = _read_tokenizer(embedding_folder / "tokenizer.json")
    weight, scale = _read_weight(embedding_folder / "model.safetensors")
    if tokenizer.get_vocab_size() > len(weight):
        raise InvalidModelError(
            f"{embedding_folder}: tokenizer.json has {tokenizer.get_vocab_size()} tokens but "
            f"model.safetensors only {len(weight)} rows; the two files are not from the same model"
        )
    return StaticModel(tokenizer, weight, scale, normalize, *_prompts(config, folder), digest)


def _read_pipeline(folder: Path) -> tuple[Path, bool]:
    path = folder / "modules.json"
    modules = _read_json(path)
    try:
        kinds = [entry["type"].rsplit(".", 1)[-1] for entry in modules]
        first = folder / modules[0]["path"]
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise InvalidModelError(f"{path}: expected a list of modules with 'type' and 'path'") from error
    if not first.resolve().is_relative_to(folder.resolve()):
        raise InvalidModelError(f"{path}: module path {modules[0]['path']!r} lies outside the folder")
    if kinds not in (["StaticEmbedding"], ["StaticEmbedding", "Normalize"]):
        raise UnsupportedModelError(
            f"{folder}: a model of {' + '.join(kinds)} needs stlib.SentenceTransformer; "
            "the torch-free Encoder runs StaticEmbedding, alone or followed by Normalize"
        )
    return first, kinds[-1] == "Normalize"


def _read_config(path: Path) -> dict[str, Any]:
    config = _read_json(path) if path.is_file() else {}  # optional in models saved by old versions
    if not isinstance(config, dict):
        raise InvalidModelError(f"{path}: expected a JSON object, found {type(config).__name__}")
    return config


def _prompts(config: dict[str, Any], folder: Path) -> tuple[dict[str, str], str | None]:
    prompts = config.get("prompts") or {}
    default = config.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise InvalidModelError(f"{folder}: 'prompts' must map prompt names to strings, found {prompts!r}")
    if default is not None and default not in prompts:
        raise InvalidModelError(
            f"{folder}: default_prompt_name {default!r} is not one of the prompts {sorted(prompts)}"
        )
    return dict(prompts), default


def _read_tokenizer(path: Path) -> tuple[Tokenizer, str]:
    content = _read_bytes(path)
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except ValueError as error:
        raise InvalidModelError(f"{path}: not a tokenizer of the tokenizers library ({error})") from error
    tokenizer.no_padding()  # padding tokens would enter the mean
    return tokenizer, hashlib.sha256(content).hexdigest()


def _read_weight(path: Path) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    try:
        tensors = parse_safetensors(_read_bytes(path))
    except (SafetensorError, KeyError, TypeError) as error:
        raise InvalidModelError(f"{path}: not a readable safetensors file ({error})") from error
    weight = tensors.get("embedding.weight")
    if weight is None or weight.ndim != 2:
        raise InvalidModelError(
            f"{path}: expected a matrix 'embedding.weight', found the tensors {sorted(tensors)}"
        )
    scale = tensors.get("embedding.scale")
    if weight.dtype == np.int8 and scale is not None:
        return weight, _broadcastable_scale(scale, weight, path)
    if weight.dtype in (np.float32, np.float16) and scale is None:
        return weight, None
    raise InvalidModelError(
        f"{path}: 'embedding.weight' is {weight.dtype} {'with' if scale is not None else 'without'} "
        "'embedding.scale'; allowed are float32 or float16 without it, or int8 with it"
    )


def _broadcastable_scale(scale: NDArray[Any], weight: NDArray[Any], path: Path) -> NDArray[np.float32]:
    rows, columns = weight.shape
    if scale.ndim == 1 and scale.size in (rows, columns) and rows != columns:
        scale = scale[:, None] if scale.size == rows else scale[None, :]
    elif scale.size == 1:
        scale = scale.reshape(1, 1)
    if scale.ndim != 2 or scale.shape not in ((rows, 1), (1, columns), (1, 1)):
        raise InvalidModelError(
            f"{path}: 'embedding.scale' has the shape {list(scale.shape)}; allowed for a weight of "
            f"{[rows, columns]} are [{rows}, 1], [1, {columns}] and [1, 1]"
        )
    return np.ascontiguousarray(scale, dtype=np.float32)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read_bytes(path).decode("utf-8"))
    except ValueError as error:  # covers malformed JSON and malformed UTF-8
        raise InvalidModelError(f"{path}: not valid JSON ({error})") from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingModelFileError(
            f"the model folder lacks {path}; copy the whole folder or save the model again"
        ) from error
