"""Optional packages of the backends, with an error that says which extra brings them."""

from __future__ import annotations

import importlib
from typing import Any

from stlib.errors import MissingDependency


def require(package: str, extra: str) -> Any:
    """Import an optional package.

    Raises:
        MissingDependency: it is not installed; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise MissingDependency(
            f"this needs the package {error.name!r}, which is missing; run: pip install 'stlib[{extra}]'"
        ) from error
