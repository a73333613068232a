"""Building blocks that all model families share, resolved on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stlib.base.modules.dense import Dense
    from stlib.base.modules.input_module import InputModule
    from stlib.base.modules.module import Module
    from stlib.base.modules.normalize import Normalize
    from stlib.base.modules.router import Asym, Router
    from stlib.base.modules.transformer import Transformer

_EXPORTS = {
    "Asym": "router",
    "Dense": "dense",
    "InputModule": "input_module",
    "Module": "module",
    "Normalize": "normalize",
    "Router": "router",
    "Transformer": "transformer",
}

__all__ = ["Asym", "Dense", "InputModule", "Module", "Normalize", "Router", "Transformer"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
