"""What the models of the library need beside what searching needs, and the line that installs it.

Searching runs without torch and transformers, which take most of a gigabyte, so they are an extra (`torch`).
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

__all__ = ["INSTALL_TORCH", "import_for", "need_torch"]

INSTALL_TORCH = "pip install 'torch>=2.4,<2.14' 'transformers>=4.57'"
"""The extra `torch`, for who has this package already. The bounds are those of pyproject.toml."""


def need_torch(what: str) -> None:
    """
    Raises:
        ImportError: torch or transformers is not installed; it says what to type.
    """
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"{what} needs {' and '.join(missing)}, which searching does without: {INSTALL_TORCH}",
            name=missing[0],
        )


def import_for(what: str, module: str) -> ModuleType:
    """The module that defines `what`.

    Raises:
        ImportError: it cannot be imported; where torch or transformers is missing it says what to type.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name in ("torch", "transformers"):
            need_torch(what)
        raise
