"""Names of objects, objects by name, and quiet sections."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
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


def import_module_class(
    class_ref: str,
    model_name_or_path: str | None = None,
    *,
    trust_remote_code: bool = False,
    revision: str | None = None,
    code_revision: str | None = None,
    token: bool | str | None = None,
    cache_folder: str | None = None,
    local_files_only: bool = False,
) -> type:
    """The class that a ``modules.json`` names: ours by the registry, others only with ``trust_remote_code``.

    Raises:
        UntrustedCode: the class is not ours and ``trust_remote_code`` is False.
        ImportError: there is no such class.
    """
    from stlib.base.registry import resolve_module_class

    return resolve_module_class(
        class_ref,
        model_name_or_path,
        trust_remote_code=trust_remote_code,
        revision=revision,
        code_revision=code_revision,
        token=token,
        cache_folder=cache_folder,
        local_files_only=local_files_only,
    )


@contextmanager
def disable_logging(highest_level: int = logging.CRITICAL) -> Iterator[None]:
    """Silence all log records up to ``highest_level`` inside a ``with`` block."""
    previous = logging.root.manager.disable
    logging.disable(highest_level)
    try:
        yield
    finally:
        logging.disable(previous)
