"""Names of classes, and objects by name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any


def fullname(obj: Any) -> str:
    """``module.Class`` of a class or of an object's class; built-in classes go by their bare name."""
    cls = obj if inspect.isclass(obj) else type(obj)
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"


def import_from_string(dotted_path: str) -> Any:
    """The attribute that ``package.module.name`` names. Runs the module's code: only for paths the user gave.

    Raises:
        ImportError: no such module or attribute.
    """
    module_path, _, name = dotted_path.rpartition(".")
    if not module_path:
        raise ImportError(f"{dotted_path!r} is no path of the form package.module.name")
    module = importlib.import_module(module_path)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ImportError(f"module {module_path!r} has no attribute {name!r}") from None
