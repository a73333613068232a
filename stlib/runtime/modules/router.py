"""Different modules for different texts: queries and documents."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from stlib.errors import ModelConfigError, UnknownTask, UnsupportedModel
from stlib.runtime.files import inside, missing, read_object
from stlib.runtime.modules.base import Features, InputModule, Module, Rows
from stlib.runtime.modules.pooling import Pooling
from stlib.runtime.words import TokenReader

# The second is that of the Asym of earlier generations, whose files are otherwise the same.
_CONFIG_NAMES = ("router_config.json", "config.json")

# What the runtime encodes.
_MODALITY = "text"


class RouteKey(NamedTuple):
    """What a mapping applies to; None stands for any."""

    task: str | None
    modality: str | tuple[str, ...] | None


class Router:
    """Sends each batch along the route of its task.

    The route is the first of these that exists: ``mappings`` of (task, text), (task, any), (any, text) and
    (any, any), the route named like the task, the route named ``"text"``, and, without a task,
    ``default_route``.

    Args:
        routes: name to the modules of the route, the first of which takes texts.
        default_route: see above.
        mappings: see above.
    """

    def __init__(
        self,
        routes: dict[str, list[Module]],
        default_route: str | None = None,
        mappings: dict[RouteKey, str] | None = None,
    ) -> None:
        self.routes = routes
        self.default_route = default_route
        self.mappings = mappings or {}
        self.dimension = next((width for route in routes.values() if (width := dimension_of(route))), None)

    @classmethod
    def load(cls, folder: Path, load_module: Callable[[str, Path], Module]) -> Router:
        """Read the routes and load every module once.

        Args:
            folder: the router's own.
            load_module: type in ``modules.json`` and folder to a module.

        Raises:
            MissingModelFile, ModelConfigError: the files are missing or wrong.
        """
        path = next((folder / name for name in _CONFIG_NAMES if (folder / name).is_file()), None)
        if path is None:
            raise missing(folder / _CONFIG_NAMES[0])
        config = read_object(path)
        try:
            modules = {
                name: load_module(type_, _find_nested(folder, name, path))
                for name, type_ in config["types"].items()
            }
            routes = {
                route: [modules[name] for name in names] for route, names in config["structure"].items()
            }
            parameters = dict(config.get("parameters") or {})
            mappings = {
                _parse(key, path): name for key, name in (parameters.get("route_mappings") or {}).items()
            }
        except (KeyError, AttributeError, TypeError) as error:
            raise ModelConfigError(
                f"{path} does not describe a Router ({type(error).__name__}: {error})"
            ) from error
        default = parameters.get("default_route")
        if default is None and parameters.get("allow_empty_key", True):
            default = next(iter(routes), None)
        unknown = [name for name in mappings.values() if name not in routes]
        if default is not None and default not in routes:
            unknown.append(default)
        if unknown or not all(routes.values()) or not routes:
            raise ModelConfigError(
                f"{path}: no route {unknown or 'has modules'}; there are: {', '.join(routes)}"
            )
        for route in routes.values():
            check_row(route, path)
        return cls(routes, default, mappings)

    def resolve(self, task: str | None) -> str:
        """Name of the route of a task.

        Raises:
            UnknownTask: no rule fits.
        """
        for key in ((task, _MODALITY), (task, None), (None, _MODALITY), (None, None)):
            if key in self.mappings:
                return self.mappings[RouteKey(*key)]
        if task and task in self.routes:
            return task
        if _MODALITY in self.routes:
            return _MODALITY
        if task is None and self.default_route is not None:
            return self.default_route
        raise UnknownTask(
            f"no route for task={task!r}; the routes are: {', '.join(self.routes)}; "
            "name one by encode(…, task=…)"
        )

    @property
    def max_seq_length(self) -> int | None:
        """The largest limit of all routes; None if one has none."""
        limits = [self._first(name).max_seq_length for name in self.routes]
        return None if None in limits else max(limit for limit in limits if limit is not None)

    def token_reader(self, task: str | None) -> TokenReader:
        return self._first(self.resolve(task)).token_reader(task)

    def batches(self, texts: list[str], prompt: str, task: str | None) -> Iterator[tuple[Rows, Features]]:
        yield from self._first(self.resolve(task)).batches(texts, prompt, task)

    def forward(self, features: Features) -> Features:
        for module in self.routes[self.resolve(features.get("task"))]:
            features = module.forward(features)
        return features

    def signature(self) -> dict[str, Any]:
        return {
            "kind": "Router",
            "routes": {name: [module.signature() for module in route] for name, route in self.routes.items()},
            "default_route": self.default_route,
            "mappings": sorted([repr(tuple(key)), name] for key, name in self.mappings.items()),
        }

    def takes_texts(self) -> bool:
        """Whether every route begins with a module that makes features from texts."""
        return all(takes_texts(route[0]) for route in self.routes.values())

    def _first(self, name: str) -> InputModule:
        return cast(InputModule, self.routes[name][0])


def takes_texts(module: Module) -> bool:
    """Whether a module makes features from texts, so that a pipeline can begin with it."""
    return module.takes_texts() if isinstance(module, Router) else isinstance(module, InputModule)


def check_row(modules: list[Module], source: Path) -> None:
    """Refuse modules in a row of which one wants what none before it gives.

    Raises:
        UnsupportedModel: an ONNX file gives one vector per text, and a pooling wants one per token.
    """
    pools = any(isinstance(module, Pooling) for module in modules)
    if pools and not getattr(modules[0], "gives_tokens", True):
        raise UnsupportedModel(
            f"{source}: the ONNX file gives one vector per text, and the Pooling needs one per token; export "
            "the transformer alone, or leave the Pooling out of the pipeline"
        )


def dimension_of(modules: list[Module]) -> int | None:
    """Width of what modules in a row make, as far as they tell."""
    return next((m.dimension for m in reversed(modules) if m.dimension is not None), None)


def _find_nested(folder: Path, name: Any, source: Path) -> Path:
    path = inside(folder, name, source)
    if path == folder:
        raise ModelConfigError(f"{source}: a module of a Router needs a folder of its own, found {name!r}")
    return path


def _parse(key: str, source: Path) -> RouteKey:
    """A key of ``route_mappings`` from its stored form, the ``repr`` of the pair."""
    try:
        task, modality = ast.literal_eval(key)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ModelConfigError(f"{source}: {key!r} is no key such as \"('query', 'text')\"") from error
    return RouteKey(task, tuple(sorted(modality)) if isinstance(modality, (tuple, list)) else modality)
