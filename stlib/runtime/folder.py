"""From a model's folder to its pipeline of modules.

The layout is that of Sentence Transformers: ``modules.json`` names the modules and their folders, and
``config_sentence_transformers.json`` holds the prompts. A folder without ``modules.json`` is a bare
transformer, to which a pooling is added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stlib.errors import ModelConfigError, UnsupportedModel
from stlib.runtime.files import inside, no_folder, read_json, read_object
from stlib.runtime.modules.base import InputModule, Module
from stlib.runtime.modules.dense import Dense
from stlib.runtime.modules.normalize import Normalize
from stlib.runtime.modules.pooling import Pooling
from stlib.runtime.modules.router import Router, check_row, dimension_of, takes_texts
from stlib.runtime.modules.small import Dropout, LayerNorm
from stlib.runtime.modules.static import StaticEmbedding
from stlib.util.plain_files import check_folder

if TYPE_CHECKING:
    from stlib.runtime.modules.transformer import OnnxTransformer

MODULES_NAME = "modules.json"
CONFIG_NAME = "config_sentence_transformers.json"

# Packages whose classes of these names are known; a class of another package may do anything.
_PACKAGES = ("sentence_transformers", "stlib")

Loaders = dict[str, Callable[[Path], Module]]
"""Class of a module to what loads it from its folder."""

_PLAIN_MODULES: Loaders = {
    "Dense": Dense.load,
    "Dropout": Dropout.load,
    "LayerNorm": LayerNorm.load,
    "Normalize": Normalize.load,
    "Pooling": Pooling.load,
    "StaticEmbedding": StaticEmbedding.load,
}
_ROUTERS = ("Router", "Asym")


@dataclass(frozen=True)
class Family:
    """A kind of models, as far as reading their folders goes.

    Attributes:
        full: class of the full library, for messages.
        light: class that runs them without torch, likewise.
        loaders: of the modules beside transformers and routers.
        expands: whether queries may be filled up with mask tokens.
    """

    full: str
    light: str
    loaders: Loaders
    expands: bool = False


_EMBEDDERS = Family("stlib.SentenceTransformer", "Encoder", _PLAIN_MODULES)


@dataclass(frozen=True)
class Pipeline:
    """The content of a model's folder.

    Attributes:
        modules: in the order in which they run; the first takes texts.
        dimension: width of the vectors.
        prompts: prompt name to the text that is put before the input.
        default_prompt_name: prompt used when none is asked for.
        truncate_dim: width that the model itself asks for; None for all of it.
    """

    modules: tuple[Module, ...]
    dimension: int
    prompts: dict[str, str]
    default_prompt_name: str | None
    truncate_dim: int | None

    @property
    def first(self) -> InputModule:
        """The module that takes texts."""
        return cast(InputModule, self.modules[0])  # read_pipeline checked it, slowly


def read_pipeline(folder: Path, file_name: str | None = None) -> Pipeline:
    """Read and check the model in ``folder``.

    Args:
        folder: a saved pipeline, or a transformer with its tokenizer.
        file_name: which ONNX file its transformers run, see :func:`find_onnx_file`.

    Raises:
        ModelNotFound: there is no such folder.
        MissingModelFile: a file is missing (its path is in the message).
        ModelConfigError: a file is unreadable, or files do not belong together.
        UnsupportedModel: a module needs the full library.
        MissingDependency: the transformer needs ONNX Runtime, which is not installed.
    """
    if not folder.is_dir():
        raise no_folder(folder, "model folder")
    check_folder(folder)
    config = read_object(folder / CONFIG_NAME)  # optional in models saved by old versions
    kind = config.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise UnsupportedModel(f"{folder} holds a {kind}; the torch-free Encoder runs SentenceTransformers")
    prompts, default = read_prompts(config, folder)
    bare = not (folder / MODULES_NAME).is_file() and (folder / "config.json").is_file()
    modules = _bare_transformer(folder, file_name) if bare else read_modules(folder, file_name, _EMBEDDERS)
    if not takes_texts(modules[0]):
        raise UnsupportedModel(
            f"{folder} begins with a {type(modules[0]).__name__} that takes no texts; the torch-free Encoder "
            "needs a Transformer, a StaticEmbedding or a Router of these in front"
        )
    check_row(modules, folder / MODULES_NAME)
    dimension = dimension_of(modules)
    if dimension is None:
        raise ModelConfigError(f"{folder}: no module tells the width of the vectors; save the model again")
    return Pipeline(tuple(modules), dimension, prompts, default, _truncate_dim(config, dimension, folder))


def read_modules(folder: Path, file_name: str | None, family: Family) -> list[Module]:
    """The modules that ``modules.json`` lists, in the order in which they run.

    Raises:
        MissingModelFile, ModelConfigError, UnsupportedModel, MissingDependency: see :func:`read_pipeline`.
    """
    path = folder / MODULES_NAME
    entries = read_json(path)
    try:
        entries = sorted(entries, key=lambda entry: entry.get("idx", 0))
        types = [str(entry["type"]) for entry in entries]
        paths = [entry["path"] for entry in entries]
    except (TypeError, KeyError, AttributeError) as error:
        raise ModelConfigError(f"{path}: expected a list of modules with 'type' and 'path'") from error
    folders = [inside(folder, relative, path) for relative in paths]
    if not types:
        raise ModelConfigError(f"{path}: the list of modules is empty")
    known = (*family.loaders, *_ROUTERS, "Transformer")
    if any(class_name(type_) not in known for type_ in types) or _lacks_onnx(types, folders, file_name):
        kinds = " + ".join(type_.rsplit(".", 1)[-1] for type_ in types)
        raise UnsupportedModel(
            f"{folder}: a model of {kinds} needs {family.full}; the torch-free {family.light} runs "
            f"{', '.join(sorted(known))}, a Transformer from its ONNX file (onnx/model.onnx)"
        )
    return [
        _load_module(type_, inner, file_name, family) for type_, inner in zip(types, folders, strict=True)
    ]


def _lacks_onnx(types: list[str], folders: list[Path], file_name: str | None) -> bool:
    """Whether a transformer has no ONNX file, so that nothing else need be read to refuse the model."""
    transformers = [
        inner for type_, inner in zip(types, folders, strict=True) if class_name(type_) == "Transformer"
    ]
    if file_name is not None or not transformers:
        return False
    from stlib.runtime.modules.onnx_files import find_onnx_file

    return any(find_onnx_file(inner) is None for inner in transformers)


def _load_module(type_: str, folder: Path, file_name: str | None, family: Family) -> Module:
    name = class_name(type_)
    if name in family.loaders:
        return family.loaders[name](folder)
    if name in _ROUTERS:
        return Router.load(folder, partial(_load_module, file_name=file_name, family=family))
    if name == "Transformer":
        return load_transformer(folder, file_name, family.expands)
    raise UnsupportedModel(
        f"{folder}: a module of the type {type_!r} needs {family.full}; the torch-free {family.light} "
        f"runs {', '.join(sorted([*family.loaders, 'Router', 'Transformer']))}"
    )


def load_transformer(folder: Path, file_name: str | None, expands: bool = False) -> OnnxTransformer:
    """The transformer in a folder, see :meth:`OnnxTransformer.load`."""
    # Imported here because static models, which must load in no time, do without.
    from stlib.runtime.modules.transformer import OnnxTransformer

    return OnnxTransformer.load(folder, file_name, expands=expands)


def class_name(type_: object) -> str | None:
    """The class that a type in ``modules.json`` ends in, if it is one of the library's."""
    package, _, name = str(type_).rpartition(".")
    return name if package.split(".")[0] in _PACKAGES else None


def _bare_transformer(folder: Path, file_name: str | None) -> list[Module]:
    """A transformer without ``modules.json``, and its pooling: as ``1_Pooling`` says, or the usual one."""
    transformer = load_transformer(folder, file_name)
    if not transformer.gives_tokens:
        return [transformer]
    if (folder / "1_Pooling" / "config.json").is_file():
        return [transformer, Pooling.load(folder / "1_Pooling")]
    if transformer.dimension is None:
        raise ModelConfigError(f"{folder}: neither config.json nor {transformer.path.name} tells the width")
    architectures = read_object(folder / "config.json").get("architectures") or [""]
    # A causal model has read the whole text at its last token only.
    mode = "lasttoken" if str(architectures[0]).endswith("ForCausalLM") else "mean"
    return [transformer, Pooling(transformer.dimension, (mode,))]


def read_prompts(config: dict[str, Any], folder: Path) -> tuple[dict[str, str], str | None]:
    """Prompts by name and the name of the one to use by default, from a model's configuration.

    Raises:
        ModelConfigError: they have another form.
    """
    prompts = config.get("prompts") or {}
    default = config.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(
        isinstance(text, (str, type(None))) for text in prompts.values()
    ):
        raise ModelConfigError(f"{folder}: 'prompts' must map prompt names to strings, found {prompts!r}")
    if default is not None and default not in {"query", "document", *prompts}:
        raise ModelConfigError(
            f"{folder}: default_prompt_name {default!r} is not one of the prompts {sorted(prompts)}"
        )
    return {name: text or "" for name, text in prompts.items()}, default


def _truncate_dim(config: dict[str, Any], dimension: int, folder: Path) -> int | None:
    width = config.get("truncate_dim")
    if width is None:
        return None
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise ModelConfigError(f"{folder}: truncate_dim is {width!r}; it must be a number from 1 on")
    return min(width, dimension)
