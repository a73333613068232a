"""Different modules for different inputs: queries and documents, texts and images."""

from __future__ import annotations

import ast
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from stlib.base import loading, saving
from stlib.base.folder import missing_file
from stlib.base.modality.kinds import MODALITIES, format_modality, infer_batch_modality
from stlib.base.modules.input_module import InputModule
from stlib.base.modules.module import DimensionNames, Module, embedding_dimension_of
from stlib.errors import InvalidInput, InvalidOption, ModelConfigError
from stlib.util.file_io import resolve_model_folder

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

# (task or None for any, modality or None for any)
RouteKey = tuple[str | None, Any]

# Config of the Asym of earlier generations, whose files are otherwise the same.
_OLDER_CONFIG_NAME = "config.json"


class Router(DimensionNames, InputModule):
    """Send each batch along the route of its task and modality.

    The route is the first of these that exists:

    1. ``route_mappings[(task, modality)]``
    2. ``route_mappings[(task, None)]``
    3. ``route_mappings[(None, modality)]``
    4. ``route_mappings[(None, None)]``
    5. the route named like the task
    6. the route named like the modality
    7. ``default_route``, when no task is given

    ``encode_query`` and ``encode_document`` set the tasks ``"query"`` and ``"document"``; ``encode(task=…)``
    sets any. Without a task, inputs of the form ``{"query": "text"}`` name theirs. The modality is inferred
    unless ``encode(modality=…)`` gives it.

    Args:
        sub_modules: route name to the modules of the route.
        default_route: see rule 7; the first route if None and ``allow_empty_key``.
        allow_empty_key: take inputs without a task although no rule fits.
        route_mappings: see rules 1 to 4; a modality of several kinds is a tuple in any order.

    Raises:
        InvalidOption: there are no routes, or a default or mapping names none of them.
    """

    config_file_name: ClassVar[str] = "router_config.json"
    config_keys: ClassVar[list[str]] = ["default_route", "allow_empty_key", "route_mappings"]
    forward_kwargs: ClassVar[set[str]] = {"task", "modality"}

    def __init__(
        self,
        sub_modules: Mapping[str, Sequence[nn.Module]],
        default_route: str | None = None,
        allow_empty_key: bool = True,
        route_mappings: Mapping[RouteKey, str] | None = None,
    ) -> None:
        super().__init__()
        if not sub_modules:
            raise InvalidOption("a Router needs at least one route; sub_modules is empty")
        named = [default_route, *(route_mappings or {}).values()]
        for name in named:
            if name is not None and name not in sub_modules:
                raise InvalidOption(f"there is no route {name!r}; the routes are: {', '.join(sub_modules)}")
        self.sub_modules = nn.ModuleDict({name: nn.Sequential(*parts) for name, parts in sub_modules.items()})
        self.default_route = (
            next(iter(sub_modules)) if allow_empty_key and default_route is None else default_route
        )
        self.allow_empty_key = allow_empty_key
        self.route_mappings = {
            (task, _key(kind)): name for (task, kind), name in (route_mappings or {}).items()
        }

    @classmethod
    def for_query_document(
        cls,
        query_modules: Sequence[nn.Module],
        document_modules: Sequence[nn.Module],
        default_route: str | None = "document",
        allow_empty_key: bool = True,
    ) -> Self:
        """A router with the routes ``"query"`` and ``"document"``."""
        routes = {"query": query_modules, "document": document_modules}
        return cls(routes, default_route=default_route, allow_empty_key=allow_empty_key)

    def resolve_route(self, task: str | None = None, modality: Any = None) -> str:
        """Name of the route by the rules of the class.

        Raises:
            InvalidInput: no rule fits.
        """
        kind = _key(modality)
        for key in ((task, kind), (task, None), (None, kind), (None, None)):
            if key in self.route_mappings:
                return self.route_mappings[key]
        if task and task in self.sub_modules:
            return task
        if kind and isinstance(kind, str) and kind in self.sub_modules:
            return kind
        if task is None and self.default_route is not None:
            return self.default_route
        raise InvalidInput(
            f"no route for task={task!r} and modality={format_modality(kind) if kind else None!r}; "
            f"the routes are: {', '.join(self.sub_modules)}; name one by encode(…, task=…) or default_route"
        )

    def preprocess(
        self,
        inputs: list[Any],
        prompt: str | None = None,
        task: str | None = None,
        modality: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Features by the first module of the route."""
        inputs, task = unwrap_task(inputs, task)
        if modality is None and inputs:
            modality = self._infer_route(inputs)
        route: Any = self.sub_modules[self.resolve_route(task, modality)]
        features = route[0].preprocess(inputs, prompt=prompt, task=task, **kwargs)
        features["task"] = task
        if modality is not None:
            features["modality"] = modality
        return features

    def forward(
        self, features: dict[str, Any], task: str | None = None, modality: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        task = features.get("task") if task is None else task
        modality = features.get("modality") if modality is None else modality
        route: Any = self.sub_modules[self.resolve_route(task, modality)]
        given = {**kwargs, "task": task, "modality": modality}
        for module in route:
            wanted = keywords_of(module)
            features = module(features, **{name: value for name, value in given.items() if name in wanted})
        return features

    def accepted_kwargs(self) -> set[str]:
        """Keywords of ``encode`` that the router or a module of any route takes."""
        nested = (keywords_of(module) for route in self._routes() for module in route)
        return set(self.forward_kwargs).union(*nested)

    @property
    def modalities(self) -> list[Any]:
        kinds = {kind for route in self._routes() for kind in getattr(route[0], "modalities", ["text"])}
        return sorted(kinds, key=str)

    @property
    def batch_token_factor(self) -> int:  # type: ignore[override]
        """That of the most demanding route."""
        return min(getattr(route[0], "batch_token_factor", 64) for route in self._routes())

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the first route that has one."""
        found = (getattr(route[0], "tokenizer", None) for route in self._routes())
        return next((tokenizer for tokenizer in found if tokenizer is not None), None)

    @property
    def max_seq_length(self) -> Any:
        """The largest limit of all routes; None if none has any. Setting it sets that of every route."""
        limits = [getattr(route[0], "max_seq_length", None) for route in self._routes()]
        return max((limit for limit in limits if limit), default=None)

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        for route in self._routes():
            if hasattr(route[0], "max_seq_length"):
                with contextlib.suppress(AttributeError):  # a static embedding has no limit to set
                    route[0].max_seq_length = value

    def get_embedding_dimension(self) -> int | None:  # type: ignore[override]
        """That of the first route that tells; routes should agree."""
        known = [dimension for route in self._routes() if (dimension := _dimension_of(route)) is not None]
        if len(set(known)) > 1:
            logger.warning("routes end in different dimensions: %s", sorted(set(known)))
        return known[0] if known else None

    def on_model_ready(self, model: nn.Module) -> None:
        for route in self._routes():
            for module in route:
                if isinstance(module, Module):
                    module.on_model_ready(model)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Every module in a folder of its own; one that several routes share is stored once."""
        folder = Path(output_path)
        names: dict[int, str] = {}
        types: dict[str, str] = {}
        structure: dict[str, list[str]] = {}
        for route_name, route in self.sub_modules.items():
            structure[route_name] = []
            for index, module in enumerate(route.children()):
                name = names.setdefault(id(module), f"{route_name}_{index}_{type(module).__name__}")
                structure[route_name].append(name)
                if name not in types:
                    (folder / name).mkdir()
                    saving.save_module(module, folder / name, safe_serialization)
                    types[name] = saving.module_type(module, folder)
        parameters = self.get_config_dict()
        parameters["route_mappings"] = {str(key): name for key, name in self.route_mappings.items()}
        config = {"types": types, "structure": structure, "parameters": parameters}
        (folder / self.config_file_name).write_text(json.dumps(config, indent=4), encoding="utf-8")

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        module_classes: Mapping[str, type[nn.Module]] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Read the routes and build every module once.

        Args:
            model_name_or_path, subfolder, token, cache_folder, revision, local_files_only: see
                :meth:`Module.load`.
            module_classes: saved types and the classes to take for them, instead of importing any.
            kwargs: for the modules: ``trust_remote_code``, ``model_kwargs``, ``backend``, …

        Raises:
            MissingModelFile, ModelConfigError, UntrustedCode, UnsafePath: as for a whole model.
        """
        hub = (token, cache_folder, revision, local_files_only)
        found = (
            cls.load_config(model_name_or_path, subfolder, name, *hub)
            for name in (cls.config_file_name, _OLDER_CONFIG_NAME)
        )
        config = next((c for c in found if c), None)
        if config is None:
            raise missing_file(model_name_or_path, subfolder, cls.config_file_name)
        folder = resolve_model_folder(model_name_or_path, *hub)
        known = loading.LoadOptions.__dataclass_fields__
        options = loading.LoadOptions(
            token=token,
            cache_folder=cache_folder,
            revision=revision,
            local_files_only=local_files_only,
            module_classes=module_classes or {},
            **{k: v for k, v in kwargs.items() if k in known and v is not None},
        )
        try:
            modules = {
                name: loading.load_module(
                    loading.ModuleSpec(name, (Path(subfolder) / name).as_posix(), type_, []), folder, options
                )
                for name, type_ in config["types"].items()
            }
            routes = {
                route: [modules[name] for name in names] for route, names in config["structure"].items()
            }
            parameters = dict(config["parameters"])
        except (KeyError, AttributeError, TypeError) as error:
            raise ModelConfigError(
                f"{model_name_or_path}/{subfolder} does not describe a Router "
                f"({type(error).__name__}: {error})"
            ) from error
        if parameters.get("route_mappings"):
            parameters["route_mappings"] = {_parse_key(k): v for k, v in parameters["route_mappings"].items()}
        return cls.from_config({"sub_modules": routes, **parameters}, model_name_or_path, subfolder)

    def extra_repr(self) -> str:
        return f"default_route={self.default_route!r}, route_mappings={self.route_mappings}"

    def __repr__(self) -> str:
        return nn.Module.__repr__(self)

    def _routes(self) -> list[Any]:
        return list(self.sub_modules.values())

    def _infer_route(self, inputs: list[Any]) -> Any:
        try:
            return infer_batch_modality(inputs, self.modalities)
        except InvalidInput as error:
            # A route for the task alone may still fit; its own module then checks the inputs.
            logger.debug("no modality inferred: %s", error)
            return None


Asym = Router
"""The name of :class:`Router` in earlier generations."""


def keywords_of(module: nn.Module) -> set[str]:
    """Keywords of ``encode`` that a module takes."""
    accepted = getattr(module, "accepted_kwargs", None)
    return set(accepted() if callable(accepted) else getattr(module, "forward_kwargs", ()))


def unwrap_task(inputs: list[Any], task: str | None = None) -> tuple[list[Any], str | None]:
    """``[{"query": "text"}, …]`` as ``["text", …]`` and ``"query"``; other inputs as they are.

    Raises:
        InvalidInput: the inputs of one batch name different tasks.
    """
    if (
        task is not None
        or not inputs
        or not all(isinstance(item, dict) and len(item) == 1 for item in inputs)
    ):
        return inputs, task
    keys = {key for item in inputs for key in item}
    if keys & set(MODALITIES):
        return inputs, task
    if len(keys) > 1:
        raise InvalidInput(
            f"one batch names the tasks {', '.join(sorted(keys))}; encode each in a call of its own"
        )
    task = keys.pop()
    return [item[task] for item in inputs], task


def _dimension_of(route: nn.Sequential) -> int | None:
    """What the last module of a route that tells its dimension tells."""
    dimensions = (embedding_dimension_of(module) for module in reversed(list(route)))
    return next((dimension for dimension in dimensions if dimension is not None), None)


def _key(modality: Any) -> Any:
    return tuple(sorted(modality)) if isinstance(modality, (tuple, list)) else modality


def _parse_key(text: str) -> RouteKey:
    """A key of ``route_mappings`` from its stored form, the ``repr`` of the pair."""
    try:
        task, modality = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError) as error:
        raise ModelConfigError(f"{text!r} is no key such as \"('query', 'text')\"") from error
    return task, modality
