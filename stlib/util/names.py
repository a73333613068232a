"""Names of classes, objects by name, and values in the words of a message."""

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


def describe_value(value: Any) -> str:
    """A value of the wrong type, as words that follow "is"."""
    if isinstance(value, str):
        return f"the text {value[:100]!r}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    package = type(value).__module__.split(".")[0]
    name = f"{package} {name}" if package in ("numpy", "pandas", "polars", "torch", "pyarrow") else name
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
