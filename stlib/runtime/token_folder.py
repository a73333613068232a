"""From the folder of a late-interaction model to its pipeline of modules.

The layout is that of :mod:`stlib.runtime.folder`, of the model type ``MultiVectorEncoder``. A folder without
``modules.json`` is a bare transformer, whose token vectors are scaled to unit length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from stlib.errors import ModelConfigError, ModelNotFound, UnsupportedModel
from stlib.runtime.files import read_object
from stlib.runtime.folder import (
    CONFIG_NAME,
    MODULES_NAME,
    Family,
    load_transformer,
    read_modules,
    read_prompts,
)
from stlib.runtime.modules.base import TOKEN_EMBEDDINGS, InputModule, Module
from stlib.runtime.modules.dense import Dense
from stlib.runtime.modules.normalize import Normalize
from stlib.runtime.modules.router import Router, takes_texts
from stlib.runtime.modules.token_mask import TokenMask
from stlib.runtime.modules.token_pooling import TokenPooling
from stlib.runtime.modules.transformer import OnnxTransformer
from stlib.util.plain_files import check_folder

MODEL_TYPE = "MultiVectorEncoder"

_M = TypeVar("_M")


@dataclass(frozen=True)
class TokenPipeline:
    """The content of a late-interaction model's folder.

    Attributes:
        modules: in the order in which they run; the first takes texts.
        dimension: width of a token's vector.
        prompts: prompt name to the text that is put before the input; there are ``query`` and ``document``.
        default_prompt_name: prompt used when neither task nor prompt is named.
    """

    modules: tuple[Module, ...]
    dimension: int
    prompts: dict[str, str]
    default_prompt_name: str | None

    @property
    def first(self) -> InputModule:
        """The module that takes texts."""
        return cast(InputModule, self.modules[0])


def read_token_pipeline(folder: Path, file_name: str | None = None) -> TokenPipeline:
    """Read and check the late-interaction model in ``folder``.

    Args:
        folder: a saved pipeline, or a transformer as ONNX with its tokenizer.
        file_name: which ONNX file its transformers run, see :func:`find_onnx_file`.

    Raises:
        ModelNotFound, MissingModelFile, ModelConfigError, UnsupportedModel, MissingDependency: see
            :func:`stlib.runtime.folder.read_pipeline`.
    """
    if not folder.is_dir():
        raise ModelNotFound(f"no model folder at {folder}; pass the folder that holds {MODULES_NAME}")
    check_folder(folder)
    config = read_object(folder / CONFIG_NAME)
    _check_kind(config.get("model_type", MODEL_TYPE), folder)
    prompts, default = read_prompts(config, folder)
    if (folder / MODULES_NAME).is_file():
        modules = read_modules(folder, file_name, _FAMILY)
    else:
        modules = [load_transformer(folder, file_name, True), Normalize(TOKEN_EMBEDDINGS, TOKEN_EMBEDDINGS)]
    transformers = _check_modules(modules, folder)
    for mask in _each(modules, TokenMask):
        mask.find_words(transformers[0].token_reader(None).id_of)
    prompts = {"query": "", "document": "", **prompts}
    return TokenPipeline(tuple(modules), _dimension(modules, folder), prompts, default)


def _check_kind(kind: object, folder: Path) -> None:
    if kind == "ColBERT":
        raise UnsupportedModel(
            f"{folder} is in PyLate's layout; save it again with stlib.MultiVectorEncoder(folder, "
            "backend='onnx').save(new_folder), which the torch-free TokenRuntimeEncoder runs"
        )
    if kind != MODEL_TYPE:
        raise UnsupportedModel(
            f"{folder} holds a {kind}; the torch-free TokenRuntimeEncoder runs a {MODEL_TYPE}"
        )


def _check_modules(modules: list[Module], folder: Path) -> list[OnnxTransformer]:
    """The transformers among the modules, of which each must give a vector for each token."""
    transformers = list(_each(modules, OnnxTransformer))
    if not takes_texts(modules[0]) or not transformers:
        raise UnsupportedModel(
            f"{folder} begins with a {type(modules[0]).__name__} that gives no token vectors; the torch-free "
            "TokenRuntimeEncoder needs a Transformer, or a Router of these, in front"
        )
    for transformer in transformers:
        if not transformer.gives_tokens:
            raise UnsupportedModel(
                f"{transformer.path} gives one vector per text; late interaction needs one per token: export "
                "the transformer alone"
            )
    return transformers


def _each(modules: list[Module], kind: type[_M]) -> Iterator[_M]:
    """All modules of a kind, those on the routes of routers too."""
    for module in modules:
        if isinstance(module, Router):
            for route in module.routes.values():
                yield from _each(route, kind)
        elif isinstance(module, kind):
            yield module


def _dimension(modules: list[Module], folder: Path, width: int | None = None) -> int:
    """Width of the token vectors that modules in a row make of such of ``width``.

    Raises:
        ModelConfigError: no module tells, or one takes vectors of another width.
    """
    for module in modules:
        if isinstance(module, Router):
            widths = [_dimension(route, folder, width) for route in module.routes.values()]
            width = widths[0]
        elif isinstance(module, Dense) and module.module_input_name == TOKEN_EMBEDDINGS:
            if width not in (None, module.in_features):
                raise ModelConfigError(
                    f"{folder}: a Dense takes vectors of {module.in_features} dimensions and gets {width}; "
                    "the files are not from one model: save it again"
                )
            width = module.out_features
        elif isinstance(module, OnnxTransformer):
            width = module.dimension
    if width is None:
        raise ModelConfigError(
            f"{folder}: no module tells the width of the token vectors; save the model again"
        )
    return width


_FAMILY = Family(
    "stlib.MultiVectorEncoder",
    "TokenRuntimeEncoder",
    {
        # Settings of earlier generations do not say what they project; here it is tokens.
        "Dense": lambda folder: Dense.load(folder, TOKEN_EMBEDDINGS),
        "HierarchicalTokenPooling": TokenPooling.load,
        "MultiVectorMask": TokenMask.load,
        "Normalize": Normalize.load,
    },
    expands=True,
)
