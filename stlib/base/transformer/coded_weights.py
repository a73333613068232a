"""Weights that a folder keeps as int8, a quarter of their size: ``x.weight`` and ``x.scale`` of each row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

__all__ = ["has_coded_weights", "read_coded_weights"]

_FILE = "model.safetensors"
_WEIGHT, _SCALE = ".weight", ".scale"


def has_coded_weights(folder: Path) -> bool:
    """Whether some matrix in ``model.safetensors`` is int8 with a scale beside it."""
    path = folder / _FILE
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return bool(_coded(file))
    except (SafetensorError, OSError):
        return False  # what is wrong with it is told by whoever reads it


def read_coded_weights(folder: Path) -> dict[str, Tensor]:
    """All weights by name, coded ones as the float32 that they stand for.

    Raises:
        SafetensorError: the file is damaged.
    """
    with safe_open(folder / _FILE, framework="pt") as file:
        coded = _coded(file)
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    for name in coded:
        state[name] = state[name].float() * state.pop(name.removesuffix(_WEIGHT) + _SCALE)
    return state


def _coded(file: Any) -> list[str]:
    names = set(file.keys())
    return [
        name
        for name in sorted(names)
        if name.endswith(_WEIGHT)
        and name.removesuffix(_WEIGHT) + _SCALE in names
        and file.get_slice(name).get_dtype() == "I8"
    ]
