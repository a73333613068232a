"""From a model's folder to its modules."""

from __future__ import annotations

import inspect
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from stlib.base.folder import missing_file, read_json_object
from stlib.base.transformer.config import Backend
from stlib.errors import MissingModelFile, ModelConfigError, ModelNotFound, UnsafePath
from stlib.util.environment import check_version_requirements
from stlib.util.file_io import check_relative_path, download_model, resolve_model_folder
from stlib.util.original_names import ORIGINAL_TRANSFORMER_MODELS
from stlib.util.plain_files import read_plain
from stlib.util.registry import resolve_module_class

logger = logging.getLogger(__name__)

MODULES_NAME = "modules.json"
CONFIG_NAME = "config_sentence_transformers.json"
CARD_NAME = "README.md"

# By either of these a folder is recognised as a transformers model or an adapter for one.
PLAIN_MODEL_FILES = ("config.json", "adapter_config.json")


@dataclass(frozen=True)
class LoadOptions:
    """How the modules of a model are loaded; the arguments of the model's constructor of the same names.

    Attributes:
        module_classes: types of ``modules.json`` and the classes to take for them, instead of importing any.
        init_defaults: name of a class to settings that its saved configuration may lack.
    """

    trust_remote_code: bool = False
    revision: str | None = None
    token: bool | str | None = None
    cache_folder: str | None = None
    local_files_only: bool = False
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    processor_kwargs: dict[str, Any] = field(default_factory=dict)
    config_kwargs: dict[str, Any] = field(default_factory=dict)
    backend: Backend = "torch"
    module_classes: Mapping[str, type[nn.Module]] = field(default_factory=dict)
    init_defaults: Mapping[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ModuleSpec:
    """One entry of ``modules.json``: a class, its folder inside the model, and ``encode`` keywords it
    takes.
    """

    name: str
    path: str
    type: str
    kwargs: list[str]


@dataclass(frozen=True)
class FoundModel:
    """A model's local folder, and the id under which the hub knows it (None for a folder of the user)."""

    folder: Path
    model_id: str | None


@dataclass(frozen=True)
class Pipeline:
    """What a folder holds: named modules, the ``encode`` keywords of each, and the model's own settings;
    also where it was found, once that is known.
    """

    modules: OrderedDict[str, nn.Module]
    module_kwargs: dict[str, list[str]]
    config: dict[str, Any]
    card: str | None
    found: FoundModel | None = None


def find_model(name: str, organization: str | None, options: LoadOptions) -> FoundModel:
    """The local folder of a model by path, id, bare name in ``organization``, or name of the bundled model.

    Raises:
        ModelNotFound: none of these exists.
    """
    from stlib.runtime import BUNDLED_MODEL_NAME, default_model_path

    if Path(name).exists():
        return FoundModel(resolve_model_folder(name), None)
    if name == BUNDLED_MODEL_NAME:
        return FoundModel(default_model_path(), None)
    found = _find_by_id(name, organization, options)
    patterns = list_exported_patterns(options)
    if not patterns or options.local_files_only or any(any(found.folder.glob(p)) for p in patterns):
        return found
    # The cache has no exported file; the hub may. Without one, the torch model is exported.
    return FoundModel(complete_model(found, options) or found.folder, found.model_id)


def _find_by_id(name: str, organization: str | None, options: LoadOptions) -> FoundModel:
    places = (options.token, options.cache_folder, options.revision)
    exported = list_exported_patterns(options)
    # A bare name is that of a model of the organization, or of an original transformers model.
    bare = organization and not set("/\\") & set(name) and name.lower() not in ORIGINAL_TRANSFORMER_MODELS
    names = [f"{organization}/{name}", name] if bare else [name]
    failures: list[ModelNotFound] = []
    # The cache may know any of the names; the network is asked when it knows none. Only if that is no help,
    # an ONNX file and a tokenizer are taken for a whole model.
    attempts = [(True, True)] if options.local_files_only else [(True, False), (False, False), (True, True)]
    for local_only, onnx_alone in attempts:
        for candidate in names:
            try:
                folder = resolve_model_folder(candidate, *places, local_only, exported, onnx_alone)
                return FoundModel(folder, candidate)
            except ModelNotFound as error:
                failures.append(error)
    raise failures[0 if options.local_files_only else len(names)]


def complete_model(found: FoundModel, options: LoadOptions) -> Path | None:
    """Download what a half-filled cache lacks; None if that is impossible or forbidden."""
    if found.model_id is None or options.local_files_only:
        return None
    try:
        return download_model(
            found.model_id,
            options.token,
            options.cache_folder,
            options.revision,
            list_exported_patterns(options),
        )
    except ModelNotFound as error:
        logger.warning("what the cache lacks was not fetched: %s", error)
        return None


def list_exported_patterns(options: LoadOptions) -> list[str]:
    """Where a repository may keep the exported file that a backend asks for, and what belongs to the file."""
    default = {"onnx": "model.onnx", "openvino": "openvino_model.xml"}.get(options.backend)
    if default is None or options.model_kwargs.get("export"):
        return []
    name = check_relative_path(options.model_kwargs.get("file_name") or default).as_posix()
    beside = f"{name}_data" if options.backend == "onnx" else f"{name.removesuffix('.xml')}.bin"
    return [name, f"*/{name}", beside, f"*/{beside}"]


def name_inner_model(modules: Mapping[str, nn.Module], found: FoundModel) -> None:
    """Let the transformers model carry the id it has on the hub rather than a path in the cache.

    Adapters and model cards that are saved later refer to their base by this name.
    """
    if found.model_id is None:
        return
    for module in modules.values():
        inner = getattr(module, "auto_model", None)
        if inner is not None and getattr(inner, "name_or_path", None) == str(found.folder):
            inner.name_or_path = inner.config.name_or_path = found.model_id


def named_modules(modules: Sequence[nn.Module] | Mapping[str, nn.Module]) -> OrderedDict[str, nn.Module]:
    """Modules under their names; those of a list are named by position."""
    if isinstance(modules, Mapping):
        return OrderedDict(modules)
    return OrderedDict((str(i), module) for i, module in enumerate(modules))


def load_pipeline(folder: Path, options: LoadOptions) -> Pipeline:
    """Build all modules that ``modules.json`` names.

    Raises:
        MissingModelFile: a file or a module's folder is missing.
        ModelConfigError: a file has the wrong form.
        UntrustedCode: a module is foreign and ``trust_remote_code`` is False.
        UnsafePath: a module's path leaves the folder.
        MissingDependency: the model's author asks for other versions of packages.
    """
    config = read_model_config(folder)
    check_version_requirements(config.get("requirements"), str(folder))
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    specs = read_specs(folder)
    for spec in specs:
        modules[spec.name] = load_module(spec, folder, options)
    card = folder / CARD_NAME
    return Pipeline(
        modules=modules,
        module_kwargs={spec.name: spec.kwargs for spec in specs if spec.kwargs},
        config=config,
        card=card.read_text(encoding="utf-8", errors="replace") if card.is_file() else None,
    )


def read_model_config(folder: Path) -> dict[str, Any]:
    """Settings of the model itself (prompts, similarity, …); ``{}`` for models older than the file."""
    path = folder / CONFIG_NAME
    return read_json_object(path) if path.is_file() else {}


def read_specs(folder: Path) -> list[ModuleSpec]:
    """The entries of ``modules.json`` in the order of the pipeline.

    Raises:
        MissingModelFile: there is no such file.
        ModelConfigError: it has the wrong form.
    """
    path = folder / MODULES_NAME
    if not path.is_file():
        raise missing_file(str(folder), "", MODULES_NAME)
    content = read_plain(path)
    try:
        entries = json.loads(content.decode("utf-8"))
        specs = [
            ModuleSpec(str(e.get("name", i)), str(e["path"]), e["type"], list(e.get("kwargs") or []))
            for i, e in enumerate(sorted(entries, key=lambda e: e.get("idx", 0)))
        ]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ModelConfigError(
            f"{path} is no list of modules with 'path' and 'type' ({type(error).__name__}: {error}); "
            "download or save the model again"
        ) from error
    _check_names([spec.name for spec in specs], path)
    return specs


def _check_names(names: list[str], path: Path) -> None:
    """Refuse names that no module can have, and one name for two, of which the first would be lost.

    Raises:
        ModelConfigError: see above.
    """
    taken = vars(nn.Sequential()).keys() | set(dir(nn.Sequential))
    wrong = [name for name in names if not name or "." in name or name in taken or names.count(name) > 1]
    if wrong:
        raise ModelConfigError(
            f"{path} gives its modules the names {names}, of which {wrong[0]!r} cannot be used; give "
            "each another one, such as its number"
        )


def transformer_folder(folder: Path) -> Path:
    """Where a pipeline's folder has its transformer: at its top, or in the folder of its first module of that
    class, as pipelines had it once.

    Raises:
        ModelConfigError: the list of modules has the wrong form.
        UnsafePath: a module's path leaves the folder.
    """
    if is_plain_model(folder):
        return folder
    specs = [spec for spec in read_specs(folder) if str(spec.type).rpartition(".")[2] == "Transformer"]
    places = (_module_folder(spec, folder) for spec in specs)
    return next((place for place in places if is_plain_model(place)), folder)


def is_plain_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in PLAIN_MODEL_FILES)


def _module_folder(spec: ModuleSpec, folder: Path) -> Path:
    """The folder of a module, which lies in that of the model."""
    inner = folder / check_relative_path(spec.path)
    if not inner.resolve().is_relative_to(folder.resolve()):
        raise UnsafePath(
            f"{inner} is a link that leaves the model's folder; copy what it points to into the model"
        )
    return inner


def load_module(spec: ModuleSpec, folder: Path, options: LoadOptions) -> nn.Module:
    """Build one module from its folder.

    Raises:
        UnsafePath: the module's path, or a link in it, leaves the model's folder.
        ModelConfigError: its type is no module.
    """
    inner = _module_folder(spec, folder)
    given = options.module_classes.get(spec.type) if isinstance(spec.type, str) else None
    cls = given or resolve_module_class(
        spec.type,
        folder,
        trust_remote_code=options.trust_remote_code,
        revision=options.revision,
        code_revision=options.model_kwargs.get("code_revision"),
        token=options.token,
        cache_folder=options.cache_folder,
        local_files_only=options.local_files_only,
    )
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise ModelConfigError(f"{folder / MODULES_NAME} names {spec.type!r}, which is no module")
    if not inner.is_dir() and getattr(cls, "config_keys", None) and cls.__name__ != "Normalize":
        raise MissingModelFile(
            f"{folder / MODULES_NAME} names the folder {spec.path!r} of its {cls.__name__}, which is "
            "missing; the copy or download stopped half-way: get the model again"
        )
    return _call_load(cls, spec, folder, inner, options)


def _call_load(cls: Any, spec: ModuleSpec, folder: Path, inner: Path, options: LoadOptions) -> nn.Module:
    """Call ``cls.load`` in the form of its generation: with keywords, or with the module's folder alone."""
    parameters = inspect.signature(cls.load).parameters
    if not _takes_model_folder(parameters):
        return cls.load(str(inner))
    keywords = {
        "subfolder": spec.path,
        # The model's own files are local by now; this concerns what they refer to, as the base of an adapter.
        "local_files_only": options.local_files_only,
        "trust_remote_code": options.trust_remote_code,
        "model_kwargs": dict(options.model_kwargs),
        "processor_kwargs": dict(options.processor_kwargs),
        "config_kwargs": dict(options.config_kwargs),
        "backend": options.backend,
        "token": options.token,
        "cache_folder": options.cache_folder,
        "revision": None,
    }
    if defaults := options.init_defaults.get(cls.__name__):
        keywords["init_defaults"] = dict(defaults)
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        keywords = {name: value for name, value in keywords.items() if name in parameters}
    if "module_classes" in parameters:
        keywords["module_classes"] = options.module_classes
    return cls.load(str(folder), **keywords)


def _takes_model_folder(parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a ``load`` wants the model's folder and a subfolder, by what its first parameter is called.

    Earlier generations gave it the module's own folder, under a name of the author's choice.
    """
    first = next(iter(parameters.values()), None)
    return "subfolder" in parameters or (
        first is not None
        and (first.name == "model_name_or_path" or first.kind is inspect.Parameter.VAR_POSITIONAL)
    )
